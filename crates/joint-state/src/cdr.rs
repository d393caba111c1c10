//! Reads `sensor_msgs/msg/JointState` from CDR, without copying and without trusting a length.
//!
//! The definition (common_interfaces, `sensor_msgs/msg/JointState.msg`) as plain CDR (OMG DDSI-RTPS 2.5 §10.2 for the encapsulation,
//! OMG CDR, formal/02-06-51 §15.3, for the rest); every primitive is aligned to its size, counted from after the encapsulation header:
//!
//! ```text
//! encapsulation  0x00 0x00 (big endian) or 0x00 0x01 (little endian), 2 bytes of options
//! stamp          i32 sec, u32 nanosec
//! frame_id       u32 length with the NUL, bytes, NUL
//! name           u32 count, count x (u32 length with the NUL, bytes, NUL)
//! position       u32 count, count x f64
//! velocity       u32 count, count x f64
//! effort         u32 count, count x f64
//! ```
//!
//! Padding is never looked at: Fast CDR, for one, leaves there what the buffer held before.
//!
//! What the names mean, and where values go, is not decided here.

use std::ops::Range;

use crate::fault::Fault;

/// The longest message that is read: a million joints with names of 32 bytes. A count that needs more is a lie, whatever
/// else is true of the message.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The most names that are read: working out where they go takes memory for each, before any limit of joints counts.
const NAMES_MAX: usize = 1 << 20;

/// The most bytes that may follow the last field: rmw's own serializer reserves room for alignment that empty arrays do
/// not use, up to 12 bytes, and some senders pad the payload to a multiple of 4 or 8.
const TRAILING_BYTES_MAX: usize = 15;

/// When a message was made, by its `header.stamp` (`builtin_interfaces/msg/Time`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since the epoch of the sender's clock.
    pub sec: i32,
    /// Nanoseconds after `sec`; less than 10⁹ in a valid stamp.
    pub nanosec: u32,
}

impl Stamp {
    /// Nanoseconds since the epoch of the sender's clock; `None` for a stamp that tells no time: one left at zero, one
    /// before the epoch, one with a second or more of nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> Option<i64> {
        const SECOND_NS: u32 = 1_000_000_000;
        if self.sec < 0 || self.nanosec >= SECOND_NS || (self.sec == 0 && self.nanosec == 0) {
            return None;
        }
        Some(self.sec as i64 * SECOND_NS as i64 + self.nanosec as i64)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Big,
    Little,
}

/// A place in a message, moved on by reading.
pub(crate) struct Reader<'a> {
    /// What follows the encapsulation header, the origin of alignment.
    bytes: &'a [u8],
    at: usize,
    order: ByteOrder,
}

impl<'a> Reader<'a> {
    /// Reads the encapsulation header and the message's header; leaves the reader where the names begin.
    pub fn open(message: &'a [u8]) -> Result<(Self, Stamp), Fault> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::BadLength);
        }
        let (encapsulation, bytes) = message.split_first_chunk::<4>().ok_or(Fault::Truncated)?;
        let order = match encapsulation {
            [0, 0, _, _] => ByteOrder::Big,
            [0, 1, _, _] => ByteOrder::Little,
            _ => return Err(Fault::WrongEncoding),
        };
        let mut reader = Reader { bytes, at: 0, order };
        let stamp = Stamp { sec: reader.u32()?.cast_signed(), nanosec: reader.u32()? };
        let _frame_id = reader.string()?;
        reader.align(4)?;
        Ok((reader, stamp))
    }

    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Passes over a block of names that is known to be here, `bytes` long.
    pub fn skip_names(&mut self, bytes: usize) -> Result<(), Fault> {
        self.take(bytes).map(drop)
    }

    /// Reads the sequence of names.
    pub fn names(&mut self) -> Result<NameBlock<'a>, Fault> {
        let block = self.rest();
        let start = self.at;
        let count = self.count(NAMES_MAX)?;
        for _ in 0..count {
            self.string()?;
        }
        Ok(NameBlock { bytes: &block[..self.at - start], count, order: self.order })
    }

    /// Reads the three sequences of values, which end the message, for that many joints.
    pub fn values(mut self, joints: usize) -> Result<Values<'a>, Fault> {
        let [position, velocity, effort] = [self.doubles()?, self.doubles()?, self.doubles()?];
        if self.rest().len() > TRAILING_BYTES_MAX {
            return Err(Fault::BadLength);
        }
        if position.len().max(velocity.len()).max(effort.len()) > joints {
            return Err(Fault::LengthMismatch);
        }
        Ok(Values { position, velocity, effort, order: self.order })
    }

    fn doubles(&mut self) -> Result<Doubles<'a>, Fault> {
        let count = self.count(MESSAGE_BYTES_MAX / size_of::<f64>())?;
        if count > 0 {
            self.align(size_of::<f64>())?;
        }
        Ok(self.take(count * size_of::<f64>())?.as_chunks().0)
    }

    /// A string without its NUL. An empty one may come without NUL, with length 0: CDR does not allow it, but some senders do it.
    fn string(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.count(MESSAGE_BYTES_MAX)?;
        match self.take(length)?.split_last() {
            None => Ok(&[]),
            Some((0, text)) => Ok(text),
            Some(_) => Err(Fault::BadLength),
        }
    }

    /// A count of elements, of which there may be `most`.
    fn count(&mut self, most: usize) -> Result<usize, Fault> {
        let count = self.u32()? as usize;
        if count > most { Err(Fault::BadLength) } else { Ok(count) }
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.align(4)?;
        let raw = *self.take(4)?.first_chunk().ok_or(Fault::Truncated)?;
        Ok(match self.order {
            ByteOrder::Big => u32::from_be_bytes(raw),
            ByteOrder::Little => u32::from_le_bytes(raw),
        })
    }

    fn align(&mut self, to: usize) -> Result<(), Fault> {
        self.take(self.at.next_multiple_of(to) - self.at).map(drop)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let taken = self.rest().get(..length).ok_or(Fault::Truncated)?;
        self.at += length;
        Ok(taken)
    }
}

/// The sequence of names as it lies in a message, from its count to the end of the last name; its lengths have been checked.
///
/// It begins at a multiple of 4 and holds nothing that is aligned to more: the same names make the same block wherever it begins, but for
/// the padding between them. And it tells its own length: a message that goes on with a known block has that block's names and no more.
pub(crate) struct NameBlock<'a> {
    bytes: &'a [u8],
    count: usize,
    order: ByteOrder,
}

impl<'a> NameBlock<'a> {
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// The names, as bytes without the NUL at their end.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.strings().map(|(_, name)| name)
    }

    /// For each byte of the block 0xff, or 0 where it is padding.
    pub fn mask(&self) -> Box<[u8]> {
        let mut mask = vec![0; self.bytes.len()];
        mask[..size_of::<u32>()].fill(0xff);
        self.strings().for_each(|(range, _)| mask[range].fill(0xff));
        mask.into()
    }

    /// Every name, and where in the block it lies with its length and its NUL.
    fn strings(&self) -> impl Iterator<Item = (Range<usize>, &'a [u8])> {
        let mut reader = Reader { bytes: self.bytes, at: size_of::<u32>(), order: self.order };
        (0..self.count).map_while(move |_| {
            reader.align(size_of::<u32>()).ok()?;
            let start = reader.at;
            let name = reader.string().ok()?;
            Some((start..reader.at, name))
        })
    }
}

/// The values of a message, by the index of the joint's name; each sequence may be shorter than the names.
pub(crate) struct Values<'a> {
    pub position: Doubles<'a>,
    pub velocity: Doubles<'a>,
    pub effort: Doubles<'a>,
    pub order: ByteOrder,
}

impl Values<'_> {
    /// The values of the joints from index `joint` on.
    pub fn since_joint(&self, joint: usize) -> Self {
        Values {
            position: self.position.get(joint..).unwrap_or_default(),
            velocity: self.velocity.get(joint..).unwrap_or_default(),
            effort: self.effort.get(joint..).unwrap_or_default(),
            order: self.order,
        }
    }
}

/// A sequence of `f64` as it lies in a message.
pub(crate) type Doubles<'a> = &'a [[u8; size_of::<f64>()]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_a_time_or_none() {
        let nanoseconds = |sec, nanosec| Stamp { sec, nanosec }.nanoseconds();
        assert_eq!(nanoseconds(1, 5), Some(1_000_000_005));
        assert_eq!(nanoseconds(0, 1), Some(1));
        assert_eq!(nanoseconds(i32::MAX, 999_999_999), Some(2_147_483_647_999_999_999));
        for (sec, nanosec) in [(0, 0), (-1, 0), (i32::MIN, 5), (1, 1_000_000_000), (i32::MAX, u32::MAX)] {
            assert_eq!(nanoseconds(sec, nanosec), None, "{sec}, {nanosec}");
        }
    }

    #[test]
    fn the_mask_of_a_name_block_leaves_out_the_padding() {
        let bytes =
            [&[2, 0, 0, 0][..], &[2, 0, 0, 0, b'a', 0, 7, 7], &[4, 0, 0, 0, b'a', b'b', b'c', 0], &[9]].concat();
        let mut reader = Reader { bytes: &bytes, at: 0, order: ByteOrder::Little };
        let block = reader.names().expect("two names");
        assert_eq!(block.names().collect::<Vec<_>>(), [&b"a"[..], b"abc"]);
        assert_eq!(*block.mask(), [[0xff; 10].as_slice(), &[0, 0], &[0xff; 8]].concat());
    }
}
