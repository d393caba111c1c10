//! Messages as they travel, made once and changed in place.
//!
//! Little-endian CDR behind its 4 bytes of encapsulation, as the DDS-XTypes specification's version 1 encoding has it
//! and every ROS 2 middleware sends it.

use std::time::Duration;

/// Little-endian plain CDR, no options.
const ENCAPSULATION: [u8; 4] = [0, 1, 0, 0];

/// Where the stamp lies: first member of the first member.
const STAMP: usize = ENCAPSULATION.len();

/// Messages in one turn of the sine that every joint follows.
const PERIOD: usize = 1000;

/// A `sensor_msgs/msg/JointState` whose stamp and values can be changed without encoding it again.
pub struct JointStateMessage {
    bytes: Vec<u8>,
    value_count: usize,
    /// Offsets of the first value of each array that is sent.
    arrays: Vec<usize>,
    /// Two turns and one more value per joint, so that any array is one slice of it.
    wave: Vec<u8>,
    phase: usize,
}

/// Which arrays go along with the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Position, velocity and effort.
    All,
    /// Position; the others are empty.
    PositionOnly,
}

impl JointStateMessage {
    /// The name of its type.
    pub const TYPE: &'static str = "sensor_msgs/msg/JointState";

    /// A message with these joints, in this order.
    pub fn new(names: &[String], fields: Fields) -> Self {
        let mut writer = CdrWriter::new();
        writer.header();
        writer.length(names.len());
        names.iter().for_each(|name| writer.string(name));
        let sent = if fields == Fields::All { 3 } else { 1 };
        let arrays = (0..sent).map(|_| writer.zeros(names.len())).collect();
        (sent..3).for_each(|_| writer.length(0));
        let mut message =
            Self { bytes: writer.bytes, value_count: names.len(), arrays, wave: wave(names.len()), phase: 0 };
        message.advance();
        message
    }

    /// The message as the middleware takes it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes `header.stamp`, given as time since the Unix epoch.
    pub fn set_stamp(&mut self, since_epoch: Duration) {
        set_stamp(&mut self.bytes, since_epoch);
    }

    /// Writes the position of the first joint, if there is one.
    pub fn set_first_position(&mut self, position: f64) {
        if self.value_count > 0 {
            let first = self.arrays[0];
            self.bytes[first..first + 8].copy_from_slice(&position.to_le_bytes());
        }
    }

    /// Moves every joint one step on: positions along a sine, velocities a quarter of a turn ahead, efforts half.
    pub fn advance(&mut self) {
        let length = self.value_count * 8;
        for (index, &array) in self.arrays.iter().enumerate() {
            let start = (self.phase + index * PERIOD / 4) * 8;
            self.bytes[array..array + length].copy_from_slice(&self.wave[start..start + length]);
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
}

impl CompressedImageMessage {
    /// The name of its type.
    pub const TYPE: &'static str = "sensor_msgs/msg/CompressedImage";

    /// A message that has this many bytes as it travels, if it has any data at all.
    pub fn new(total_bytes: usize) -> Self {
        let mut writer = CdrWriter::new();
        writer.header();
        writer.string("jpeg");
        writer.align(4);
        writer.octets(total_bytes.saturating_sub(writer.bytes.len() + size_of::<u32>()));
        Self { bytes: writer.bytes }
    }

    /// The message as the middleware takes it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes `header.stamp`, given as time since the Unix epoch.
    pub fn set_stamp(&mut self, since_epoch: Duration) {
        set_stamp(&mut self.bytes, since_epoch);
    }
}

fn set_stamp(message: &mut [u8], since_epoch: Duration) {
    message[STAMP..STAMP + 4].copy_from_slice(&(since_epoch.as_secs() as u32).to_le_bytes());
    message[STAMP + 4..STAMP + 8].copy_from_slice(&since_epoch.subsec_nanos().to_le_bytes());
}

/// Appends CDR; alignment counts from behind the encapsulation.
struct CdrWriter {
    bytes: Vec<u8>,
}

impl CdrWriter {
    fn new() -> Self {
        Self { bytes: ENCAPSULATION.to_vec() }
    }

    fn align(&mut self, alignment: usize) {
        let length = self.bytes.len() - ENCAPSULATION.len();
        self.bytes.resize(ENCAPSULATION.len() + length.next_multiple_of(alignment), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).expect("a CDR length has 32 bits"));
    }

    fn string(&mut self, text: &str) {
        self.length(text.len() + 1);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    /// A `std_msgs/msg/Header`, all zero.
    fn header(&mut self) {
        self.u32(0);
        self.u32(0);
        self.string("");
    }

    /// A sequence of octets, all zero.
    fn octets(&mut self, count: usize) {
        self.length(count);
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    /// A sequence of doubles, all zero; returns the offset of the first.
    fn zeros(&mut self, count: usize) -> usize {
        self.length(count);
        if count > 0 {
            self.align(8);
        }
        let first = self.bytes.len();
        self.bytes.resize(first + count * 8, 0);
        first
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

    fn decoded(message: &JointStateMessage) -> JointState {
        JointState::from_serialized_bytes(message.as_bytes()).expect("the middleware reads it")
    }

    #[test]
    fn the_middleware_reads_what_was_written() {
        for joints in [0, 1, 2, 7, 50] {
            let names = names(joints);
            let mut message = JointStateMessage::new(&names, Fields::All);
            message.set_stamp(Duration::new(1_700_000_000, 5));
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
        let joint_state = decoded(&JointStateMessage::new(&names(7), Fields::PositionOnly));
        assert_eq!((joint_state.position.len(), joint_state.velocity.len(), joint_state.effort.len()), (7, 0, 0));
    }

    #[test]
    fn every_joint_moves_with_every_message() {
        let mut message = JointStateMessage::new(&names(7), Fields::All);
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
        let mut message = JointStateMessage::new(&names(3), Fields::All);
        let first = message.as_bytes().to_vec();
        (0..PERIOD).for_each(|_| message.advance());
        assert_eq!(message.as_bytes(), first);
    }

    #[test]
    fn the_first_position_carries_any_value() {
        let mut message = JointStateMessage::new(&names(2), Fields::All);
        message.set_first_position(1_700_000_000.25);
        assert_eq!(decoded(&message).position[0], 1_700_000_000.25);
    }
    #[test]
    fn an_image_has_the_size_that_was_asked_for() {
        for total_bytes in [64, 1023, 1024, 1 << 20] {
            let mut message = CompressedImageMessage::new(total_bytes);
            message.set_stamp(Duration::new(1_700_000_000, 5));
            assert_eq!(message.as_bytes().len(), total_bytes);
            let image = CompressedImage::from_serialized_bytes(message.as_bytes()).expect("the middleware reads it");
            assert_eq!((image.header.stamp.sec, image.header.stamp.nanosec), (1_700_000_000, 5));
            assert_eq!((image.format.as_str(), image.data.len()), ("jpeg", total_bytes - 36));
        }
    }
}
