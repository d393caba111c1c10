//! Which time of the twin's clock is which of the reference's.
//!
//! Everything is compared on the reference's clock: with stamps of one clock nothing then rests on when messages arrived.

use crate::history::History;
use crate::joints::Joint;
use crate::settings::TimeAlignment;
use crate::time_map::TimeMap;

/// Clocks that agree within this when seen from here are taken for one: what is left is how differently messages travel.
const SAME_NS_MAX: u64 = 50_000_000;

/// Clocks that were taken for one are not any more beyond this.
const DIFFERENT_NS_MIN: u64 = 100_000_000;

/// Clocks whose rates differ by more than this are two.
const RATE_DIFFERENCE_MAX: f64 = 0.02;

/// For how long it must look otherwise before it is changed.
const HOLD_NS: i64 = 1_000_000_000;

/// More than rounding makes of any time, less than matters to any joint.
pub(crate) const ROUNDING_NS: i64 = 1_000;

/// How the times of the sources are brought together at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// Equal stamps are equal times.
    Stamp,
    /// Equal arrivals are equal times.
    Arrival,
    /// Equal are times that are so by the least seen difference of arrival and stamp of each source.
    MinOffset,
}

impl Alignment {
    /// Every alignment, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Stamp, Self::Arrival, Self::MinOffset];

    /// The name as the value of a metric's label and of the parameter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stamp => "stamp",
            Self::Arrival => "arrival",
            Self::MinOffset => "min_offset",
        }
    }
}

/// One source's clock as it is seen from here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock<'a> {
    pub(crate) map: &'a TimeMap,
    pub(crate) is_stamped: bool,
    /// The newest sample, by the source's clock.
    pub(crate) newest_ns: Option<i64>,
}

/// Chooses the alignment.
#[derive(Clone, Debug)]
pub(crate) struct Aligner {
    setting: TimeAlignment,
    current: Alignment,
    otherwise_since_ns: Option<i64>,
}

impl Aligner {
    pub(crate) fn new(setting: TimeAlignment) -> Self {
        let current = match setting {
            TimeAlignment::Stamp => Alignment::Stamp,
            TimeAlignment::Arrival => Alignment::Arrival,
            TimeAlignment::Auto | TimeAlignment::MinOffset => Alignment::MinOffset,
        };
        Self { setting, current, otherwise_since_ns: None }
    }

    pub(crate) fn current(&self) -> Alignment {
        self.current
    }

    pub(crate) fn update(&mut self, reference: Clock, twin: Clock, now_ns: i64) {
        if self.setting != TimeAlignment::Auto {
            return;
        }
        let seen = seen(self.current, reference, twin);
        if seen == self.current {
            self.otherwise_since_ns = None;
            return;
        }
        // Between an arrival and a stamp there is nothing to compare, so that change waits for nothing.
        let is_certain = [seen, self.current].contains(&Alignment::Arrival);
        let since_ns = *self.otherwise_since_ns.get_or_insert(now_ns);
        if is_certain || now_ns.saturating_sub(since_ns) >= HOLD_NS {
            (self.current, self.otherwise_since_ns) = (seen, None);
        }
    }
}

fn seen(current: Alignment, reference: Clock, twin: Clock) -> Alignment {
    if !reference.is_stamped && !twin.is_stamped {
        return Alignment::Arrival;
    }
    let difference_ns_max = if current == Alignment::Stamp { DIFFERENT_NS_MIN } else { SAME_NS_MAX };
    let is_one_clock = reference.is_stamped && twin.is_stamped && {
        difference_ns(reference, twin).is_some_and(|difference_ns| difference_ns <= difference_ns_max)
    };
    if is_one_clock { Alignment::Stamp } else { Alignment::MinOffset }
}

/// How far apart the local times are at which both clocks show the twin's newest stamp; `None` where they run at different
/// rates or it is not known yet whether they do. A simulator's clock that both share may run at any rate.
fn difference_ns(reference: Clock, twin: Clock) -> Option<u64> {
    let rates = (reference.map.real_time_factor()?, twin.map.real_time_factor()?);
    if (rates.0 / rates.1 - 1.0).abs() > RATE_DIFFERENCE_MAX {
        return None;
    }
    let stamp_ns = twin.newest_ns?;
    Some(reference.map.to_local_ns(stamp_ns)?.abs_diff(twin.map.to_local_ns(stamp_ns)?))
}

/// Both clocks under one alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairing<'a> {
    pub(crate) alignment: Alignment,
    pub(crate) reference: &'a TimeMap,
    pub(crate) twin: &'a TimeMap,
}

impl Pairing<'_> {
    /// The twin's time at a time of the reference's; `None` before both have been heard.
    pub(crate) fn twin_ns(&self, reference_ns: i64) -> Option<i64> {
        match self.alignment {
            Alignment::Stamp => Some(reference_ns),
            _ => self.twin.to_source_ns(self.reference.to_local_ns(reference_ns)?),
        }
    }

    /// The reference's time at a time of the twin's.
    pub(crate) fn reference_ns(&self, twin_ns: i64) -> Option<i64> {
        match self.alignment {
            Alignment::Stamp => Some(twin_ns),
            _ => self.reference.to_source_ns(self.twin.to_local_ns(twin_ns)?),
        }
    }

    /// The newest time, by the reference's clock, at which both know a joint, the reference `lag_ns` before it.
    pub(crate) fn newest_common_ns(&self, reference: &History, twin: &History, lag_ns: i64) -> Option<i64> {
        let twin_ns = self.reference_ns(twin.newest()?.time_ns)?;
        Some(reference.newest()?.time_ns.saturating_add(lag_ns).min(twin_ns.saturating_sub(self.rounding_ns())))
    }

    /// Whether the times of a joint's samples are none of the clocks that are compared.
    pub(crate) fn is_off_clock(&self, joint: &Joint) -> bool {
        self.alignment != Alignment::Stamp && joint.is_off_clock.contains(&true)
    }

    /// Whether it may be that times which are told to be equal are not.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.alignment != Alignment::Stamp && (self.reference.is_in_doubt() || self.twin.is_in_doubt())
    }

    /// The reference's time before which other times were equal.
    pub(crate) fn steady_since_ns(&self) -> Option<i64> {
        if self.alignment == Alignment::Stamp {
            return None;
        }
        let twin_ns = self.twin.steady_since_ns().and_then(|twin_ns| self.reference_ns(twin_ns));
        self.reference.steady_since_ns().max(twin_ns)
    }

    /// By how much a time may be off that is translated there and back.
    fn rounding_ns(&self) -> i64 {
        let is_exact = self.alignment == Alignment::Stamp || (self.twin.rate() == 1.0 && self.reference.rate() == 1.0);
        if is_exact { 0 } else { ROUNDING_NS }
    }

    /// Seconds of the twin's clock in one of the reference's.
    pub(crate) fn twin_rate(&self) -> f64 {
        match self.alignment {
            Alignment::Stamp => 1.0,
            _ => self.twin.rate() / self.reference.rate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS_NS: i64 = 1_000_000;

    /// A clock that was 0 at `start_ms`, runs at `rate` and has been heard for two seconds until 10 s.
    fn map(start_ms: i64, rate: f64) -> TimeMap {
        let mut map = TimeMap::new();
        for local_ms in (8_000..=10_000).step_by(10) {
            map.observe(((local_ms - start_ms) as f64 * 1e6 * rate) as i64, local_ms * MS_NS);
        }
        map
    }

    fn clock(map: &TimeMap, is_stamped: bool) -> Clock<'_> {
        Clock { map, is_stamped, newest_ns: map.to_source_ns(10_000 * MS_NS) }
    }

    fn settled(aligner: &mut Aligner, reference: Clock, twin: Clock) -> Alignment {
        for now_ms in (10_000..11_100).step_by(10) {
            aligner.update(reference, twin, now_ms * MS_NS);
        }
        aligner.current()
    }

    #[test]
    fn clocks_that_agree_are_one() {
        let maps = [map(0, 1.0), map(49, 1.0), map(60, 1.0), map(-10_000, 0.5), map(-9_980, 0.5)];
        let settled = |a: usize, b: usize| {
            settled(&mut Aligner::new(TimeAlignment::Auto), clock(&maps[a], true), clock(&maps[b], true))
        };
        assert_eq!(settled(0, 1), Alignment::Stamp);
        assert_eq!(settled(0, 2), Alignment::MinOffset);
        assert_eq!(settled(0, 3), Alignment::MinOffset, "they show the same at this moment alone");
        assert_eq!(settled(3, 4), Alignment::Stamp, "one simulator for both");
    }

    #[test]
    fn what_has_no_stamps_is_compared_by_arrival() {
        let (ours, other) = (map(0, 1.0), map(5_000, 1.0));
        let mut aligner = Aligner::new(TimeAlignment::Auto);
        aligner.update(clock(&ours, false), clock(&ours, false), 0);
        assert_eq!(aligner.current(), Alignment::Arrival);
        aligner.update(clock(&ours, false), clock(&other, true), 0);
        assert_eq!(aligner.current(), Alignment::MinOffset);
    }

    #[test]
    fn it_changes_late_and_not_for_a_little() {
        let (ours, near, less_near, far) = (map(0, 1.0), map(40, 1.0), map(90, 1.0), map(110, 1.0));
        let mut aligner = Aligner::new(TimeAlignment::Auto);
        aligner.update(clock(&ours, true), clock(&near, true), 0);
        aligner.update(clock(&ours, true), clock(&near, true), 999 * MS_NS);
        assert_eq!(aligner.current(), Alignment::MinOffset);
        aligner.update(clock(&ours, true), clock(&near, true), 1_000 * MS_NS);
        assert_eq!(aligner.current(), Alignment::Stamp);
        assert_eq!(settled(&mut aligner, clock(&ours, true), clock(&less_near, true)), Alignment::Stamp);
        assert_eq!(settled(&mut aligner, clock(&ours, true), clock(&far, true)), Alignment::MinOffset);
    }

    #[test]
    fn what_is_set_stays() {
        let ours = map(0, 1.0);
        for (setting, expected) in [
            (TimeAlignment::Stamp, Alignment::Stamp),
            (TimeAlignment::Arrival, Alignment::Arrival),
            (TimeAlignment::MinOffset, Alignment::MinOffset),
        ] {
            let found = settled(&mut Aligner::new(setting), clock(&ours, false), clock(&ours, true));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn times_are_paired_there_and_back() {
        let (reference, twin) = (map(0, 1.0), map(2_000, 0.5));
        let pairing = Pairing { alignment: Alignment::MinOffset, reference: &reference, twin: &twin };
        let twin_ns = pairing.twin_ns(9_000 * MS_NS).expect("both heard");
        assert!((twin_ns - 3_500 * MS_NS).abs() < MS_NS, "{twin_ns}");
        let back_ns = pairing.reference_ns(twin_ns).expect("both heard");
        assert!((back_ns - 9_000 * MS_NS).abs() < 10, "{back_ns}");
        assert!((pairing.twin_rate() - 0.5).abs() < 1e-3);
        let shared = Pairing { alignment: Alignment::Stamp, ..pairing };
        assert_eq!((shared.twin_ns(5), shared.reference_ns(5), shared.twin_rate()), (Some(5), Some(5), 1.0));
    }
}
