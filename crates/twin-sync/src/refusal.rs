//! Why the twin is not told what somebody else wants it to do.

use thiserror::Error;

/// Why a command is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The joint is not known, or the robot's description gives it no limits of position.
    #[error("the joint has no known limits")]
    NoLimits,
    /// A stop lasts until the fault is cleared.
    #[error("stopped: clear the fault first")]
    Stopped,
    /// The twin is not commanded, or not at present.
    #[error("commands are off")]
    Off,
    /// The position, or another value that goes with it, is no number.
    #[error("a value is not finite")]
    NotFinite,
    /// An input is lost, or the reference has brought nothing yet, or the twin has not told where the joint is: it is not
    /// known what the twin would do.
    #[error("inputs are lost")]
    Lost,
    /// A resynchronization brings the twin to the reference, and would overrule it.
    #[error("a resynchronization is under way")]
    Resync,
}

impl Refusal {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 6] = [Self::NoLimits, Self::Stopped, Self::Off, Self::NotFinite, Self::Lost, Self::Resync];

    /// The reason as the value of a metric's label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoLimits => "no_limits",
            Self::Stopped => "stopped",
            Self::Off => "off",
            Self::NotFinite => "not_finite",
            Self::Lost => "lost",
            Self::Resync => "resync",
        }
    }
}
