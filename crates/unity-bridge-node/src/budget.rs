//! Bytes that may wait, of which those who bring some take a part, and give it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Budget {
    taken: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), bytes_max }
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The bytes that are taken now.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes a part, if there is as much left.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Share { budget: Arc::clone(self), bytes })
    }
}

/// A part of a budget, which is given back when this is dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_never_more_than_there_is() {
        let budget = Arc::new(Budget::new(10));
        let share = budget.take(6).expect("as much");
        assert!(budget.take(5).is_none() && budget.take(usize::MAX).is_none());
        assert_eq!(budget.taken(), 6);
        drop(share);
        assert!(budget.take(10).is_some());
        assert_eq!(budget.taken(), 0);
    }
}
