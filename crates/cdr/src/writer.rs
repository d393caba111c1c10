//! A serialized message in the making.

use std::ops::Range;

/// Little-endian plain CDR, no options.
const ENCAPSULATION: [u8; 4] = [0, 1, 0, 0];

/// Appends the fields of a message in little-endian CDR. What it makes can then be changed in place, where values are of
/// fixed size: every field tells where it lies.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: ENCAPSULATION.to_vec() }
    }
}

impl Writer {
    /// The message, with its encapsulation header.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bytes there are, the encapsulation header among them.
    #[must_use]
    pub fn position(&self) -> usize {
        self.bytes.len()
    }

    /// A `u8`, or a `bool`.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A `u32`, or an `i32` as its bits.
    pub fn u32(&mut self, value: u32) -> Range<usize> {
        self.align(size_of::<u32>());
        self.append(&value.to_le_bytes())
    }

    /// An `f64`.
    pub fn f64(&mut self, value: f64) -> Range<usize> {
        self.align(size_of::<f64>());
        self.append(&value.to_le_bytes())
    }

    /// The length of a sequence.
    ///
    /// # Panics
    /// When it does not fit 32 bits.
    pub fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).expect("a CDR length has 32 bits"));
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.length(text.len() + 1);
        self.append(text.as_bytes());
        self.bytes.push(0);
    }

    /// A `std_msgs/msg/Header`, all zero; returns where its stamp lies.
    pub fn header(&mut self) -> Range<usize> {
        let stamp = self.time();
        self.string("");
        stamp
    }

    /// A `builtin_interfaces/msg/Time` or `Duration`, zero.
    pub fn time(&mut self) -> Range<usize> {
        let sec = self.u32(0);
        let nanosec = self.u32(0);
        sec.start..nanosec.end
    }

    /// A sequence of octets, all zero.
    pub fn octets(&mut self, count: usize) {
        self.length(count);
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    /// A sequence of `f64`, all zero; returns where its values lie.
    pub fn doubles(&mut self, count: usize) -> Range<usize> {
        self.length(count);
        if count > 0 {
            self.align(size_of::<f64>());
        }
        let first = self.bytes.len();
        self.bytes.resize(first + count * size_of::<f64>(), 0);
        first..self.bytes.len()
    }

    /// Alignment counts from behind the encapsulation header.
    fn align(&mut self, alignment: usize) {
        let length = self.bytes.len() - ENCAPSULATION.len();
        self.bytes.resize(ENCAPSULATION.len() + length.next_multiple_of(alignment), 0);
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

/// Writes doubles over those of a message, as [`Writer::doubles`] tells where they lie, and tells how many; what there are
/// too many of goes nowhere.
pub fn set_doubles(row: &mut [u8], values: impl IntoIterator<Item = f64>) -> usize {
    let cells = row.chunks_exact_mut(size_of::<f64>());
    cells.zip(values).map(|(cell, value)| cell.copy_from_slice(&value.to_le_bytes())).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;

    #[test]
    fn what_is_written_is_read_again_with_its_alignment() {
        let mut writer = Writer::default();
        let stamp = writer.header();
        writer.string("ab");
        let value = writer.f64(1.5);
        let doubles = writer.doubles(2);
        let none = writer.doubles(0);
        writer.octets(3);
        writer.u8(7);
        assert_eq!((stamp, value, doubles, none), (4..12, 28..36, 44..60, 64..64));
        let bytes = writer.into_bytes();
        let mut reader = Reader::open(&bytes).expect("an encapsulation header");
        assert_eq!(reader.stamp().map(|stamp| stamp.clock_nanoseconds()), Ok(0));
        assert_eq!(reader.string(), Ok(&b""[..]));
        assert_eq!(reader.string(), Ok(&b"ab"[..]));
        reader.align(8).expect("padding");
        assert_eq!(reader.take(8), Ok(&1.5_f64.to_le_bytes()[..]));
        assert_eq!(reader.doubles(2).map(<[_]>::len), Ok(2));
        assert_eq!(reader.doubles(2).map(<[_]>::len), Ok(0));
        assert_eq!(reader.rest(), [3, 0, 0, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn doubles_are_written_over_as_far_as_there_are_cells() {
        for (values, written) in [(&[1.5][..], 1), (&[1.5, -2.0, 9.0], 2)] {
            let mut row = [0; 16];
            assert_eq!(set_doubles(&mut row, values.iter().copied()), written);
            assert_eq!(row[..8], 1.5_f64.to_le_bytes());
            assert_eq!(row[8..] == (-2.0_f64).to_le_bytes(), written == 2);
        }
    }
}
