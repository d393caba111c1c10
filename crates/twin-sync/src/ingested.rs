//! What a message says of joints, and what becomes of it.

use crate::joints::JointId;

/// One joint in a message; NaN where the message has no such value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointValue {
    /// From [`Synchronizer::joint`](crate::Synchronizer::joint).
    pub joint: JointId,
    /// rad or m.
    pub position: f64,
    /// rad/s or m/s by the clock of the stamps.
    pub velocity: f64,
    /// N m or N.
    pub effort: f64,
}

/// Why a source's samples were all forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// A stamp was more than 0.1 s before an earlier one of a joint, or all were more than 1 s before an earlier one of the
    /// source for 0.5 s: a simulator was reset, a clock was set, a stamp was wrong.
    BackwardJump,
    /// Stamps came where none had been: times by arrival do not compare with them.
    StampsBegan,
}

impl Flush {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::BackwardJump, Self::StampsBegan];

    /// The reason as the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BackwardJump => "backward_jump",
            Self::StampsBegan => "stamps_began",
        }
    }
}

/// What became of one message, in values of joints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Stored, those out of order too.
    pub stored: u32,
    /// Stored before newer ones, up to 20 ms late.
    pub reordered: u32,
    /// Dropped: more than 20 ms older than the newest.
    pub late: u32,
    /// Dropped: there is a value of that time already.
    pub duplicate: u32,
    /// Dropped: no position, or none that is finite.
    pub no_position: u32,
    /// Whether a message without a stamp came in a stream that has stamps; its time was told from its arrival.
    pub stamp_missing: bool,
    /// Whether the source's clock stood or leapt ahead against the local one by more than 0.1 s.
    pub clock_stepped: bool,
    /// Whether and why all earlier samples of the source were forgotten.
    pub flush: Option<Flush>,
}
