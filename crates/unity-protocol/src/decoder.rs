//! Bytes in, frames out.

use bytes::BytesMut;
use thiserror::Error;

use crate::excerpt::excerpt;
use crate::frame::{Frame, Name};

/// A length on the wire: a little-endian `u32`.
const LENGTH_BYTES: usize = size_of::<u32>();

/// How long the parts of a frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest destination, in bytes, with its NULs.
    pub destination_bytes_max: usize,
    /// The longest payload, in bytes.
    pub payload_bytes_max: usize,
}

impl Default for Limits {
    /// Names of ROS end at 255 bytes; a raw image of 3840x2160 has 24 MiB.
    fn default() -> Self {
        Limits { destination_bytes_max: 1024, payload_bytes_max: 64 << 20 }
    }
}

/// Why the stream cannot go on. Nothing has been taken from it: decoding again gives the same again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// Bytes that are not of this protocol mostly show in this way.
    #[error("a destination of {bytes} bytes, at most {max} are allowed: is this a client of ROS-TCP?")]
    DestinationTooLong {
        /// What the frame announces.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// More than anybody wants to keep.
    #[error(
        "a message of {bytes} bytes for \"{destination}\", at most {max} are allowed: send less, or raise the limit"
    )]
    PayloadTooLong {
        /// Where it should have gone, in short.
        destination: String,
        /// What the frame announces.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// Another sign of bytes that are not of this protocol.
    #[error("a destination that is not UTF-8: is this a client of ROS-TCP?")]
    DestinationNotUtf8,
}

impl FrameError {
    /// Every [`kind`](FrameError::kind).
    pub const KINDS: [&str; 3] = ["destination_too_long", "payload_too_long", "destination_not_utf8"];

    /// The error as the value of a metric's label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            FrameError::DestinationTooLong { .. } => "destination_too_long",
            FrameError::PayloadTooLong { .. } => "payload_too_long",
            FrameError::DestinationNotUtf8 => "destination_not_utf8",
        }
    }
}

/// Takes frames off the front of what was received, however it was cut into pieces.
///
/// Frames are slices of the buffer: nothing is copied, and nothing allocated but, now and then, a counter for the buffer. The lengths of a
/// frame are read once, so that a payload may come in many small pieces.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// The lengths of the frame that is at the front, as soon as both are known, and good.
    lengths: Option<Lengths>,
    missing_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Lengths {
    destination_bytes: usize,
    payload_bytes: usize,
}

impl Decoder {
    /// A decoder for one connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Decoder { limits, lengths: None, missing_bytes: 0 }
    }

    /// Takes the next whole frame off the front of `bytes`; `None` when more bytes are needed, which then have to be put behind these.
    ///
    /// # Errors
    /// The stream cannot go on: it is not known where the next frame begins, or there is too much of this one.
    pub fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if self.lengths.is_none() {
            self.lengths = self.limits.read_lengths(bytes)?;
        }
        let known_bytes = self.lengths.map_or_else(|| bytes_before_payload(bytes), Lengths::frame_bytes);
        self.missing_bytes = known_bytes.saturating_sub(bytes.len());
        if self.missing_bytes > 0 {
            return Ok(None);
        }
        Ok(self.lengths.take().map(|lengths| lengths.split_frame(bytes)))
    }

    /// How many bytes at least are missing until [`decode`](Decoder::decode) can give another frame, if it gave none.
    ///
    /// A hint for how much to read. Whoever reserves memory by it goes in steps: a peer can announce much and send nothing.
    #[must_use]
    pub const fn missing_bytes(&self) -> usize {
        self.missing_bytes
    }
}

impl Limits {
    /// Both lengths of the frame at the front of `bytes`; `None` when not all before its payload has come.
    fn read_lengths(self, bytes: &[u8]) -> Result<Option<Lengths>, FrameError> {
        let Some(destination_bytes) = length_at(bytes, 0) else { return Ok(None) };
        if destination_bytes > self.destination_bytes_max {
            return Err(FrameError::DestinationTooLong { bytes: destination_bytes, max: self.destination_bytes_max });
        }
        let destination_end = LENGTH_BYTES + destination_bytes;
        let Some(payload_bytes) = length_at(bytes, destination_end) else { return Ok(None) };
        let Ok(destination) = str::from_utf8(&bytes[LENGTH_BYTES..destination_end]) else {
            return Err(FrameError::DestinationNotUtf8);
        };
        if payload_bytes > self.payload_bytes_max {
            let destination = excerpt(destination.trim_end_matches('\0'));
            return Err(FrameError::PayloadTooLong { destination, bytes: payload_bytes, max: self.payload_bytes_max });
        }
        Ok(Some(Lengths { destination_bytes, payload_bytes }))
    }
}

impl Lengths {
    const fn frame_bytes(self) -> usize {
        2 * LENGTH_BYTES + self.destination_bytes + self.payload_bytes
    }

    /// Takes the frame, which is there as a whole.
    fn split_frame(self, bytes: &mut BytesMut) -> Frame {
        let mut frame = bytes.split_to(self.frame_bytes()).freeze();
        let payload = frame.split_off(frame.len() - self.payload_bytes);
        let destination = frame.slice(LENGTH_BYTES..LENGTH_BYTES + self.destination_bytes);
        Frame::new(Name::without_nul(destination), payload)
    }
}

/// What a frame has before its payload, as far as is known.
fn bytes_before_payload(bytes: &[u8]) -> usize {
    2 * LENGTH_BYTES + length_at(bytes, 0).unwrap_or(0)
}

fn length_at(bytes: &[u8], offset: usize) -> Option<usize> {
    let length = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*length) as usize)
}
