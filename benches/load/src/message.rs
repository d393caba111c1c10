//! Messages as they travel, made once and changed in place.

use std::ops::Range;

use cdr::{Stamp, Writer};
use joint_state::{Field, JointStateMessage};

/// Messages in one turn of the sine that every joint follows.
const PERIOD: usize = 1000;

/// A `sensor_msgs/msg/JointState` of joints that swing.
pub struct SwingingJoints {
    message: JointStateMessage,
    /// Two turns and one more value per joint, so that any array is one slice of it.
    wave: Vec<u8>,
    phase: usize,
}

impl SwingingJoints {
    /// The name of its type.
    pub const TYPE: &'static str = "sensor_msgs/msg/JointState";

    /// A message with these joints, in this order.
    pub fn new(names: &[String], fields: &[Field]) -> Self {
        let message = JointStateMessage::new(names.iter().map(String::as_str), fields);
        let mut joints = Self { message, wave: wave(names.len()), phase: 0 };
        joints.advance();
        joints
    }

    /// The message as the middleware takes it.
    pub fn as_bytes(&self) -> &[u8] {
        self.message.as_bytes()
    }

    /// Writes `header.stamp`.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.message.set_stamp(stamp);
    }

    /// Writes the position of the first joint, if there is one.
    pub fn set_first_position(&mut self, position: f64) {
        self.message.set_values(Field::Position, [position]);
    }

    /// Moves every joint one step on: positions along a sine, velocities a quarter of a turn ahead, efforts half.
    pub fn advance(&mut self) {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            let row = self.message.row_mut(field);
            let start = (self.phase + index * PERIOD / 4) * 8;
            row.copy_from_slice(&self.wave[start..start + row.len()]);
        }
        self.phase = (self.phase + 1) % PERIOD;
    }
}

fn wave(joints: usize) -> Vec<u8> {
    (0..2 * PERIOD + joints)
        .flat_map(|step| (step as f64 / PERIOD as f64 * std::f64::consts::TAU).sin().to_le_bytes())
        .collect()
}

/// A `sensor_msgs/msg/CompressedImage` of any size: what a message weighs, whatever it means.
pub struct CompressedImageMessage {
    bytes: Vec<u8>,
    stamp: Range<usize>,
}

impl CompressedImageMessage {
    /// The name of its type.
    pub const TYPE: &'static str = "sensor_msgs/msg/CompressedImage";

    /// A message that has this many bytes as it travels, if it has any data at all.
    pub fn new(total_bytes: usize) -> Self {
        let mut writer = Writer::default();
        let stamp = writer.header();
        writer.string("jpeg");
        // Where the data begins: behind its length, which is aligned.
        let data = writer.position().next_multiple_of(size_of::<u32>()) + size_of::<u32>();
        writer.octets(total_bytes.saturating_sub(data));
        Self { bytes: writer.into_bytes(), stamp }
    }

    /// The message as the middleware takes it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes `header.stamp`.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.bytes[self.stamp.clone()].copy_from_slice(&stamp.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;
    use r2r::sensor_msgs::msg::{CompressedImage, JointState};

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("joint_{index}")).collect()
    }

    fn decoded(message: &SwingingJoints) -> JointState {
        JointState::from_serialized_bytes(message.as_bytes()).expect("the middleware reads it")
    }

    #[test]
    fn the_middleware_reads_what_was_written() {
        for joints in [0, 1, 2, 7, 50] {
            let names = names(joints);
            let mut message = SwingingJoints::new(&names, &Field::ALL);
            message.set_stamp(Stamp { sec: 1_700_000_000, nanosec: 5 });
            let joint_state = decoded(&message);
            assert_eq!((joint_state.header.stamp.sec, joint_state.header.stamp.nanosec), (1_700_000_000, 5));
            assert_eq!(joint_state.name, names);
            for values in [joint_state.position, joint_state.velocity, joint_state.effort] {
                assert_eq!(values.len(), joints);
            }
        }
    }

    #[test]
    fn positions_alone_leave_the_other_arrays_empty() {
        let joint_state = decoded(&SwingingJoints::new(&names(7), &[Field::Position]));
        assert_eq!((joint_state.position.len(), joint_state.velocity.len(), joint_state.effort.len()), (7, 0, 0));
    }

    #[test]
    fn every_joint_moves_with_every_message() {
        let mut message = SwingingJoints::new(&names(7), &Field::ALL);
        let before = decoded(&message);
        message.advance();
        let after = decoded(&message);
        for (old, new) in
            [(before.position, after.position), (before.velocity, after.velocity), (before.effort, after.effort)]
        {
            assert!(old.iter().zip(&new).all(|(old, new)| old != new), "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_turn_of_the_sine_ends_where_it_began() {
        let mut message = SwingingJoints::new(&names(3), &Field::ALL);
        let first = message.as_bytes().to_vec();
        (0..PERIOD).for_each(|_| message.advance());
        assert_eq!(message.as_bytes(), first);
    }

    #[test]
    fn the_first_position_carries_any_value() {
        let mut message = SwingingJoints::new(&names(2), &Field::ALL);
        message.set_first_position(1_700_000_000.25);
        assert_eq!(decoded(&message).position[0], 1_700_000_000.25);
    }
    #[test]
    fn an_image_has_the_size_that_was_asked_for() {
        for total_bytes in [64, 1023, 1024, 1 << 20] {
            let mut message = CompressedImageMessage::new(total_bytes);
            message.set_stamp(Stamp { sec: 1_700_000_000, nanosec: 5 });
            assert_eq!(message.as_bytes().len(), total_bytes);
            let image = CompressedImage::from_serialized_bytes(message.as_bytes()).expect("the middleware reads it");
            assert_eq!((image.header.stamp.sec, image.header.stamp.nanosec), (1_700_000_000, 5));
            assert_eq!((image.format.as_str(), image.data.len()), ("jpeg", total_bytes - 36));
        }
    }
}
