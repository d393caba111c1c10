//! From a serialized message to the slots of its joints and their values, wherever these are kept.

use std::collections::HashMap;
use std::sync::Arc;

use cdr::{ByteOrder, Stamp};

use crate::board::Names;
use crate::directory::Directory;
use crate::fault::{Fault, FaultSet};
use crate::layout::{Layout, Layouts};
use crate::message::{NameBlock, Reader, Values};

/// The longest name of a joint, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Whoever keeps something for each slot that a [`Decoder`] gives to a joint.
pub trait Slots {
    /// The slots whose joints need no longer be known. Asked when there is no room for a new joint.
    fn forgotten(&self, now_ns: u64) -> Vec<u32>;

    /// Joints have been given slots, or have lost theirs: `freed`, which are sorted and have no name any more.
    fn rename(&mut self, names: &Arc<Names>, freed: &[u32]);
}

/// Reads the messages of one topic: gives every joint a slot, and finds the slots of a message by its block of names.
#[derive(Debug)]
pub struct Decoder {
    layouts: Layouts,
    directory: Directory,
}

/// A message that was read.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The message's `header.stamp`.
    pub stamp: Stamp,
    pub(crate) layout: &'a Layout,
    pub(crate) values: Values<'a>,
}

impl Decoder {
    /// A decoder that knows at most `max_joints` at a time.
    #[must_use]
    pub fn new(max_joints: u32) -> Self {
        Decoder { layouts: Layouts::new(), directory: Directory::new(max_joints) }
    }

    /// Reads a serialized message at `now_ns` of a monotonic clock, the same for all calls.
    ///
    /// When the message brings names in an order seen lately, this neither allocates nor hashes, locks or panics.
    ///
    /// # Errors
    /// The reason why the message was refused as a whole; nothing has changed.
    pub fn decode<'a>(
        &'a mut self,
        message: &'a [u8],
        now_ns: u64,
        slots: &mut impl Slots,
    ) -> Result<Decoded<'a>, Fault> {
        let (mut reader, stamp) = Reader::open(message)?;
        if !self.layouts.find(&reader, now_ns) {
            return self.decode_unfamiliar(reader, stamp, now_ns, slots);
        }
        let layout = self.layouts.found();
        reader.skip_names(layout.block_bytes())?;
        let values = reader.values(layout.joints())?;
        Ok(Decoded { stamp, layout, values })
    }

    #[cold]
    fn decode_unfamiliar<'a>(
        &'a mut self,
        mut reader: Reader<'a>,
        stamp: Stamp,
        now_ns: u64,
        slots: &mut impl Slots,
    ) -> Result<Decoded<'a>, Fault> {
        let names = reader.names()?;
        let values = reader.values(names.len())?;
        let layout = self.lay_out(&names, now_ns, slots);
        Ok(Decoded { stamp, layout: self.layouts.insert(layout, now_ns), values })
    }

    /// Finds a slot for every joint that can have one.
    fn lay_out(&mut self, names: &NameBlock<'_>, now_ns: u64, slots: &mut impl Slots) -> Layout {
        let joints = joints(names);
        let new = joints.iter().flatten().filter(|name| !self.directory.knows(name)).count();
        if new > self.directory.room() {
            self.sweep(now_ns, slots);
        }
        let of_joints = joints.into_iter().map(|name| self.directory.admit(name?).ok_or(Fault::TooManyJoints));
        let layout = Layout::new(names, of_joints, now_ns);
        if new > 0 {
            slots.rename(self.directory.names(), &[]);
        }
        layout
    }

    /// Takes back the slots of forgotten joints.
    fn sweep(&mut self, now_ns: u64, slots: &mut impl Slots) {
        let forgotten = slots.forgotten(now_ns);
        if !forgotten.is_empty() {
            self.layouts.drop_leading_to(&forgotten);
            self.directory.release(&forgotten);
            slots.rename(self.directory.names(), &forgotten);
        }
    }
}

impl Decoded<'_> {
    /// Why some joints were left out; empty when none were.
    #[must_use]
    pub fn faults(&self) -> FaultSet {
        self.layout.faults()
    }

    /// Every joint that was not left out: its slot, position, velocity and effort, in the order of the message.
    /// Units as in [`Sample`](crate::Sample); [`f64::NAN`] where the message has no value.
    pub fn joints(&self) -> impl Iterator<Item = (u32, [f64; 3])> {
        let value = |row: &[[u8; 8]], joint: usize| match (row.get(joint), self.values.order) {
            (Some(&bytes), ByteOrder::Little) => f64::from_le_bytes(bytes),
            (Some(&bytes), ByteOrder::Big) => f64::from_be_bytes(bytes),
            (None, _) => f64::NAN,
        };
        let rows = [self.values.position, self.values.velocity, self.values.effort];
        let slots = self.layout.runs().iter().flat_map(|run| (run.joint..).zip(run.slots.iter()));
        slots.map(move |(joint, slot)| (slot, rows.map(|row| value(row, joint))))
    }
}

/// The name of each joint, or the reason why it is left out.
fn joints<'a>(names: &NameBlock<'a>) -> Vec<Result<&'a str, Fault>> {
    let mut joints: Vec<_> = names.names().map(joint_name).collect();
    let mut index_of = HashMap::with_capacity(joints.len());
    let mut repeated = Vec::new();
    for (index, joint) in joints.iter().enumerate() {
        let earlier = joint.ok().and_then(|name| index_of.insert(name, index));
        repeated.extend(earlier.into_iter().flat_map(|earlier| [earlier, index]));
    }
    repeated.into_iter().for_each(|index| joints[index] = Err(Fault::DuplicateJoint));
    joints
}

fn joint_name(name: &[u8]) -> Result<&str, Fault> {
    let acceptable = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(&0);
    str::from_utf8(name).ok().filter(|_| acceptable).ok_or(Fault::BadName)
}
