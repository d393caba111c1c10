//! Messages as the middleware carries them: 4 bytes of encapsulation, then CDR.

use r2r_rcl::*;

use crate::{Error, error::check};

/// What every serialized message begins with.
const ENCAPSULATION_BYTES: usize = 4;

/// These bytes as rcl takes a message that it only reads.
///
/// # Errors
/// When there is no encapsulation.
pub(crate) fn as_serialized(message: &[u8], operation: &'static str) -> Result<rcl_serialized_message_t, Error> {
    if message.len() < ENCAPSULATION_BYTES {
        let reason = "it has no encapsulation header".to_owned();
        return Err(Error::new(operation, RCL_RET_INVALID_ARGUMENT as rcl_ret_t, reason));
    }
    // SAFETY: the allocator of a serialized message that is only read is never used; any valid one will do.
    let allocator = unsafe { rcutils_get_default_allocator() };
    let bytes = message.len();
    Ok(rcl_serialized_message_t {
        buffer: message.as_ptr().cast_mut(),
        buffer_length: bytes,
        buffer_capacity: bytes,
        allocator,
    })
}

/// A buffer that rcl makes as large as a message needs.
pub(crate) struct SerializedBuffer(rcl_serialized_message_t);

// SAFETY: a buffer is bound to no thread; it is used through `&mut self` and `&self` as Rust has it.
unsafe impl Send for SerializedBuffer {}

impl SerializedBuffer {
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: the array is zero-initialised, the allocator static; capacity 0 allocates nothing.
        unsafe {
            let mut buffer = rcutils_get_zero_initialized_uint8_array();
            let code = rcutils_uint8_array_init(&mut buffer, 0, &rcutils_get_default_allocator());
            check(code, "make a buffer").map(|()| Self(buffer))
        }
    }

    /// For rcl to write one message.
    pub(crate) fn as_mut(&mut self) -> &mut rcl_serialized_message_t {
        &mut self.0
    }

    /// The message that rcl has written last.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.0.buffer.is_null() {
            return &[];
        }
        // SAFETY: rcl keeps `buffer_length` initialised bytes there, and nobody writes while this borrow lasts.
        unsafe { std::slice::from_raw_parts(self.0.buffer, self.0.buffer_length) }
    }

    /// Gives its memory back if a message has made it larger than that; the next one makes it as large as it needs to be.
    pub(crate) fn shrink(&mut self, bytes_max: usize) -> Result<(), Error> {
        if self.0.buffer_capacity > bytes_max {
            *self = Self::new()?;
        }
        Ok(())
    }
}

impl Drop for SerializedBuffer {
    fn drop(&mut self) {
        // SAFETY: the buffer is initialised, and ended once.
        let _ = check(unsafe { rcutils_uint8_array_fini(&mut self.0) }, "end a buffer");
    }
}
