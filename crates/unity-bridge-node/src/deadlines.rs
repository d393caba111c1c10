//! Things that end at the same time after they began, the oldest first.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Of those that have come, in order.
pub(crate) struct Deadlines<T> {
    within: Duration,
    due: VecDeque<(Instant, T)>,
}

impl<T: PartialEq> Deadlines<T> {
    pub(crate) fn new(within: Duration) -> Self {
        Self { within, due: VecDeque::new() }
    }

    pub(crate) fn add(&mut self, thing: T, now: Instant) {
        self.due.push_back((now + self.within, thing));
    }

    /// Takes one out that has been dealt with.
    pub(crate) fn remove(&mut self, thing: &T) {
        self.due.retain(|(_, known)| known != thing);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// Takes out the oldest that is due.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<T> {
        self.next().filter(|due| *due <= now)?;
        self.due.pop_front().map(|(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ends_in_its_time_unless_it_was_dealt_with() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut deadlines = Deadlines::new(second);
        deadlines.add("first", now);
        deadlines.add("second", now);
        deadlines.add("third", now + second);
        deadlines.remove(&"first");
        assert_eq!(deadlines.next(), Some(now + second));
        assert_eq!(deadlines.expired(now), None);
        assert_eq!(deadlines.expired(now + second), Some("second"));
        assert_eq!(deadlines.expired(now + second), None);
        assert_eq!(deadlines.expired(now + 2 * second), Some("third"));
    }
}
