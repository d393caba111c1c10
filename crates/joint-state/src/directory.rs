//! Which joint has which slot of the board. The slow path's own book, not for the hot path: it hashes and allocates.

use std::collections::HashMap;
use std::sync::Arc;

use crate::board::Names;

#[derive(Debug)]
pub(crate) struct Directory {
    slot_of: HashMap<Arc<str>, u32>,
    free: Vec<u32>,
    names: Arc<Names>,
    max_joints: u32,
}

impl Directory {
    pub fn new(max_joints: u32) -> Self {
        Directory { slot_of: HashMap::new(), free: Vec::new(), names: Arc::default(), max_joints }
    }

    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    pub fn knows(&self, name: &str) -> bool {
        self.slot_of.contains_key(name)
    }

    /// How many more joints can be admitted.
    pub fn room(&self) -> usize {
        (self.max_joints as usize).saturating_sub(self.slot_of.len())
    }

    /// The slot of a joint, which gets one when it has none; none when there is no room.
    pub fn admit(&mut self, name: &str) -> Option<u32> {
        if let Some(&slot) = self.slot_of.get(name) {
            return Some(slot);
        }
        let slot = self.take_slot()?;
        let name: Arc<str> = name.into();
        let names = Arc::make_mut(&mut self.names);
        names.generation += 1;
        names.of_slot[slot as usize] = Some(Arc::clone(&name));
        self.slot_of.insert(name, slot);
        Some(slot)
    }

    /// Takes the joints of these slots out of the book.
    pub fn release(&mut self, slots: &[u32]) {
        let names = Arc::make_mut(&mut self.names);
        names.generation += 1;
        for &slot in slots {
            if let Some(name) = names.of_slot[slot as usize].take() {
                self.slot_of.remove(&name);
                self.free.push(slot);
            }
        }
    }

    fn take_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = u32::try_from(self.names.of_slot.len()).ok().filter(|&slot| slot < self.max_joints)?;
        Arc::make_mut(&mut self.names).of_slot.push(None);
        Some(slot)
    }
}
