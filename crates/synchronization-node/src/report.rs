//! What the ticking thread shows to the others. It never waits for them: while one of them reads, the report stays as it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twin_sync::{Alignment, Analysis, Cause, JointError, Source, SourceClock, State, Synchronizer};

use crate::known::Known;

/// The names of joints, by their index in ticks.
pub(crate) type Names = Arc<Vec<Arc<str>>>;

/// The last state of everything, some milliseconds old.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// Why it was entered.
    pub(crate) cause: Cause,
    pub(crate) quality: Option<f64>,
    pub(crate) mean_error: Option<f64>,
    pub(crate) worst_error: Option<f64>,
    pub(crate) lag_seconds: Option<f64>,
    /// Joints of which there is an error, and joints that are expected of both sources and one tells nothing of.
    pub(crate) compared: u32,
    pub(crate) missing: u32,
    pub(crate) alignment: Option<Alignment>,
    /// By source.
    pub(crate) clocks: [Option<SourceClock>; 2],
    pub(crate) names: Names,
    /// In the order of the names.
    pub(crate) joints: Vec<JointReport>,
}

/// One joint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JointReport {
    pub(crate) error: Option<JointError>,
    pub(crate) analysis: Option<Analysis>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            state: State::Waiting,
            cause: Cause::NoReference,
            quality: None,
            mean_error: None,
            worst_error: None,
            lag_seconds: None,
            compared: 0,
            missing: 0,
            alignment: None,
            clocks: [None; 2],
            names: Names::default(),
            joints: Vec::new(),
        }
    }
}

/// Cheap to clone; clones share the report.
#[derive(Clone, Default)]
pub(crate) struct SharedReport(Arc<Mutex<Report>>);

impl SharedReport {
    /// For those who may wait.
    pub(crate) fn read(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For the ticking thread: `None` while somebody reads.
    pub(crate) fn try_write(&self) -> Option<MutexGuard<'_, Report>> {
        self.0.try_lock().ok()
    }
}

impl Report {
    /// Takes all but the state from a tick; allocates only when there are more joints.
    pub(crate) fn take(&mut self, synchronizer: &Synchronizer, known: &Known, now_ns: i64) {
        let tick = synchronizer.last_tick();
        self.quality = tick.quality;
        self.mean_error = tick.mean_error;
        self.worst_error = tick.worst_error;
        self.lag_seconds = synchronizer.lag_seconds();
        (self.compared, self.missing) = (tick.compared, tick.missing);
        self.alignment = Some(tick.alignment);
        self.clocks = Source::ALL.map(|source| synchronizer.clock(source, now_ns));
        self.names.clone_from(&known.names);
        self.joints.clear();
        self.joints.extend(
            known.joints.iter().zip(&tick.joints).map(|(joint, tick)| JointReport {
                error: tick.error,
                analysis: synchronizer.analysis(*joint).copied(),
            }),
        );
    }
}
