//! A `sensor_msgs/msg/JointState` to send: encoded once, changed in place.

use std::ops::Range;

use cdr::{Stamp, Writer};

/// A quantity of a joint; each has an array of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    Position,
    Velocity,
    Effort,
}

impl Field {
    /// All, in the order of the message.
    pub const ALL: [Field; 3] = [Field::Position, Field::Velocity, Field::Effort];
}

/// A serialized message of certain joints, whose stamp and values can be changed without encoding it again.
#[derive(Clone, Debug)]
pub struct JointStateMessage {
    bytes: Vec<u8>,
    stamp: Range<usize>,
    /// Where the values of each field lie; nowhere for one that is not sent.
    rows: [Range<usize>; Field::ALL.len()],
}

impl JointStateMessage {
    /// A message of the joints of these names, in this order, with these fields; stamp and values are zero.
    #[must_use]
    pub fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>, fields: &[Field]) -> Self {
        let mut writer = Writer::default();
        let stamp = writer.header();
        let joints = names.len();
        writer.length(joints);
        names.for_each(|name| writer.string(name));
        let rows = Field::ALL.map(|field| writer.doubles(if fields.contains(&field) { joints } else { 0 }));
        Self { bytes: writer.into_bytes(), stamp, rows }
    }

    /// The message as the middleware takes it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes `header.stamp`.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.bytes[self.stamp.clone()].copy_from_slice(&stamp.to_le_bytes());
    }

    /// Writes the values of a field, in the order of the joints; what there are too many of goes nowhere.
    pub fn set_values(&mut self, field: Field, values: impl IntoIterator<Item = f64>) {
        cdr::set_doubles(self.row_mut(field), values);
    }

    /// The values of a field as they lie in the message, little endian; empty for one that is not sent.
    pub fn row_mut(&mut self, field: Field) -> &mut [u8] {
        &mut self.bytes[self.rows[field as usize].clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recorder, Snapshot};

    #[test]
    fn what_is_sent_is_what_is_recorded() {
        let mut message = JointStateMessage::new(["a", "elbow"].into_iter(), &[Field::Position, Field::Effort]);
        message.set_stamp(Stamp { sec: 3, nanosec: 4 });
        message.set_values(Field::Position, [1.5, -2.0, 9.0]);
        message.set_values(Field::Velocity, [9.0]);
        message.set_values(Field::Effort, [0.25]);
        let mut recorder = Recorder::new(8, u64::MAX);
        let recorded = recorder.record(message.as_bytes(), 1).expect("a good message");
        assert_eq!((recorded.stamp.sec, recorded.stamp.nanosec), (3, 4));
        let mut snapshot = Snapshot::default();
        recorder.board().snapshot(1, &mut snapshot);
        let joints: Vec<_> = snapshot.joints().map(|(name, sample)| (name, sample.position, sample.effort)).collect();
        assert_eq!(joints, [("a", 1.5, 0.25), ("elbow", -2.0, 0.0)]);
        assert!(snapshot.samples.iter().all(|sample| sample.velocity.is_nan()));
    }
}
