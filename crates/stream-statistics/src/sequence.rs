//! Loss, by the gaps in the sequence numbers of each publisher.

use std::num::NonZeroUsize;

/// The sequence number of a message whose middleware has none (`RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED` of `rmw/types.h`).
pub const UNNUMBERED: u64 = u64::MAX;

/// Counts the messages that publishers sent and that did not arrive.
///
/// Every publisher numbers its messages by itself. The first message of a publisher is where counting begins: what it sent before was not for
/// us, and a restarted publisher, which has another key, has lost nothing. A number that is not greater than the last is a duplicate or came
/// late: a late message has been counted as lost by then and stays so, as counters do not go back.
///
/// `K` identifies a publisher. Allocates when created and never again.
#[derive(Clone, Debug)]
pub struct SequenceTracker<K> {
    /// The publisher last heard of first: most messages come from the one before's publisher.
    last: Vec<Heard<K>>,
    capacity: usize,
    evicted: u64,
}

/// What was last heard of a publisher.
#[derive(Clone, Debug)]
struct Heard<K> {
    publisher: K,
    sequence: u64,
    at_ns: u64,
}

/// A publisher that was not heard of for this long is taken to have left: to drop it is nothing to tell of.
const LEFT_AFTER_NS: u64 = 60_000_000_000;

impl<K: Copy + Eq> SequenceTracker<K> {
    /// A tracker of at most `capacity` publishers at a time.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        SequenceTracker { last: Vec::with_capacity(capacity.get()), capacity: capacity.get(), evicted: 0 }
    }

    /// Takes a message that arrived at `now_ns` of a monotonic clock. Returns how many messages of its publisher are missing before it.
    pub fn observe(&mut self, publisher: K, sequence: u64, now_ns: u64) -> u64 {
        if sequence == UNNUMBERED {
            return 0;
        }
        let Some(found) = self.last.iter().position(|heard| heard.publisher == publisher) else {
            self.admit(Heard { publisher, sequence, at_ns: now_ns });
            return 0;
        };
        self.last[..=found].rotate_right(1);
        let heard = &mut self.last[0];
        let lost = sequence.saturating_sub(heard.sequence).saturating_sub(1);
        heard.sequence = sequence.max(heard.sequence);
        heard.at_ns = now_ns;
        lost
    }

    /// Whether this message, or a later one of its publisher, has been taken already. Not so without a number, or when the publisher is not
    /// followed.
    #[must_use]
    pub fn has_seen(&self, publisher: K, sequence: u64) -> bool {
        let found = self.last.iter().find(|heard| heard.publisher == publisher);
        sequence != UNNUMBERED && found.is_some_and(|heard| heard.sequence >= sequence)
    }

    /// How many publishers were dropped, each the one not heard of for longest, to make room for another, though they had been heard of within
    /// the minute before. Losses right before the next message of a dropped publisher are not seen.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn admit(&mut self, heard: Heard<K>) {
        if self.last.len() == self.capacity
            && let Some(dropped) = self.last.pop()
        {
            self.evicted += u64::from(heard.at_ns.saturating_sub(dropped.at_ns) < LEFT_AFTER_NS);
        }
        self.last.insert(0, heard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tracker(capacity: usize) -> SequenceTracker<u8> {
        SequenceTracker::with_capacity(NonZeroUsize::new(capacity).expect("a capacity"))
    }

    #[test]
    fn what_has_been_taken_has_been_seen_and_what_has_no_number_never_is() {
        let mut tracker = tracker(1);
        tracker.observe(1, 5, 0);
        tracker.observe(1, UNNUMBERED, 1);
        let seen = [(1, 4), (1, 5), (1, 6), (1, UNNUMBERED), (2, 1)]
            .map(|(publisher, number)| tracker.has_seen(publisher, number));
        assert_eq!(seen, [true, true, false, false, false]);
    }

    #[test]
    fn a_gap_is_loss_and_the_first_message_is_none() {
        let mut tracker = tracker(2);
        assert_eq!([10, 11, 15].map(|sequence| tracker.observe(1, sequence, 0)), [0, 0, 3]);
    }

    #[test]
    fn a_late_or_repeated_message_is_no_loss_and_moves_nothing_back() {
        let mut tracker = tracker(2);
        assert_eq!([10, 14, 11, 14, 15].map(|sequence| tracker.observe(1, sequence, 0)), [0, 3, 0, 0, 0]);
    }

    #[test]
    fn a_restarted_publisher_has_lost_nothing() {
        let mut tracker = tracker(2);
        tracker.observe(1, 1_000_000, 0);
        assert_eq!(
            [(2, 1), (2, 2), (2, 4)].map(|(publisher, sequence)| tracker.observe(publisher, sequence, 0)),
            [0, 0, 1]
        );
    }

    #[test]
    fn unnumbered_messages_leave_no_trace() {
        let mut tracker = tracker(1);
        tracker.observe(1, 5, 0);
        assert_eq!([tracker.observe(1, UNNUMBERED, 0), tracker.observe(2, UNNUMBERED, 0)], [0, 0]);
        assert_eq!((tracker.observe(1, 7, 0), tracker.evicted()), (1, 0));
    }

    #[test]
    fn the_widest_gap_does_not_overflow() {
        let mut tracker = tracker(1);
        tracker.observe(1, 0, 0);
        assert_eq!(tracker.observe(1, u64::MAX - 1, 0), u64::MAX - 2);
    }

    #[test]
    fn the_publisher_not_heard_of_for_longest_goes() {
        let mut tracker = tracker(2);
        for publisher in [1, 2, 1, 3] {
            tracker.observe(publisher, 10, 0);
        }
        assert_eq!(tracker.evicted(), 1);
        assert_eq!(tracker.observe(1, 20, 0), 9, "heard of lately");
        assert_eq!(tracker.observe(2, 20, 0), 0, "evicted");
    }

    #[test]
    fn a_publisher_that_has_left_makes_room_without_a_word() {
        let mut tracker = tracker(1);
        tracker.observe(1, 10, 0);
        tracker.observe(2, 10, LEFT_AFTER_NS);
        assert_eq!(tracker.evicted(), 0);
        tracker.observe(3, 10, 2 * LEFT_AFTER_NS - 1);
        assert_eq!(tracker.evicted(), 1);
    }

    /// What each publisher's last number is and when it was heard of, in the order of first appearance.
    #[derive(Default)]
    struct Model {
        publishers: Vec<(u8, u64, usize)>,
        evicted: u64,
    }

    impl Model {
        fn observe(&mut self, capacity: usize, now: usize, publisher: u8, sequence: u64) -> u64 {
            if sequence == u64::MAX {
                return 0;
            }
            if let Some((_, last, heard)) = self.publishers.iter_mut().find(|known| known.0 == publisher) {
                *heard = now;
                let lost = if sequence > *last { sequence - *last - 1 } else { 0 };
                *last = sequence.max(*last);
                return lost;
            }
            if self.publishers.len() == capacity {
                self.publishers.sort_by_key(|&(_, _, heard)| heard);
                self.publishers.remove(0);
                self.evicted += 1;
            }
            self.publishers.push((publisher, sequence, now));
            0
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_model(
            capacity in 1..6_usize,
            messages in proptest::collection::vec((0..8_u8, prop_oneof![20 => 0..50_u64, 1 => Just(u64::MAX), 1 => any::<u64>()]), 0..200),
        ) {
            let mut tracker = tracker(capacity);
            let mut model = Model::default();
            for (now, (publisher, sequence)) in messages.into_iter().enumerate() {
                let lost = tracker.observe(publisher, sequence, 0);
                prop_assert_eq!(lost, model.observe(capacity, now, publisher, sequence));
                prop_assert_eq!(tracker.evicted(), model.evicted);
            }
        }
    }
}
