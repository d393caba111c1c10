//! The values of all joints of a topic, in atomics that one thread writes and any thread reads.
//!
//! # One snapshot is one moment
//!
//! A seqlock without `unsafe`: `version` is odd while the writer stores, and every cell is an atomic, so that a read that meets a write is
//! no data race but only a value to throw away (H.-J. Boehm, *Can Seqlocks Get Along With Programming Language Memory Models?*, MSPC 2012).
//! The writer's k-th section and a reader's attempt, where `data` stands for any store to and load from a slot:
//!
//! ```text
//! W1  version.store(2k+1, Relaxed)        R1  v = version.load(Acquire), even
//! W2  fence(Release)                      R2  data.load(Relaxed)
//! W3  data.store(Relaxed)                 R3  fence(Acquire)
//! W4  version.store(2k+2, Release)        R4  version.load(Relaxed) == v
//! ```
//!
//! Claim: when R4 holds, R2 has read what the sections up to `v` left there, and nothing of a later one.
//! - *Nothing older.* R1 read the value of some W4, with acquire and release: that section, and all before it in the writer's order, happens
//!   before R2. By coherence R2 reads no value that one of their stores has replaced.
//! - *Nothing later.* Suppose R2 read the value of W3 of a later section, k. W2 is sequenced before W3 and R3 after R2: fence W2
//!   synchronizes with fence R3 through that value, so W1 happens before R4, and R4 reads at least 2k+1. But section k is later than the one
//!   that wrote `v`: 2k+1 > v. R4 does not hold.
//!
//! The names are read under their lock within R2 and swapped under it within W3. The lock orders the two as the fences do, so the claim
//! covers them too: names and values of a snapshot belong together.
//!
//! A reader that keeps meeting the writer gives up in the end and takes the values as they come, from more than one moment, and says so in
//! [`Snapshot::torn`]. It then holds the lock of the names meanwhile. A slot changes hands in three sections: the first empties it and takes
//! its name away, the second gives it its new name, the third stores values. The first two take the lock, so a reader that holds it reads
//! no value of a joint but under that joint's name, even then.

use std::array;
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// Slots are allocated this many at a time (2 KiB): a robot of 50 joints takes one piece, whatever the limit is.
const CHUNK_SLOTS: usize = 64;

/// How often a snapshot is begun anew when the writer got in between, before it is taken torn.
const ATTEMPTS: u32 = 32;

/// `last_seen_ns` of a slot that has no joint, or whose joint has had no values.
const NEVER: u64 = 0;

/// What a cell holds when the last message had no value for it.
const ABSENT: u64 = f64::NAN.to_bits();

/// The last values of every joint of a topic. Written by one [`Recorder`](crate::Recorder), read by anyone.
#[derive(Debug)]
pub struct Board {
    version: AtomicU64,
    forget_after_ns: AtomicU64,
    names: Mutex<Arc<Names>>,
    chunks: Box<[OnceLock<Box<Chunk>>]>,
}

/// The slots of 64 joints. A message brings first all positions, then all velocities and then all efforts, so each has a row of its own,
/// which is stored in one go. Aligned, so that no row shares a line of the cache with another.
#[derive(Debug)]
#[repr(align(64))]
struct Chunk {
    position: [AtomicU64; CHUNK_SLOTS],
    velocity: [AtomicU64; CHUNK_SLOTS],
    effort: [AtomicU64; CHUNK_SLOTS],
    last_seen_ns: [AtomicU64; CHUNK_SLOTS],
}

/// The cells of neighbouring slots. The last values of a joint are kept as the bits of `f64`; NaN where the last message had none.
pub(crate) struct Cells<'a> {
    pub(crate) position: &'a [AtomicU64],
    pub(crate) velocity: &'a [AtomicU64],
    pub(crate) effort: &'a [AtomicU64],
    last_seen_ns: &'a [AtomicU64],
}

/// Neighbouring slots of one chunk, at least one.
#[derive(Debug)]
pub(crate) struct SlotRange {
    first: u32,
    len: u32,
}

impl SlotRange {
    /// The range of one slot.
    pub(crate) fn of(slot: u32) -> Self {
        SlotRange { first: slot, len: 1 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + use<> {
        self.first..self.first + self.len
    }

    /// Takes `slot` in if it is the next one and of the same chunk; tells whether it did.
    pub(crate) fn extend_to(&mut self, slot: u32) -> bool {
        let next = slot == self.first + self.len && !(slot as usize).is_multiple_of(CHUNK_SLOTS);
        self.len += u32::from(next);
        next
    }

    /// Whether one of `slots`, which are sorted, is in the range.
    pub(crate) fn contains_any(&self, slots: &[u32]) -> bool {
        let candidate = slots.get(slots.partition_point(|&slot| slot < self.first));
        candidate.is_some_and(|&slot| slot < self.first + self.len)
    }
}

/// The names of the joints, by slot.
///
/// A joint keeps its slot, and the very `Arc` of its name, until it is forgotten and the slot is needed: who keeps text per slot needs to look
/// only when [`generation`](Names::generation) has changed, and then to make anew only where [`Arc::ptr_eq`] says that the name is another.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Grows with every change.
    pub generation: u64,
    /// The name of the joint in each slot; none in a free slot.
    pub of_slot: Vec<Option<Arc<str>>>,
}

impl Names {
    /// The name of the joint in `slot`.
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<&Arc<str>> {
        self.of_slot.get(slot as usize)?.as_ref()
    }
}

/// The state of one joint. Units are those of `sensor_msgs/msg/JointState`: rad or m, rad/s or m/s, N m or N.
/// [`f64::NAN`] where the last message that named the joint had no value.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Where the joint is on the board, and its name in [`Names`].
    pub slot: u32,
    /// Position of the joint, in rad or m.
    pub position: f64,
    /// Velocity of the joint, in rad/s or m/s.
    pub velocity: f64,
    /// Effort applied in the joint, in N m or N.
    pub effort: f64,
    /// Nanoseconds since a message last named the joint.
    pub age_ns: u64,
}

/// What a board held at one moment. Meant to be kept and filled again: its buffer is reused.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Every joint that is not forgotten, by ascending slot.
    pub samples: Vec<Sample>,
    /// The names of the joints in `samples`, and perhaps of forgotten ones.
    pub names: Arc<Names>,
    /// Whether the values are from more than one moment, because messages came faster than the board could be copied.
    pub torn: bool,
}

impl Snapshot {
    /// Every joint that is not forgotten, with its name.
    pub fn joints(&self) -> impl Iterator<Item = (&str, &Sample)> {
        self.samples.iter().filter_map(|sample| Some((&**self.names.get(sample.slot)?, sample)))
    }
}

impl Board {
    /// An empty board with room for `max_joints`, which are forgotten when not seen for `forget_after_ns`.
    pub(crate) fn new(max_joints: u32, forget_after_ns: u64) -> Self {
        let chunks = (max_joints as usize).div_ceil(CHUNK_SLOTS);
        Board {
            version: AtomicU64::new(0),
            forget_after_ns: AtomicU64::new(forget_after_ns),
            names: Mutex::default(),
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Nanoseconds after which a joint that no message has named is forgotten.
    #[must_use]
    pub fn forget_after_ns(&self) -> u64 {
        self.forget_after_ns.load(Ordering::Relaxed)
    }

    /// Changes [`forget_after_ns`](Board::forget_after_ns), from the next snapshot on.
    pub fn set_forget_after_ns(&self, forget_after_ns: u64) {
        self.forget_after_ns.store(forget_after_ns, Ordering::Relaxed);
    }

    /// Copies the state of every joint that is not forgotten at `now_ns`, of the clock that [`Recorder::record`](crate::Recorder::record)
    /// is given. A joint that was seen after `now_ns` has age 0. Allocates only when there are more joints than `into` has held before.
    pub fn snapshot(&self, now_ns: u64, into: &mut Snapshot) {
        into.torn = false;
        for attempt in 0..ATTEMPTS {
            if self.copy_at_rest(now_ns, into) {
                return;
            }
            wait_a_little(attempt);
        }
        into.torn = true;
        self.copy_in_motion(now_ns, into);
    }

    /// Copies the board; false when it was written meanwhile.
    fn copy_at_rest(&self, now_ns: u64, into: &mut Snapshot) -> bool {
        let version = self.version.load(Ordering::Acquire);
        if version % 2 == 1 {
            return false;
        }
        into.names = self.names();
        self.copy_samples(now_ns, &mut into.samples);
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version
    }

    /// Copies the board while it may be written; no slot gets another name meanwhile.
    fn copy_in_motion(&self, now_ns: u64, into: &mut Snapshot) {
        let names = self.lock_names();
        into.names = Arc::clone(&names);
        self.copy_samples(now_ns, &mut into.samples);
    }

    fn copy_samples(&self, now_ns: u64, samples: &mut Vec<Sample>) {
        let forget_after_ns = self.forget_after_ns();
        samples.clear();
        for (first, chunk) in self.chunks() {
            let live = chunk.ages(now_ns).filter(|&(_, age_ns)| age_ns <= forget_after_ns);
            samples.extend(live.map(|(index, age_ns)| chunk.sample(first, index, age_ns)));
        }
    }

    /// Every chunk that there is, with the number of its first slot.
    fn chunks(&self) -> impl Iterator<Item = (u32, &Chunk)> {
        (0..).step_by(CHUNK_SLOTS).zip(self.chunks.iter().map_while(OnceLock::get).map(AsRef::as_ref))
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(&self.lock_names())
    }

    fn lock_names(&self) -> MutexGuard<'_, Arc<Names>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What only the one [`Recorder`](crate::Recorder) of a board may do, never two threads at once.
impl Board {
    /// Runs `section`, whose stores every snapshot shows together or not at all.
    pub(crate) fn write(&self, section: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        section();
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The slots of `range`; none where [`publish_names`](Board::publish_names) has made none.
    pub(crate) fn slots_of(&self, range: &SlotRange) -> Option<Cells<'_>> {
        let chunk = self.chunks.get(range.first as usize / CHUNK_SLOTS)?.get()?;
        let start = range.first as usize % CHUNK_SLOTS;
        let range = start..start + range.len();
        Some(Cells {
            position: chunk.position.get(range.clone())?,
            velocity: chunk.velocity.get(range.clone())?,
            effort: chunk.effort.get(range.clone())?,
            last_seen_ns: chunk.last_seen_ns.get(range)?,
        })
    }

    /// The slots whose joint is forgotten at `now_ns`.
    pub(crate) fn forgotten(&self, now_ns: u64) -> Vec<u32> {
        let forget_after_ns = self.forget_after_ns();
        let forgotten = |(first, chunk): (u32, &Chunk)| {
            let old = chunk.ages(now_ns).filter(|&(_, age_ns)| age_ns > forget_after_ns);
            old.map(|(index, _)| first + index as u32).collect::<Vec<_>>()
        };
        self.chunks().flat_map(forgotten).collect()
    }

    /// Empties the slots `emptied`, makes those that `names` needs, and shows `names` from now on.
    pub(crate) fn publish_names(&self, names: Arc<Names>, emptied: &[u32]) {
        for chunk in self.chunks.iter().take(names.of_slot.len().div_ceil(CHUNK_SLOTS)) {
            chunk.get_or_init(|| Box::new(Chunk::new()));
        }
        self.write(|| {
            for slot in emptied.iter().filter_map(|&slot| self.slots_of(&SlotRange::of(slot))) {
                fill(slot.last_seen_ns, NEVER);
            }
            *self.lock_names() = names;
        });
    }
}

impl Chunk {
    fn new() -> Self {
        let row = || array::from_fn(|_| AtomicU64::default());
        Chunk { position: row(), velocity: row(), effort: row(), last_seen_ns: row() }
    }

    /// The index of each slot whose joint has had values, and nanoseconds since it last had.
    fn ages(&self, now_ns: u64) -> impl Iterator<Item = (usize, u64)> {
        self.last_seen_ns.iter().enumerate().filter_map(move |(index, cell)| match cell.load(Ordering::Relaxed) {
            NEVER => None,
            last_seen_ns => Some((index, now_ns.saturating_sub(last_seen_ns))),
        })
    }

    fn sample(&self, first_slot: u32, index: usize, age_ns: u64) -> Sample {
        let value = |row: &[AtomicU64; CHUNK_SLOTS]| f64::from_bits(row[index].load(Ordering::Relaxed));
        Sample {
            slot: first_slot + index as u32,
            position: value(&self.position),
            velocity: value(&self.velocity),
            effort: value(&self.effort),
            age_ns,
        }
    }
}

impl Cells<'_> {
    /// Notes that a message of `arrival_ns` has named the joints.
    pub(crate) fn store_seen(&self, arrival_ns: u64) {
        fill(self.last_seen_ns, arrival_ns.max(NEVER + 1));
    }
}

/// Stores one value in each of `cells`, and that there is none in those for which there are too few. Returns how many values are NaN or
/// infinite.
pub(crate) fn store(cells: &[AtomicU64], values: &[[u8; 8]], bits: impl Fn([u8; 8]) -> u64) -> u64 {
    for (cell, &value) in cells.iter().zip(values) {
        cell.store(bits(value), Ordering::Relaxed);
    }
    fill(cells.get(values.len()..).unwrap_or_default(), ABSENT);
    // Apart from the stores, which are atomic, the compiler counts several at a time.
    values.iter().take(cells.len()).map(|&value| is_non_finite(bits(value))).sum()
}

/// 1 for NaN and infinities, whose exponent is all ones (IEEE 754-2019, 3.4): one more carries into the bit of the sign.
fn is_non_finite(bits: u64) -> u64 {
    const EXPONENT: u64 = 0x7ff << 52;
    ((bits & EXPONENT) + (1 << 52)) >> 63
}

fn fill(cells: &[AtomicU64], value: u64) {
    cells.iter().for_each(|cell| cell.store(value, Ordering::Relaxed));
}

/// Lets the writer finish: a message takes it about a microsecond, unless it has lost its core.
fn wait_a_little(attempt: u32) {
    if attempt < ATTEMPTS / 2 {
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_grows_by_the_next_slot_of_its_chunk_only() {
        let mut range = SlotRange::of(61);
        assert_eq!([63, 62, 62, 63, 64].map(|slot| range.extend_to(slot)), [false, true, false, true, false]);
        assert_eq!((range.first, range.len()), (61, 3));
    }

    #[test]
    fn a_range_knows_its_slots() {
        let range = SlotRange { first: 4, len: 3 };
        assert!([4, 5, 6].iter().all(|&slot| range.contains_any(&[1, slot, 9])));
        assert!(!range.contains_any(&[]));
        assert!(!range.contains_any(&[3, 7]));
    }

    #[test]
    fn a_board_has_no_slots_but_those_of_its_names() {
        let board = Board::new(100, 0);
        assert!(board.slots_of(&SlotRange::of(0)).is_none());
        board.publish_names(Arc::new(Names { generation: 1, of_slot: vec![None; 65] }), &[]);
        assert!(board.slots_of(&SlotRange { first: 66, len: 2 }).is_some_and(|slots| slots.effort.len() == 2));
        assert!(board.slots_of(&SlotRange::of(128)).is_none());
    }
    /// The writer takes the slots from their joints and gives them to others, as a recorder does, while a reader copies all the time.
    #[test]
    fn a_torn_snapshot_shows_values_under_their_own_names() {
        const ROUNDS: u64 = 2_000;
        let board = Board::new(CHUNK_SLOTS as u32, u64::MAX);
        let slots: Vec<u32> = (0..CHUNK_SLOTS as u32).collect();
        let all = SlotRange { first: 0, len: CHUNK_SLOTS as u32 };
        let names =
            |generation, name: Option<Arc<str>>| Arc::new(Names { generation, of_slot: vec![name; CHUNK_SLOTS] });
        let write = |round: u64| {
            board.publish_names(names(2 * round, None), &slots);
            board.publish_names(names(2 * round + 1, Some(round.to_string().into())), &[]);
            board.write(|| {
                let values = [(round as f64).to_le_bytes(); CHUNK_SLOTS];
                let slots = board.slots_of(&all).expect("those of the names");
                store(slots.position, &values, u64::from_le_bytes);
                slots.store_seen(round);
            });
        };
        write(1);
        thread::scope(|scope| {
            let writer = scope.spawn(|| (2..ROUNDS).for_each(write));
            let mut snapshot = Snapshot::default();
            while !writer.is_finished() {
                board.copy_in_motion(0, &mut snapshot);
                assert_eq!(snapshot.joints().count(), snapshot.samples.len(), "every sample has a name");
                for (name, sample) in snapshot.joints() {
                    assert_eq!(name.parse(), Ok(sample.position));
                }
            }
        });
    }
}
