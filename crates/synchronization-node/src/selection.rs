//! Which joints of a topic are taken in, and by what index the ticks know their names.

use std::collections::HashSet;
use std::sync::Arc;

use joint_state::{Fault, FaultSet, Names, Slots};
use twin_sync::JOINTS_MAX;

/// Which joints of a topic are wanted.
pub(crate) struct Selection {
    /// All if there are none.
    wanted: HashSet<String>,
    /// The index in `names` of the joint in each slot of the decoder.
    pub(crate) name_of_slot: Vec<Option<usize>>,
    /// The slots that have lost their joints, until others get them.
    vacant: Vec<usize>,
    pub(crate) names: Arc<Vec<Arc<str>>>,
    /// Whether joints were left out since there are too many.
    is_beyond_limit: bool,
}

impl Selection {
    pub(crate) fn of(joints: &[String]) -> Self {
        let wanted = joints.iter().cloned().collect();
        Self { wanted, name_of_slot: Vec::new(), vacant: Vec::new(), names: Arc::default(), is_beyond_limit: false }
    }

    /// The index of a joint's name if it is wanted and there is room.
    fn select(&mut self, name: &Arc<str>) -> Option<usize> {
        if !(self.wanted.is_empty() || self.wanted.contains(&**name)) {
            return None;
        }
        self.is_beyond_limit |= self.names.len() == JOINTS_MAX;
        (self.names.len() < JOINTS_MAX).then(|| {
            Arc::make_mut(&mut self.names).push(Arc::clone(name));
            self.names.len() - 1
        })
    }

    /// What is wrong with every message from now on.
    pub(crate) fn faults(&self) -> FaultSet {
        self.is_beyond_limit.then_some(Fault::TooManyJoints).into_iter().collect()
    }
}

impl Slots for Selection {
    /// Selected joints keep their place for as long as the node runs; nothing is known of the others that would be missed.
    fn forgotten(&self, _now_ns: u64) -> Vec<u32> {
        let slots = (0..).zip(&self.name_of_slot);
        slots.filter_map(|(slot, selected)| selected.is_none().then_some(slot)).collect()
    }

    fn rename(&mut self, names: &Arc<Names>, freed: &[u32]) {
        let new = self.name_of_slot.len()..names.of_slot.len();
        self.name_of_slot.resize(names.of_slot.len(), None);
        let vacant = std::mem::take(&mut self.vacant).into_iter().chain(freed.iter().map(|slot| *slot as usize));
        for slot in vacant.chain(new) {
            match &names.of_slot[slot] {
                Some(name) => self.name_of_slot[slot] = self.select(name),
                None => self.vacant.push(slot),
            }
        }
    }
}
