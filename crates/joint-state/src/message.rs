//! Reads `sensor_msgs/msg/JointState` from CDR.
//!
//! The definition (common_interfaces, `sensor_msgs/msg/JointState.msg`), after the encapsulation header:
//!
//! ```text
//! stamp          i32 sec, u32 nanosec
//! frame_id       u32 length with the NUL, bytes, NUL
//! name           u32 count, count x (u32 length with the NUL, bytes, NUL)
//! position       u32 count, count x f64
//! velocity       u32 count, count x f64
//! effort         u32 count, count x f64
//! ```
//!
//! What the names mean, and where values go, is not decided here.

use std::ops::Range;

use cdr::{ByteOrder, Doubles, Stamp};

use crate::fault::Fault;

/// The longest message that is read: a million joints with names of 32 bytes. A count that needs more is a lie, whatever
/// else is true of the message.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The most names that are read: working out where they go takes memory for each, before any limit of joints counts.
const NAMES_MAX: usize = 1 << 20;

/// The most bytes that may follow the last field: rmw's own serializer reserves room for alignment that empty arrays do
/// not use, up to 12 bytes, and some senders pad the payload to a multiple of 4 or 8.
const TRAILING_BYTES_MAX: usize = 15;

/// A place in a message, moved on by reading.
pub(crate) struct Reader<'a>(cdr::Reader<'a>);

impl<'a> Reader<'a> {
    /// Reads the message's header; leaves the reader where the names begin.
    pub fn open(message: &'a [u8]) -> Result<(Self, Stamp), Fault> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::BadLength);
        }
        let mut reader = cdr::Reader::open(message)?;
        let stamp = reader.stamp()?;
        let _frame_id = reader.string()?;
        reader.align(size_of::<u32>())?;
        Ok((Reader(reader), stamp))
    }

    pub fn order(&self) -> ByteOrder {
        self.0.order()
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }

    /// Passes over a block of names that is known to be here, `bytes` long.
    pub fn skip_names(&mut self, bytes: usize) -> Result<(), Fault> {
        self.0.take(bytes)?;
        Ok(())
    }

    /// Reads the sequence of names.
    pub fn names(&mut self) -> Result<NameBlock<'a>, Fault> {
        let block = self.rest();
        let start = self.0.position();
        let count = self.0.count(NAMES_MAX)?;
        for _ in 0..count {
            self.0.string()?;
        }
        Ok(NameBlock { bytes: &block[..self.0.position() - start], count, order: self.order() })
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
        Ok(Values { position, velocity, effort, order: self.order() })
    }

    fn doubles(&mut self) -> Result<Doubles<'a>, Fault> {
        Ok(self.0.doubles(MESSAGE_BYTES_MAX / size_of::<f64>())?)
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
        let mut reader = cdr::Reader::of_body(self.bytes, self.order);
        let count = reader.u32().map_or(0, |_| self.count);
        (0..count).map_while(move |_| {
            reader.align(size_of::<u32>()).ok()?;
            let start = reader.position();
            let name = reader.string().ok()?;
            Some((start..reader.position(), name))
        })
    }
}

/// The values of a message, by the index of the joint's name; each sequence may be shorter than the names.
#[derive(Debug)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_a_name_block_leaves_out_the_padding() {
        let bytes =
            [&[2, 0, 0, 0][..], &[2, 0, 0, 0, b'a', 0, 7, 7], &[4, 0, 0, 0, b'a', b'b', b'c', 0], &[9]].concat();
        let mut reader = Reader(cdr::Reader::of_body(&bytes, ByteOrder::Little));
        let block = reader.names().expect("two names");
        assert_eq!(block.names().collect::<Vec<_>>(), [&b"a"[..], b"abc"]);
        assert_eq!(*block.mask(), [[0xff; 10].as_slice(), &[0, 0], &[0xff; 8]].concat());
    }
}
