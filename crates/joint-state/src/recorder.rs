//! Takes messages in: the only writer of a board.

use std::sync::Arc;

use cdr::{ByteOrder, Stamp};

use crate::board::{self, Board, Names};
use crate::decoder::{Decoded, Decoder, Slots};
use crate::fault::{Fault, FaultSet};

/// Takes the messages of one topic and writes its [`Board`], of which it is the only writer.
#[derive(Debug)]
pub struct Recorder {
    board: Arc<Board>,
    decoder: Decoder,
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
        Recorder { board: Arc::new(Board::new(max_joints, forget_after_ns)), decoder: Decoder::new(max_joints) }
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
        let decoded = self.decoder.decode(message, arrival_ns, &mut &*self.board)?;
        let non_finite = store(&self.board, &decoded, arrival_ns);
        Ok(Recorded { stamp: decoded.stamp, non_finite, faults: decoded.faults() })
    }
}

/// The board of the one recorder that holds it.
impl Slots for &Board {
    fn forgotten(&self, now_ns: u64) -> Vec<u32> {
        Board::forgotten(self, now_ns)
    }

    fn rename(&mut self, names: &Arc<Names>, freed: &[u32]) {
        self.publish_names(Arc::clone(names), freed);
    }
}

/// The hot path's second half: nothing but stores.
fn store(board: &Board, decoded: &Decoded<'_>, arrival_ns: u64) -> NonFinite {
    match decoded.values.order {
        ByteOrder::Big => store_as(u64::from_be_bytes, board, decoded, arrival_ns),
        ByteOrder::Little => store_as(u64::from_le_bytes, board, decoded, arrival_ns),
    }
}

/// Once per byte order, so that the loops need not ask.
fn store_as(bits: impl Fn([u8; 8]) -> u64 + Copy, board: &Board, decoded: &Decoded<'_>, arrival_ns: u64) -> NonFinite {
    let mut non_finite = NonFinite::default();
    board.write(|| {
        for run in decoded.layout.runs() {
            let Some(slots) = board.slots_of(&run.slots) else { continue };
            let values = decoded.values.since_joint(run.joint);
            non_finite.position += board::store(slots.position, values.position, bits);
            non_finite.velocity += board::store(slots.velocity, values.velocity, bits);
            non_finite.effort += board::store(slots.effort, values.effort, bits);
            slots.store_seen(arrival_ns);
        }
    });
    non_finite
}
