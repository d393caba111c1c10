//! `builtin_interfaces/msg/Time`, as the stamp in a header.

/// When a message was made, by its `header.stamp` (`builtin_interfaces/msg/Time`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since the epoch of the sender's clock.
    pub sec: i32,
    /// Nanoseconds after `sec`; less than 10⁹ in a valid stamp.
    pub nanosec: u32,
}

const SECOND_NS: u32 = 1_000_000_000;

impl Stamp {
    /// The stamp of a time, in nanoseconds since the epoch; the earliest or latest that there is where it fits none.
    #[must_use]
    pub fn of_nanoseconds(time_ns: i64) -> Self {
        let second_ns = i64::from(SECOND_NS);
        let sec = time_ns.div_euclid(second_ns).clamp(i32::MIN.into(), i32::MAX.into());
        Stamp { sec: sec as i32, nanosec: time_ns.rem_euclid(second_ns) as u32 }
    }

    /// As a message carries it.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.sec.to_le_bytes(), self.nanosec.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }

    /// Nanoseconds since the epoch of the sender's clock; `None` for a stamp that tells no time: one left at zero, one
    /// before the epoch, one with a second or more of nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> Option<i64> {
        if self.sec < 0 || self.nanosec >= SECOND_NS || (self.sec == 0 && self.nanosec == 0) {
            return None;
        }
        Some(self.clock_nanoseconds())
    }

    /// Nanoseconds of a clock that this is the time of: zero is a time too, with which simulations begin.
    #[must_use]
    pub const fn clock_nanoseconds(self) -> i64 {
        self.sec as i64 * SECOND_NS as i64 + self.nanosec as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_a_time_or_none() {
        let nanoseconds = |sec, nanosec| Stamp { sec, nanosec }.nanoseconds();
        assert_eq!(nanoseconds(1, 5), Some(1_000_000_005));
        assert_eq!(nanoseconds(0, 1), Some(1));
        assert_eq!(nanoseconds(i32::MAX, 999_999_999), Some(2_147_483_647_999_999_999));
        for (sec, nanosec) in [(0, 0), (-1, 0), (i32::MIN, 5), (1, 1_000_000_000), (i32::MAX, u32::MAX)] {
            assert_eq!(nanoseconds(sec, nanosec), None, "{sec}, {nanosec}");
        }
    }

    #[test]
    fn a_time_has_a_stamp() {
        for time_ns in [0, 1, 1_000_000_005, -1, -1_000_000_001, 2_147_483_647_999_999_999] {
            assert_eq!(Stamp::of_nanoseconds(time_ns).clock_nanoseconds(), time_ns);
        }
        assert_eq!(Stamp::of_nanoseconds(i64::MAX).sec, i32::MAX);
        assert_eq!(Stamp { sec: 1, nanosec: 2 }.to_le_bytes(), [1, 0, 0, 0, 2, 0, 0, 0]);
    }
}
