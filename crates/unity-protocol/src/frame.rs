//! One frame of the wire: `u32le length | destination | u32le length | payload`.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// The name of a topic, a service or a command: UTF-8 that lies where it was received.
///
/// It keeps the buffer alive in which it came: who wants to keep it makes a [`String`] of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(Bytes);

impl Name {
    /// The name in `bytes`, which are UTF-8, without the NULs that Unity ends it with.
    pub(crate) fn without_nul(mut bytes: Bytes) -> Self {
        bytes.truncate(trim_nul(&bytes).len());
        Name(bytes)
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Name(Bytes::copy_from_slice(name.as_bytes()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // They were looked at when the name was made; to skip the second look would take `unsafe`.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A destination and what is sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub(crate) destination: Name,
    /// What was sent, with whatever NULs it ends in.
    pub payload: Bytes,
}

impl Frame {
    /// A frame of these parts.
    #[must_use]
    pub fn new(destination: Name, payload: Bytes) -> Self {
        Frame { destination, payload }
    }

    /// What the payload is for, without the NULs that Unity ends it with.
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Whether this is the empty frame that Unity sends when it has had nothing to say for a second.
    #[must_use]
    pub fn is_keepalive(&self) -> bool {
        self.destination.is_empty() && self.payload.is_empty()
    }
}

/// `bytes` without the NULs at their end.
pub(crate) fn trim_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}
