//! Where the values of a message go, once per block of names instead of once per message.
//!
//! A layout depends on the names alone, not on who sends them: publishers that send the same names share one, a publisher that restarts finds
//! its own again, and one that alternates between two orders has two.

use cdr::ByteOrder;

use crate::board::SlotRange;
use crate::fault::{Fault, FaultSet};
use crate::message::{NameBlock, Reader};

/// How many layouts are kept, the least recently used goes: several publishers of partial messages share a topic, dozens in a fleet.
const LAYOUTS_MAX: usize = 64;

/// How many bytes of names all kept layouts together may have.
const BLOCKS_BYTES_MAX: usize = 8 << 20;

/// A larger block of names is not kept; 10,000 joints take about 300 kB.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// A layout that lacks joints for want of room is made anew after this time, as others may have been forgotten by then.
const RETRY_AFTER_NS: u64 = 1_000_000_000;

/// The slots of the joints that a block of names names.
#[derive(Debug)]
pub(crate) struct Layout {
    order: ByteOrder,
    block: Box<[u8]>,
    mask: Box<[u8]>,
    joints: usize,
    runs: Vec<Run>,
    faults: FaultSet,
    retry_at_ns: u64,
}

/// Joints that follow each other in the message and on the board.
#[derive(Debug)]
pub(crate) struct Run {
    /// The index of the first one in the message.
    pub joint: usize,
    pub slots: SlotRange,
}

impl Layout {
    /// A layout from the slot of each joint of `names`, or the reason why it has none.
    pub fn new(names: &NameBlock<'_>, slots: impl Iterator<Item = Result<u32, Fault>>, now_ns: u64) -> Self {
        let mut faults = FaultSet::default();
        let mut runs = Vec::<Run>::new();
        for (joint, slot) in slots.enumerate() {
            match slot {
                Ok(slot) => append(&mut runs, joint, slot),
                Err(fault) => faults.insert(fault),
            }
        }
        let full = faults.contains(Fault::TooManyJoints);
        Layout {
            order: names.order(),
            block: names.bytes().into(),
            mask: names.mask(),
            joints: names.len(),
            runs,
            faults,
            retry_at_ns: if full { now_ns.saturating_add(RETRY_AFTER_NS) } else { u64::MAX },
        }
    }

    /// Where the joints go; those that are left out are in no run.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// How many joints the block names, with those that are left out.
    pub fn joints(&self) -> usize {
        self.joints
    }

    /// Why joints are left out, if any are.
    pub fn faults(&self) -> FaultSet {
        self.faults
    }

    /// The length of the block of names, in bytes.
    pub fn block_bytes(&self) -> usize {
        self.block.len()
    }

    /// Whether the reader stands before the very bytes of this layout's block.
    fn is_next_in(&self, reader: &Reader<'_>) -> bool {
        self.order == reader.order() && reader.rest().starts_with(&self.block)
    }

    /// Whether the reader stands before the same names with other bytes in the padding. Every byte is looked at, difference or not: this
    /// is several times faster than to go from name to name.
    fn is_next_but_for_padding_in(&self, reader: &Reader<'_>) -> bool {
        let block = self.block.iter().zip(&self.mask);
        let difference = || block.zip(reader.rest()).fold(0, |found, ((a, mask), b)| found | (a ^ b) & mask);
        self.order == reader.order() && self.block.len() <= reader.rest().len() && difference() == 0
    }
}

fn append(runs: &mut Vec<Run>, joint: usize, slot: u32) {
    if let Some(run) = runs.last_mut().filter(|run| run.joint + run.slots.len() == joint)
        && run.slots.extend_to(slot)
    {
        return;
    }
    runs.push(Run { joint, slots: SlotRange::of(slot) });
}

/// The layouts of the last messages, the most recently used first.
#[derive(Debug)]
pub(crate) struct Layouts {
    kept: Vec<Layout>,
    /// The last one that is not kept, for as long as its message is looked at.
    too_large: Option<Layout>,
}

impl Layouts {
    pub fn new() -> Self {
        Layouts { kept: Vec::with_capacity(LAYOUTS_MAX), too_large: None }
    }

    /// Looks for the layout of the names that come next in `reader`; tells whether there is one.
    pub fn find(&mut self, reader: &Reader<'_>, now_ns: u64) -> bool {
        self.too_large = None;
        let position = |is_next: fn(&Layout, &Reader<'_>) -> bool| {
            self.kept.iter().position(|layout| is_next(layout, reader) && now_ns < layout.retry_at_ns)
        };
        let found = position(Layout::is_next_in).or_else(|| position(Layout::is_next_but_for_padding_in));
        if let Some(found) = found {
            self.kept[..=found].rotate_right(1);
        }
        found.is_some()
    }

    /// The layout that was [found](Layouts::find), as long as nothing else has been done.
    pub fn found(&self) -> &Layout {
        &self.kept[0]
    }

    /// Takes `layout` in, and keeps it unless it is too large. Those that it may have been made instead of go.
    pub fn insert(&mut self, layout: Layout, now_ns: u64) -> &Layout {
        self.kept.retain(|kept| now_ns < kept.retry_at_ns);
        if layout.block_bytes() > BLOCK_BYTES_MAX {
            return self.too_large.insert(layout);
        }
        self.kept.truncate(LAYOUTS_MAX - 1);
        self.kept.insert(0, layout);
        while self.kept.iter().map(Layout::block_bytes).sum::<usize>() > BLOCKS_BYTES_MAX {
            self.kept.pop();
        }
        &self.kept[0]
    }

    /// Drops the layouts that lead to one of `slots`, which are sorted.
    pub fn drop_leading_to(&mut self, slots: &[u32]) {
        self.kept.retain(|layout| !layout.runs.iter().any(|run| run.slots.contains_any(slots)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of one joint, up to its name.
    fn message(name: &str) -> Vec<u8> {
        let length = (name.len() as u32 + 1).to_le_bytes();
        [&[0, 1, 0, 0], &[0; 12][..], &[1, 0, 0, 0], &length, name.as_bytes(), &[0]].concat()
    }

    fn layout(name: &str, slot: Result<u32, Fault>) -> Layout {
        let message = message(name);
        let (mut reader, _) = Reader::open(&message).expect("a header");
        Layout::new(&reader.names().expect("a name"), [slot].into_iter(), 0)
    }

    fn is_kept(layouts: &mut Layouts, name: &str) -> bool {
        layouts.find(&Reader::open(&message(name)).expect("a header").0, 0)
    }

    #[test]
    fn the_least_recently_used_layout_goes() {
        let mut layouts = Layouts::new();
        for name in 0..LAYOUTS_MAX {
            layouts.insert(layout(&name.to_string(), Ok(0)), 0);
        }
        assert!(is_kept(&mut layouts, "0"));
        layouts.insert(layout("one more", Ok(0)), 0);
        assert!(["0", "2", "one more"].iter().all(|name| is_kept(&mut layouts, name)));
        assert!(!is_kept(&mut layouts, "1"));
        assert_eq!(layouts.kept.len(), LAYOUTS_MAX);
    }

    #[test]
    fn a_layout_that_lacked_room_goes_when_it_is_made_anew() {
        let mut layouts = Layouts::new();
        layouts.insert(layout("a", Err(Fault::TooManyJoints)), 0);
        layouts.insert(layout("b", Err(Fault::BadName)), RETRY_AFTER_NS - 1);
        assert!(is_kept(&mut layouts, "a"));
        layouts.insert(layout("c", Ok(0)), RETRY_AFTER_NS);
        assert!(!is_kept(&mut layouts, "a") && is_kept(&mut layouts, "b"));
    }

    #[test]
    fn a_layout_that_is_too_large_is_not_kept() {
        let mut layouts = Layouts::new();
        for (bytes, kept) in [(BLOCK_BYTES_MAX - 9, true), (BLOCK_BYTES_MAX - 8, false)] {
            let name = "x".repeat(bytes);
            layouts.insert(layout(&name, Err(Fault::BadName)), 0);
            assert_eq!(is_kept(&mut layouts, &name), kept);
            assert!(layouts.too_large.is_none(), "not beyond the message that it is of");
        }
    }

    #[test]
    fn layouts_that_are_too_large_together_go() {
        let mut layouts = Layouts::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
            layouts.insert(layout(&name.repeat(BLOCK_BYTES_MAX - 9), Err(Fault::BadName)), 0);
        }
        assert_eq!(layouts.kept.len(), BLOCKS_BYTES_MAX / BLOCK_BYTES_MAX);
        assert!(is_kept(&mut layouts, &"i".repeat(BLOCK_BYTES_MAX - 9)));
        assert!(!is_kept(&mut layouts, &"a".repeat(BLOCK_BYTES_MAX - 9)));
    }

    #[test]
    fn joints_that_follow_each_other_in_message_and_board_are_one_run() {
        let mut runs = Vec::new();
        for (joint, slot) in [(0, 5), (1, 6), (3, 7), (4, 8), (5, 4)] {
            append(&mut runs, joint, slot);
        }
        let runs: Vec<_> = runs.iter().map(|run| (run.joint, run.slots.len())).collect();
        assert_eq!(runs, [(0, 2), (3, 2), (5, 1)]);
    }
}
