//! Whether the messages of a subscription are still being taken.

/// Since when messages have been pending and none was taken, as far as those who ask have seen: the number taken, and
/// when it was first seen.
#[derive(Debug, Default)]
pub struct Progress {
    standing: Option<(u64, u64)>,
}

impl Progress {
    /// For how many nanoseconds messages have been waiting and none was taken, by what a subscription tells at `now_ns` of
    /// a monotonic clock: how many it has taken since its start, and how many are announced.
    pub fn stuck_for_ns(&mut self, taken: u64, pending: usize, now_ns: u64) -> u64 {
        self.standing = match self.standing {
            _ if pending == 0 => None,
            Some((taken_before, since_ns)) if taken_before == taken => Some((taken, since_ns)),
            _ => Some((taken, now_ns)),
        };
        self.standing.map_or(0, |(_, since_ns)| now_ns.saturating_sub(since_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_stuck_when_messages_wait_and_none_is_taken() {
        let mut progress = Progress::default();
        assert_eq!(progress.stuck_for_ns(0, 0, 10), 0, "nothing waits");
        assert_eq!(progress.stuck_for_ns(0, 1, 20), 0, "one has come, just now as far as is known");
        assert_eq!(progress.stuck_for_ns(1, 3, 30), 0, "one was taken");
        assert_eq!(progress.stuck_for_ns(1, 4, 35), 5);
        assert_eq!(progress.stuck_for_ns(1, 4, 40), 10);
        assert_eq!(progress.stuck_for_ns(5, 0, 50), 0, "it goes on");
        assert_eq!(progress.stuck_for_ns(5, 1, 90), 0, "the time before counts no more");
    }
}
