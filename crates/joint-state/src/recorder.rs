//! Takes messages in: the only writer of a board.

use std::collections::HashMap;
use std::sync::Arc;

use cdr::{ByteOrder, Stamp};

use crate::board::{self, Board};
use crate::directory::Directory;
use crate::fault::{Fault, FaultSet};
use crate::layout::{Layout, Layouts};
use crate::message::{NameBlock, Reader, Values};

/// The longest name of a joint, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Takes the messages of one topic and writes its [`Board`], of which it is the only writer.
#[derive(Debug)]
pub struct Recorder {
    board: Arc<Board>,
    layouts: Layouts,
    directory: Directory,
}

/// What was found in a message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The message's `header.stamp`.
    pub stamp: Stamp,
    /// How many of the values that were taken are NaN or infinite.
    pub non_finite: NonFinite,
    /// Why some joints were left out; empty when none were.
    pub faults: FaultSet,
}

/// Counts of values that are NaN or infinite, by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NonFinite {
    /// In `position`.
    pub position: u64,
    /// In `velocity`.
    pub velocity: u64,
    /// In `effort`.
    pub effort: u64,
}

impl Recorder {
    /// A recorder with an empty board of its own, for at most `max_joints` joints, which are forgotten when no message has named them for
    /// `forget_after_ns`. Memory for joints is taken as they come, but for 16 bytes of table per 64 joints of the limit.
    #[must_use]
    pub fn new(max_joints: u32, forget_after_ns: u64) -> Self {
        Recorder {
            board: Arc::new(Board::new(max_joints, forget_after_ns)),
            layouts: Layouts::new(),
            directory: Directory::new(max_joints),
        }
    }

    /// The board that this recorder writes.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Takes a serialized message that arrived at `arrival_ns` of a monotonic clock, the same for all calls.
    ///
    /// When the message brings names in an order seen lately, this neither allocates nor hashes, locks or panics.
    ///
    /// # Errors
    /// The reason why the message was refused as a whole; the board is as it was.
    pub fn record(&mut self, message: &[u8], arrival_ns: u64) -> Result<Recorded, Fault> {
        let (mut reader, stamp) = Reader::open(message)?;
        let Some(layout) = self.layouts.find(&reader, arrival_ns) else {
            return self.record_unfamiliar(reader, stamp, arrival_ns);
        };
        reader.skip_names(layout.block_bytes())?;
        let values = reader.values(layout.joints())?;
        let non_finite = store(&self.board, layout, &values, arrival_ns);
        Ok(Recorded { stamp, non_finite, faults: layout.faults() })
    }

    #[cold]
    fn record_unfamiliar(&mut self, mut reader: Reader<'_>, stamp: Stamp, arrival_ns: u64) -> Result<Recorded, Fault> {
        let names = reader.names()?;
        let values = reader.values(names.len())?;
        let layout = self.lay_out(&names, arrival_ns);
        let non_finite = store(&self.board, &layout, &values, arrival_ns);
        let faults = layout.faults();
        self.layouts.insert(layout, arrival_ns);
        Ok(Recorded { stamp, non_finite, faults })
    }

    /// Finds a slot for every joint that can have one.
    fn lay_out(&mut self, names: &NameBlock<'_>, now_ns: u64) -> Layout {
        let joints = joints(names);
        let new = joints.iter().flatten().filter(|name| !self.directory.knows(name)).count();
        if new > self.directory.room() {
            self.sweep(now_ns);
        }
        let slots = joints.into_iter().map(|name| self.directory.admit(name?).ok_or(Fault::TooManyJoints));
        let layout = Layout::new(names, slots, now_ns);
        if new > 0 {
            self.board.publish_names(Arc::clone(self.directory.names()), &[]);
        }
        layout
    }

    /// Takes back the slots of forgotten joints.
    fn sweep(&mut self, now_ns: u64) {
        let forgotten = self.board.forgotten(now_ns);
        if !forgotten.is_empty() {
            self.layouts.drop_leading_to(&forgotten);
            self.directory.release(&forgotten);
            self.board.publish_names(Arc::clone(self.directory.names()), &forgotten);
        }
    }
}

/// The hot path's second half: nothing but stores.
fn store(board: &Board, layout: &Layout, values: &Values<'_>, arrival_ns: u64) -> NonFinite {
    match values.order {
        ByteOrder::Big => store_as(u64::from_be_bytes, board, layout, values, arrival_ns),
        ByteOrder::Little => store_as(u64::from_le_bytes, board, layout, values, arrival_ns),
    }
}

/// Once per byte order, so that the loops need not ask.
fn store_as(
    bits: impl Fn([u8; 8]) -> u64 + Copy,
    board: &Board,
    layout: &Layout,
    values: &Values<'_>,
    arrival_ns: u64,
) -> NonFinite {
    let mut non_finite = NonFinite::default();
    board.write(|| {
        for run in layout.runs() {
            let Some(slots) = board.slots_of(&run.slots) else { continue };
            let values = values.since_joint(run.joint);
            non_finite.position += board::store(slots.position, values.position, bits);
            non_finite.velocity += board::store(slots.velocity, values.velocity, bits);
            non_finite.effort += board::store(slots.effort, values.effort, bits);
            slots.store_seen(arrival_ns);
        }
    });
    non_finite
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
