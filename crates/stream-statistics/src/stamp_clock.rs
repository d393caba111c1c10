//! Which clock the stamps of a stream were made by, and how far it is from ours.

/// The clock that a stamp was made by, as far as it can be told from its value: one that is near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampClock {
    /// The system's clock: within a day of ours.
    Wall,
    /// The time since the machine was started: within a minute of ours.
    Boot,
    /// A simulation's clock, or a recording's: near its time, where that is known, by more than a second nearer than to the
    /// others; or near neither of those.
    Simulated,
    /// Left at zero, or no time at all.
    Zero,
}

impl StampClock {
    /// Every clock, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Wall, Self::Boot, Self::Simulated, Self::Zero];

    /// The name as the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Boot => "boot",
            Self::Simulated => "simulated",
            Self::Zero => "zero",
        }
    }
}

/// The clocks of this machine at one moment, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The system's clock, since the epoch.
    pub wall_ns: i64,
    /// Since the machine was started.
    pub boot_ns: i64,
    /// Of the simulation, where it is known.
    pub simulated_ns: Option<i64>,
}

const DAY_NS: i64 = 86_400_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// Follows the stamps of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StampTracker {
    last_stamp_ns: Option<i64>,
}

/// What a stamp tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The clock that it was made by.
    pub clock: StampClock,
    /// Whether it is before the stamp of the message before.
    pub is_backward: bool,
}

impl StampTracker {
    /// Takes the stamp of a message, in nanoseconds since the epoch of its clock (`None` where it tells no time), which was received at `now`.
    pub fn observe(&mut self, stamp_ns: Option<i64>, now: Clocks) -> Stamped {
        let Some(stamp_ns) = stamp_ns else { return Stamped { clock: StampClock::Zero, is_backward: false } };
        let last_stamp_ns = self.last_stamp_ns.replace(stamp_ns);
        Stamped { clock: clock_of(stamp_ns, now), is_backward: last_stamp_ns.is_some_and(|last_ns| stamp_ns < last_ns) }
    }
}

fn clock_of(stamp_ns: i64, now: Clocks) -> StampClock {
    let is_within = |clock_ns: i64, distance_ns: i64| stamp_ns.abs_diff(clock_ns) <= distance_ns.unsigned_abs();
    // A simulation that runs by the system's clock tells the same time: then it is that clock, and does not change with
    // every message.
    let is_simulated = now.simulated_ns.is_some_and(|simulated_ns| {
        let nearest_ns = stamp_ns.abs_diff(now.wall_ns).min(stamp_ns.abs_diff(now.boot_ns));
        let distance_ns = stamp_ns.abs_diff(simulated_ns);
        is_within(simulated_ns, MINUTE_NS) && distance_ns.saturating_add(SECOND_NS.unsigned_abs()) < nearest_ns
    });
    if is_simulated {
        StampClock::Simulated
    } else if is_within(now.wall_ns, DAY_NS) {
        StampClock::Wall
    } else if is_within(now.boot_ns, MINUTE_NS) {
        StampClock::Boot
    } else {
        StampClock::Simulated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Clocks = Clocks { wall_ns: 1_800_000_000_000_000_000, boot_ns: 7_000_000_000_000, simulated_ns: None };

    #[test]
    fn a_stamp_tells_its_clock() {
        let clock = |stamp_ns| StampTracker::default().observe(stamp_ns, NOW).clock;
        assert_eq!(clock(None), StampClock::Zero);
        assert_eq!(clock(Some(NOW.wall_ns + DAY_NS)), StampClock::Wall);
        assert_eq!(clock(Some(NOW.wall_ns - DAY_NS)), StampClock::Wall);
        assert_eq!(clock(Some(NOW.wall_ns - DAY_NS - 1)), StampClock::Simulated);
        assert_eq!(clock(Some(NOW.boot_ns - MINUTE_NS)), StampClock::Boot);
        assert_eq!(clock(Some(NOW.boot_ns + MINUTE_NS + 1)), StampClock::Simulated);
        assert_eq!(clock(Some(1)), StampClock::Simulated);
        assert_eq!(clock(Some(i64::MIN)), StampClock::Simulated);
    }

    #[test]
    fn a_simulation_whose_time_is_known_is_told_from_clocks_near_it() {
        let clock = |stamp_ns, simulated_ns| {
            StampTracker::default().observe(Some(stamp_ns), Clocks { simulated_ns: Some(simulated_ns), ..NOW }).clock
        };
        for near_ns in [NOW.boot_ns, NOW.wall_ns] {
            let beside_ns = near_ns - 10 * SECOND_NS;
            assert_eq!(clock(beside_ns, beside_ns), StampClock::Simulated);
            assert_ne!(clock(near_ns, beside_ns), StampClock::Simulated);
            assert_ne!(clock(near_ns, near_ns - SECOND_NS / 2), StampClock::Simulated, "the same clock");
        }
        assert_eq!(clock(NOW.boot_ns, 5), StampClock::Boot);
        assert_eq!(clock(NOW.wall_ns, i64::MIN), StampClock::Wall);
    }

    #[test]
    fn only_a_stamp_before_the_last_is_backward() {
        let mut tracker = StampTracker::default();
        let stamps = [Some(5), Some(5), Some(4), None, Some(4), Some(3)];
        let backward = stamps.map(|stamp_ns| tracker.observe(stamp_ns, NOW).is_backward);
        assert_eq!(backward, [false, false, true, false, false, true]);
    }
}
