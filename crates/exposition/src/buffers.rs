//! Buffers that keep their capacity from one scrape to the next.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Spare buffers kept; more than this many scrapes at one time is rare, and each buffer may hold megabytes.
const SPARE_BUFFERS_MAX: usize = 2;

/// Hands out empty buffers, and gets each back when the client has taken what was in it.
#[derive(Clone, Default)]
pub(crate) struct BufferPool(Arc<Mutex<Vec<Vec<u8>>>>);

impl BufferPool {
    pub(crate) fn take(&self) -> PooledBuffer {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        PooledBuffer { bytes: spare.unwrap_or_default(), pool: self.clone() }
    }

    fn put_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BUFFERS_MAX {
            spare.push(bytes);
        }
    }
}

/// A buffer that goes back to its pool when it is dropped.
pub(crate) struct PooledBuffer {
    pub(crate) bytes: Vec<u8>,
    pool: BufferPool,
}

impl PooledBuffer {
    /// The same memory as a response's body; it goes back to the pool when the last byte is on its way.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        self.pool.put_back(mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_memory() {
        let pool = BufferPool::default();
        let mut buffer = pool.take();
        buffer.bytes.extend_from_slice(&[7; 1000]);
        let memory = buffer.bytes.as_ptr();
        let body = buffer.freeze();
        assert_eq!(body.as_ptr(), memory, "not copied");
        drop(body);

        let again = pool.take();
        assert!(again.bytes.is_empty() && again.bytes.capacity() >= 1000);
        assert_eq!(again.bytes.as_ptr(), memory);
    }

    #[test]
    fn keeps_no_more_than_its_share() {
        let pool = BufferPool::default();
        let taken: Vec<_> = (0..10).map(|_| pool.take()).collect();
        drop(taken);
        assert_eq!(pool.0.lock().expect("not poisoned").len(), SPARE_BUFFERS_MAX);
    }
}
