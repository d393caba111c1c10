//! The joints by the names that both sources have for them.

use std::sync::Arc;

use twin_sync::{JOINTS_MAX, JointId, JointValue, Source, Synchronizer, TooManyJoints};

use crate::intake::{PARCELS, Parcel};
use crate::report::Names;
use crate::tick_metrics::TickMetrics;

/// Messages of one tick whose latency is told. Ticks are a second apart at most, in which messages are taken in about 20
/// times, and more often while services are called or commands passed on.
const ARRIVALS_MAX: usize = 32 * PARCELS;

/// What is known of the joints.
pub(crate) struct Known {
    /// By source and by the index of a name there.
    pub(crate) ids: [Vec<Option<JointId>>; 2],
    /// All joints, in the order of ticks.
    pub(crate) joints: Vec<JointId>,
    /// By the joint: the reference's names, and the twin's once it has told them.
    pub(crate) names: Names,
    pub(crate) twin_names: Vec<Option<Arc<str>>>,
    pub(crate) values: Vec<JointValue>,
    /// When the messages of the reference came that the next tick tells of, the first [`ARRIVALS_MAX`].
    arrivals_ns: Vec<u64>,
}

impl Known {
    /// The joint of this name of the reference's.
    pub(crate) fn joint(&self, name: &str) -> Option<JointId> {
        let index = self.names.iter().position(|known| **known == *name)?;
        self.joints.get(index).copied()
    }

    /// What the twin calls the joint; `None` before it has named it, since by the reference's name it may call another.
    pub(crate) fn twin_name(&self, joint: JointId) -> Option<&str> {
        self.twin_names.get(joint.index())?.as_deref()
    }

    pub(crate) fn new() -> Self {
        Self {
            ids: Default::default(),
            joints: Vec::new(),
            names: Names::default(),
            twin_names: Vec::new(),
            values: Vec::with_capacity(JOINTS_MAX),
            arrivals_ns: Vec::with_capacity(ARRIVALS_MAX),
        }
    }

    /// Keeps the arrival of a message of the reference for the next tick, if there is room.
    pub(crate) fn keep_arrival(&mut self, arrival_ns: u64) {
        if self.arrivals_ns.len() < ARRIVALS_MAX {
            self.arrivals_ns.push(arrival_ns);
        }
    }

    /// The arrivals that were kept; then there are none.
    pub(crate) fn drain_arrivals_ns(&mut self) -> impl Iterator<Item = u64> {
        self.arrivals_ns.drain(..)
    }

    /// Gives the names that are new in a message their joints.
    #[cold]
    pub(crate) fn learn(
        &mut self,
        synchronizer: &mut Synchronizer,
        metrics: &mut TickMetrics,
        source: Source,
        parcel: &Parcel,
    ) {
        let ids = &mut self.ids[source as usize];
        for name in parcel.names.iter().skip(ids.len()) {
            // Each intake lets as many names through as there may be joints; both together may have more.
            let id = synchronizer.joint(source, name).unwrap_or_else(|TooManyJoints| {
                metrics.count_refused_joint(source);
                None
            });
            ids.push(id);
            if let Some(id) = id.filter(|id| id.index() == self.names.len()) {
                let name: Arc<str> = synchronizer.name(id).unwrap_or_default().into();
                metrics.admit(&name);
                self.joints.push(id);
                self.twin_names.push(None);
                Arc::make_mut(&mut self.names).push(name);
            }
            if let (Source::Twin, Some(id)) = (source, id) {
                self.twin_names[id.index()] = Some(Arc::clone(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;

    use super::*;

    #[test]
    fn arrivals_beyond_the_limit_take_no_memory() {
        let mut known = Known::new();
        for _ in 0..2 {
            let allocated = measure(|| (0..=ARRIVALS_MAX as u64).for_each(|arrival_ns| known.keep_arrival(arrival_ns)));
            assert_eq!(allocated.count_total, 0);
            assert!(known.drain_arrivals_ns().eq(0..ARRIVALS_MAX as u64), "the first, which waited for longest");
        }
    }
}
