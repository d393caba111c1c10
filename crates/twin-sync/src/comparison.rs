//! How far the twin is from the reference: at equal times, never the latest of one against the latest of the other.

use crate::alignment::Pairing;
use crate::interpolation::{Basis, Interpolation, Reader};
use crate::joints::{Joint, Source};
use crate::settings::nanoseconds;
use crate::tick::JointError;

/// Compares joints at one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) pairing: Pairing<'a>,
    /// What is silent for longer is not compared, and no longer gap is interpolated.
    pub(crate) stale_ns: i64,
    pub(crate) now_ns: i64,
}

impl Comparison<'_> {
    pub(crate) fn error(&self, joint: &Joint, lag_seconds: Option<f64>) -> Option<JointError> {
        let is_fresh = |source| joint.silence_ns(source, self.now_ns).is_some_and(|ns| ns <= self.stale_ns);
        if !Source::ALL.into_iter().all(is_fresh) || self.pairing.is_off_clock(joint) || self.pairing.is_in_doubt() {
            return None;
        }
        let compensated = lag_seconds.and_then(|seconds| self.difference(joint, nanoseconds(seconds)));
        Some(JointError { raw: self.difference(joint, 0)?, compensated })
    }

    /// The reference `lag_ns` before the newest time at which both are known, minus the twin at that time.
    fn difference(&self, joint: &Joint, lag_ns: i64) -> Option<f64> {
        let [reference, twin] = &joint.histories;
        let time_ns = self.pairing.newest_common_ns(reference, twin, lag_ns)?;
        let reader = Reader {
            interpolation: Interpolation::Hermite,
            extrapolation_ns_max: 0,
            gap_ns_max: self.stale_ns,
            turning: joint.turning(),
        };
        let known = |reading: &crate::Reading| reading.basis == Basis::Between;
        let expected = reader.read(reference, time_ns.saturating_sub(lag_ns)).filter(known)?;
        let found = reader.read(twin, self.pairing.twin_ns(time_ns)?).filter(known)?;
        Some(joint.turning().difference(expected.position, found.position))
    }
}
