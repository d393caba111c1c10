//! What a tick tells.

use crate::alignment::Alignment;
use crate::interpolation::Reading;
use crate::settings::JOINTS_MAX;
use crate::state::{State, Transition};

/// A time of the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// By the clock of its stamps.
    Stamp(i64),
    /// By the local clock, since it has no stamps.
    Arrival(i64),
}

/// The difference of the reference and the twin at the newest time that both know: rad or m, the shortest arc for a
/// continuous joint. Above zero where the reference is ahead in its own sense of turning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointError {
    /// At equal times.
    pub raw: f64,
    /// The reference as it was before, by the lag; `None` where no lag is known.
    pub compensated: Option<f64>,
}

impl JointError {
    /// The compensated error, or the raw one where no lag is known: what the state is told from.
    #[must_use]
    pub fn judged(self) -> f64 {
        self.compensated.unwrap_or(self.raw)
    }
}

/// One joint at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JointTick {
    /// The reference at [`Tick::refers_to`]; held while it is stale, `None` once it is lost.
    pub reference: Option<Reading>,
    /// The newest effort of the reference, in N m or N; NaN where it has none.
    pub effort: f64,
    /// `None` where either source is stale, or has no sample at a time of the other's.
    pub error: Option<JointError>,
    /// What the twin is to be told, in its own sense of turning: rad or m.
    pub command: Option<f64>,
}

/// How a resynchronization goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncProgress {
    /// Not yet there.
    Running,
    /// Both sources have come again with every joint that is expected of them ([`Tick::missing`]), enough is known of each,
    /// and none is near a divergence; where the twin is commanded, its joints are where the reference is.
    Converged,
    /// It took more than five seconds.
    TimedOut,
    /// A stop put an end to it.
    Stopped,
}

/// What a tick tells. The same memory serves the next tick.
#[derive(Clone, Debug)]
pub struct Tick {
    /// What time of the reference the joints are of; `None` before there is any.
    pub refers_to: Option<Moment>,
    /// By [`JointId::index`](crate::JointId::index).
    pub joints: Vec<JointTick>,
    /// How many joints have an error: what quality and errors are of.
    pub compared: u32,
    /// How many joints are expected of both sources, of which one has brought nothing new for longer than the lost timeout,
    /// or nothing yet since the start or a resynchronization; a flush does not change that. Expected are those that are
    /// selected by name and those that both ever had; other joints of one source count neither here nor as compared.
    pub missing: u32,
    /// `clamp(1 - mean |error| / state_threshold, 0, 1)`; `None` where there is no error to judge.
    pub quality: Option<f64>,
    /// The mean absolute error: of the compensated errors, raw where no lag is known.
    pub mean_error: Option<f64>,
    /// The greatest of them, of the joints that there is enough known of to call it a divergence.
    pub worst_error: Option<f64>,
    /// The state since this tick.
    pub state: State,
    /// Whether and why it has changed in this tick.
    pub transition: Option<Transition>,
    /// How the times of the sources are brought together.
    pub alignment: Alignment,
    /// `Some` from a resynchronization on until it has come to an end, which is told once.
    pub resync: Option<ResyncProgress>,
    /// Whether the commands are those of a stop, to stay where the twin is: of all joints that were ever told anything and are
    /// known, some of which may have been told so before.
    pub is_hold: bool,
    /// Commands that a limit of position has changed.
    pub clamped: u32,
    /// Commands that were refused since the joint has no known limits, or what it would be told is no number.
    pub refused: u32,
}

impl Tick {
    /// Before there is anything to tell.
    pub(crate) fn new(alignment: Alignment) -> Self {
        Self {
            refers_to: None,
            joints: Vec::with_capacity(JOINTS_MAX),
            compared: 0,
            missing: 0,
            quality: None,
            mean_error: None,
            worst_error: None,
            state: State::Waiting,
            transition: None,
            alignment,
            resync: None,
            is_hold: false,
            clamped: 0,
            refused: 0,
        }
    }
}
