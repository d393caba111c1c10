//! A place in a serialized message, moved on by reading.

use thiserror::Error;

use crate::Stamp;

/// The longest string that is read. A length beyond it is a lie, whatever else is true of the message.
const STRING_BYTES_MAX: usize = 64 << 20;

/// Why bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// The encapsulation header announces neither big-endian nor little-endian plain CDR.
    #[error("not encoded in plain CDR")]
    WrongEncoding,
    /// The message ends before the data that it announces.
    #[error("ends before the data that it announces")]
    Truncated,
    /// A count beyond what is allowed, or a string that does not end in NUL where its length says.
    #[error("contradicts its own lengths")]
    BadLength,
}

impl Fault {
    /// Every fault, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::WrongEncoding, Self::Truncated, Self::BadLength];

    /// The reason as the value of a metric's label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::WrongEncoding => "wrong_encoding",
            Self::Truncated => "truncated",
            Self::BadLength => "bad_length",
        }
    }
}

/// The order of the bytes of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ByteOrder {
    Big,
    Little,
}

/// A sequence of `f64` as it lies in a message.
pub type Doubles<'a> = &'a [[u8; size_of::<f64>()]];

/// A place in a message, moved on by reading.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// What follows the encapsulation header, the origin of alignment.
    body: &'a [u8],
    at: usize,
    order: ByteOrder,
}

impl<'a> Reader<'a> {
    /// Reads the encapsulation header (0x00 0x00 for big endian or 0x00 0x01 for little endian, 2 bytes of options).
    ///
    /// # Errors
    /// [`Fault::Truncated`], [`Fault::WrongEncoding`].
    #[inline]
    pub fn open(message: &'a [u8]) -> Result<Self, Fault> {
        let (encapsulation, body) = message.split_first_chunk::<4>().ok_or(Fault::Truncated)?;
        match encapsulation {
            [0, 0, _, _] => Ok(Self::of_body(body, ByteOrder::Big)),
            [0, 1, _, _] => Ok(Self::of_body(body, ByteOrder::Little)),
            _ => Err(Fault::WrongEncoding),
        }
    }

    /// A reader of what follows an encapsulation header, or of a part that begins where any primitive may.
    #[inline]
    #[must_use]
    pub fn of_body(body: &'a [u8], order: ByteOrder) -> Self {
        Reader { body, at: 0, order }
    }

    /// The byte order.
    #[inline]
    #[must_use]
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// How many bytes of the body have been read.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What has not been read.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Reads a `builtin_interfaces/msg/Time`, with which a `std_msgs/msg/Header` begins.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    #[inline]
    pub fn stamp(&mut self) -> Result<Stamp, Fault> {
        Ok(Stamp { sec: self.u32()?.cast_signed(), nanosec: self.u32()? })
    }

    /// Reads a sequence of `f64`, of which there may be `most`.
    ///
    /// # Errors
    /// [`Fault::BadLength`], [`Fault::Truncated`].
    #[inline]
    pub fn doubles(&mut self, most: usize) -> Result<Doubles<'a>, Fault> {
        let count = self.count(most)?;
        if count > 0 {
            self.align(size_of::<f64>())?;
        }
        let bytes = count.checked_mul(size_of::<f64>()).ok_or(Fault::BadLength)?;
        Ok(self.take(bytes)?.as_chunks().0)
    }

    /// Reads a string; returns it without its NUL. An empty one may come without NUL, with length 0: CDR does not allow it, but some senders
    /// do it.
    ///
    /// # Errors
    /// [`Fault::BadLength`], [`Fault::Truncated`].
    #[inline]
    pub fn string(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.count(STRING_BYTES_MAX)?;
        match self.take(length)?.split_last() {
            None => Ok(&[]),
            Some((0, text)) => Ok(text),
            Some(_) => Err(Fault::BadLength),
        }
    }

    /// Reads a count of elements, of which there may be `most`.
    ///
    /// # Errors
    /// [`Fault::BadLength`], [`Fault::Truncated`].
    #[inline]
    pub fn count(&mut self, most: usize) -> Result<usize, Fault> {
        let count = self.u32()? as usize;
        if count > most { Err(Fault::BadLength) } else { Ok(count) }
    }

    /// Reads a `byte`.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Fault> {
        self.take(1)?.first().copied().ok_or(Fault::Truncated)
    }

    /// Reads a `uint32`.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.align(size_of::<u32>())?;
        let raw = *self.take(size_of::<u32>())?.first_chunk().ok_or(Fault::Truncated)?;
        Ok(match self.order {
            ByteOrder::Big => u32::from_be_bytes(raw),
            ByteOrder::Little => u32::from_le_bytes(raw),
        })
    }

    /// Passes over the padding before a primitive of `to` bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    #[inline]
    pub fn align(&mut self, to: usize) -> Result<(), Fault> {
        self.take(self.at.next_multiple_of(to) - self.at).map(drop)
    }

    /// Passes over `length` bytes and returns them.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let taken = self.rest().get(..length).ok_or(Fault::Truncated)?;
        self.at += length;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_byte_orders_and_only_if_all_of_them_is_there() {
        let little = [0, 1, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0];
        let big = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5];
        for message in [little, big] {
            assert_eq!(Reader::open(&message).unwrap().stamp(), Ok(Stamp { sec: 2, nanosec: 5 }));
            for length in 0..message.len() {
                let stamp = Reader::open(&message[..length]).and_then(|mut reader| reader.stamp());
                assert_eq!(stamp, Err(Fault::Truncated), "{length}");
            }
        }
        assert_eq!(Reader::open(&[0, 7, 0, 0]).err(), Some(Fault::WrongEncoding));
        assert_eq!(Reader::open(&[1, 1, 0, 0]).err(), Some(Fault::WrongEncoding));
    }

    #[test]
    fn what_follows_a_string_is_aligned_to_its_size() {
        let body = [&[2, 0, 0, 0, b'a', 0, 7, 7][..], &[1, 0, 0, 0], &[7; 4], &1.5_f64.to_le_bytes()].concat();
        let mut reader = Reader::of_body(&body, ByteOrder::Little);
        assert_eq!(reader.string(), Ok(&b"a"[..]));
        assert_eq!(reader.position(), 6);
        assert_eq!(reader.doubles(1), Ok(&[1.5_f64.to_le_bytes()][..]));
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let string = |bytes: &[u8]| Reader::of_body(bytes, ByteOrder::Little).string().err();
        assert_eq!(string(&[0, 0, 0, 0]), None, "an empty string without NUL");
        assert_eq!(string(&[1, 0, 0, 0, b'a']), Some(Fault::BadLength), "no NUL");
        assert_eq!(string(&[2, 0, 0, 0, 0]), Some(Fault::Truncated));
        assert_eq!(string(&[0xff; 4]), Some(Fault::BadLength));
        let doubles = |most| Reader::of_body(&[0xff; 12], ByteOrder::Little).doubles(most).err();
        assert_eq!((doubles(7), doubles(usize::MAX)), (Some(Fault::BadLength), Some(Fault::Truncated)));
    }
}
