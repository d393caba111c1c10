//! Messages as they travel, made once and changed in place.

use std::ops::Range;
use std::str::FromStr;

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

/// An image, of which nothing but the stamp is ever written: what a message weighs, whatever it means.
pub struct ImageMessage {
    type_name: &'static str,
    bytes: Vec<u8>,
    stamp: Range<usize>,
}

impl ImageMessage {
    /// The name of the type of those that are [`compressed`](Self::compressed).
    pub const COMPRESSED_TYPE: &'static str = "sensor_msgs/msg/CompressedImage";
    /// The name of the type of those that are [`raw`](Self::raw).
    pub const RAW_TYPE: &'static str = "sensor_msgs/msg/Image";

    /// A message that has this many bytes as it travels, if it has any data at all.
    pub fn compressed(total_bytes: usize) -> Self {
        let mut writer = Writer::default();
        let stamp = writer.header();
        writer.string("jpeg");
        // Where the data begins: behind its length, which is aligned.
        let data = writer.position().next_multiple_of(size_of::<u32>()) + size_of::<u32>();
        writer.octets(total_bytes.saturating_sub(data));
        Self { type_name: Self::COMPRESSED_TYPE, bytes: writer.into_bytes(), stamp }
    }

    /// An image of this size, in `rgb8`.
    pub fn raw(size: ImageSize) -> Self {
        let row_bytes = size.width * RGB8_BYTES;
        let mut writer = Writer::default();
        let stamp = writer.header();
        writer.u32(size.height);
        writer.u32(size.width);
        writer.string("rgb8");
        // `is_bigendian`, of values of more than one byte.
        writer.u8(0);
        writer.u32(row_bytes);
        writer.octets(row_bytes as usize * size.height as usize);
        Self { type_name: Self::RAW_TYPE, bytes: writer.into_bytes(), stamp }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        self.type_name
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

/// Bytes of a pixel in `rgb8` (sensor_msgs/image_encodings.hpp).
const RGB8_BYTES: u32 = 3;

/// Pixels on one side, at most.
const SIDE_MAX: u32 = 1 << 14;

/// The size of an image, in pixels; as text, `1280x720`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    width: u32,
    height: u32,
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=SIDE_MAX).contains(side));
        let size = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
        let (width, height) = size.ok_or_else(|| format!("not two numbers from 1 to {SIDE_MAX} with an x between"))?;
        Ok(Self { width, height })
    }
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;
    use r2r::sensor_msgs::msg::{CompressedImage, Image, JointState};

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
    fn a_compressed_image_has_the_size_that_was_asked_for() {
        for total_bytes in [64, 1023, 1024, 1 << 20] {
            let mut message = ImageMessage::compressed(total_bytes);
            message.set_stamp(Stamp { sec: 1_700_000_000, nanosec: 5 });
            assert_eq!(message.as_bytes().len(), total_bytes);
            let image = CompressedImage::from_serialized_bytes(message.as_bytes()).expect("the middleware reads it");
            assert_eq!((image.header.stamp.sec, image.header.stamp.nanosec), (1_700_000_000, 5));
            assert_eq!((image.format.as_str(), image.data.len()), ("jpeg", total_bytes - 36));
        }
    }

    #[test]
    fn a_raw_image_has_all_its_pixels() {
        let mut message = ImageMessage::raw("1280x720".parse().expect("a size"));
        message.set_stamp(Stamp { sec: 1_700_000_000, nanosec: 5 });
        let image = Image::from_serialized_bytes(message.as_bytes()).expect("the middleware reads it");
        assert_eq!((image.header.stamp.sec, image.header.stamp.nanosec), (1_700_000_000, 5));
        assert_eq!((image.width, image.height, image.step), (1280, 720, 3840));
        assert_eq!((image.encoding.as_str(), image.is_bigendian, image.data.len()), ("rgb8", 0, 2_764_800));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "1280", "1280x", "0x720", "1280x-1", "16385x1", "1280x720x3"] {
            assert!(text.parse::<ImageSize>().is_err(), "{text:?}");
        }
    }
}
