//! What a user may set. Ranges are stated here and checked where the values come from: the node's parameters.

use std::collections::BTreeMap;

use crate::Interpolation;

/// The most joints that are followed.
pub const JOINTS_MAX: usize = 256;

/// How the times of the two sources are brought together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeAlignment {
    /// By what the stamps show, see [`Alignment`](crate::Alignment).
    #[default]
    Auto,
    /// Both sources are stamped by one clock: equal stamps are equal times.
    Stamp,
    /// By arrival alone; stamps are not looked at.
    Arrival,
    /// Each source has a clock of its own, whose offset is the least seen difference of arrival and stamp.
    MinOffset,
}

/// Whether a joint of the twin turns the same way as that of the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sign {
    /// +1.
    #[default]
    Same,
    /// -1: position, velocity and effort are negated.
    Opposite,
}

impl Sign {
    /// The value in the other's sense: its own inverse.
    pub(crate) fn apply(self, value: f64) -> f64 {
        match self {
            Self::Same => value,
            Self::Opposite => -value,
        }
    }
}

/// What a user may set; the defaults measure and command nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Samples kept of each joint and source, 2 to 1,000,000, of 24 bytes each: 256 joints take 123 MB by default. The
    /// window of the statistics is only as long as what is kept. Default 10,000.
    pub buffer_size: usize,
    /// A lag, or a delay of messages over the least seen, beyond this is DEGRADED; 0.001 to 10. Default 0.05.
    pub max_latency_seconds: f64,
    /// The mean absolute error at which the quality is 0, and beyond which the state is DEGRADED: rad or m, above 0.
    /// Default 0.01.
    pub state_threshold: f64,
    /// The joints to follow, by the reference's names, each of which both sources have to tell of; none named is all, up to
    /// [`JOINTS_MAX`].
    pub joints: Vec<String>,
    /// From the twin's name of a joint to the reference's, where they differ.
    pub name_map: BTreeMap<String, String>,
    /// By the reference's name, the joints whose twin turns the other way.
    pub sign_map: BTreeMap<String, Sign>,
    /// Between samples, for the state that is given out. What is measured is interpolated by [`Interpolation::Hermite`]
    /// whatever is set here, since holding would add half an interval of lag. Default hermite.
    pub interpolation: Interpolation,
    /// How long ago the state that is given out was, so that it can be interpolated: 0 to 10. Default 0.
    pub playout_delay_seconds: f64,
    /// How far beyond the newest sample a state is extrapolated before it is held: 0 to 1. Default 0.
    pub max_extrapolation_seconds: f64,
    /// Default auto.
    pub time_alignment: TimeAlignment,
    /// An input that has brought nothing new for this long is stale: 0.001 to 60. Also the longest gap between two samples
    /// that is interpolated. Default 0.25.
    pub stale_timeout_seconds: f64,
    /// An input that has brought nothing new for this long is lost: from the stale timeout to 3600. Default 2.
    pub lost_timeout_seconds: f64,
    /// A compensated error of any joint beyond this is a divergence: rad or m, above 0. Default 0.1.
    pub divergence_threshold: f64,
    /// For how long it must be beyond, and below to be over: 0 to 60. Default 0.5.
    pub divergence_hold_seconds: f64,
    /// What the statistics of a joint are taken over: 1 to 60. Default 5.
    pub metrics_window_seconds: f64,
    /// The longest lag that is looked for either way: 0.01 to 5, and never more than a quarter of the window. Default 0.5.
    pub max_lag_seconds: f64,
    /// Whether the twin is commanded at all; the default only measures. A joint is told nothing before the twin has said
    /// where it is.
    pub commands: bool,
    /// Whether somebody else says where the twin is to go ([`Synchronizer::forward`](crate::Synchronizer::forward)): then it
    /// is brought to the reference in a resynchronization alone. Default no.
    pub forward_commands: bool,
    /// Whether a divergence stops the commands until the fault is cleared. Default no.
    pub stop_on_divergence: bool,
    /// How fast the twin is brought to the reference: rad/s or m/s, above 0. Default 1.
    pub max_joint_velocity: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            buffer_size: 10_000,
            max_latency_seconds: 0.05,
            state_threshold: 0.01,
            joints: Vec::new(),
            name_map: BTreeMap::new(),
            sign_map: BTreeMap::new(),
            interpolation: Interpolation::default(),
            playout_delay_seconds: 0.0,
            max_extrapolation_seconds: 0.0,
            time_alignment: TimeAlignment::default(),
            stale_timeout_seconds: 0.25,
            lost_timeout_seconds: 2.0,
            divergence_threshold: 0.1,
            divergence_hold_seconds: 0.5,
            metrics_window_seconds: 5.0,
            max_lag_seconds: 0.5,
            commands: false,
            forward_commands: false,
            stop_on_divergence: false,
            max_joint_velocity: 1.0,
        }
    }
}

/// Seconds as nanoseconds, to the nearest; what does not fit is the most that does.
pub(crate) fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}
