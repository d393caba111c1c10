//! The last samples of one joint of one source.
//!
//! Invariant: samples are in the order of their times, no two at the same; memory is taken, and written to, when created.

/// A sample may come this much after a newer one of its joint and is still put in its place.
const REORDERING_NS_MAX: i64 = 20_000_000;

/// A joint at one time of its source's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) time_ns: i64,
    /// rad or m, finite.
    pub(crate) position: f64,
    /// rad/s or m/s; NaN where the message had none.
    pub(crate) velocity: f64,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insertion {
    Newest,
    Reordered,
    Late,
    Duplicate,
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    ring: Box<[Sample]>,
    /// Where the oldest is.
    start: usize,
    length: usize,
    arrival_ns: Option<i64>,
}

impl History {
    pub(crate) fn new(samples_max: usize) -> Self {
        // NaN and not zero: zeroed pages would only be given by the system when they are first written to.
        let unset = Sample { time_ns: 0, position: f64::NAN, velocity: f64::NAN };
        Self { ring: vec![unset; samples_max.max(2)].into(), start: 0, length: 0, arrival_ns: None }
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.length, self.arrival_ns) = (0, 0, None);
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The sample at `index`, the oldest at 0.
    pub(crate) fn get(&self, index: usize) -> Option<Sample> {
        (index < self.length).then(|| self.ring[self.slot(index)])
    }

    pub(crate) fn oldest(&self) -> Option<Sample> {
        self.get(0)
    }

    pub(crate) fn newest(&self) -> Option<Sample> {
        self.get(self.length.checked_sub(1)?)
    }

    /// When something new was last stored, by the local clock.
    pub(crate) fn arrival_ns(&self) -> Option<i64> {
        self.arrival_ns
    }

    /// How many samples are at `time_ns` or before. Searched from the end, by steps that double, since what is asked for is
    /// mostly near it, and the rest of a large history is not in any cache.
    pub(crate) fn count_until(&self, time_ns: i64) -> usize {
        let is_until = |index: usize| self.ring[self.slot(index)].time_ns <= time_ns;
        let (mut high, mut step) = (self.length, 1);
        while step <= self.length && !is_until(self.length - step) {
            high = self.length - step;
            step *= 2;
        }
        let mut low = self.length.saturating_sub(step);
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_until(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Puts a sample in its place; the oldest makes room.
    pub(crate) fn insert(&mut self, sample: Sample, arrival_ns: i64) -> Insertion {
        let insertion = self.judge(sample.time_ns);
        if matches!(insertion, Insertion::Newest | Insertion::Reordered) {
            self.push(sample);
            self.arrival_ns = Some(arrival_ns);
        }
        insertion
    }

    fn judge(&self, time_ns: i64) -> Insertion {
        let Some(newest) = self.newest().filter(|newest| newest.time_ns >= time_ns) else { return Insertion::Newest };
        let is_before_all = self.oldest().is_some_and(|oldest| time_ns < oldest.time_ns);
        let before = self.count_until(time_ns);
        if before > 0 && self.ring[self.slot(before - 1)].time_ns == time_ns {
            Insertion::Duplicate
        } else if newest.time_ns.saturating_sub(time_ns) > REORDERING_NS_MAX
            || (is_before_all && self.length == self.ring.len())
        {
            Insertion::Late
        } else {
            Insertion::Reordered
        }
    }

    /// From the end, since a sample that is out of order is so by a few.
    fn push(&mut self, sample: Sample) {
        if self.length == self.ring.len() {
            self.start = self.slot(1);
        } else {
            self.length += 1;
        }
        let mut index = self.length - 1;
        while index > 0 && self.ring[self.slot(index - 1)].time_ns > sample.time_ns {
            self.ring[self.slot(index)] = self.ring[self.slot(index - 1)];
            index -= 1;
        }
        self.ring[self.slot(index)] = sample;
    }

    fn slot(&self, index: usize) -> usize {
        let slot = self.start + index;
        if slot < self.ring.len() { slot } else { slot - self.ring.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MS_NS: i64 = 1_000_000;

    fn sample(time_ns: i64) -> Sample {
        Sample { time_ns, position: time_ns as f64, velocity: 0.0 }
    }

    #[test]
    fn what_is_late_by_up_to_20_ms_is_put_in_its_place() {
        let mut history = History::new(10);
        let times_ms = [0, 30, 10, 9, 30, 10, 31, 11];
        let found = times_ms.map(|time_ms| history.insert(sample(time_ms * MS_NS), 0));
        use Insertion::{Duplicate, Late, Newest, Reordered};
        assert_eq!(found, [Newest, Newest, Reordered, Late, Duplicate, Duplicate, Newest, Reordered]);
        let kept: Vec<_> = (0..history.len()).filter_map(|index| history.get(index)).collect();
        assert_eq!(kept, [0, 10, 11, 30, 31].map(|time_ms| sample(time_ms * MS_NS)));
    }

    #[test]
    fn nothing_new_is_no_sign_of_life() {
        let mut history = History::new(10);
        history.insert(sample(5), 100);
        history.insert(sample(5), 200);
        assert_eq!(history.arrival_ns(), Some(100));
        history.clear();
        assert_eq!((history.arrival_ns(), history.newest()), (None, None));
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list(times_ms in vec(0..60_i64, 1..80), size in 2..12_usize, asked_ms in -1..61_i64) {
            let mut history = History::new(size);
            let mut model: Vec<i64> = Vec::new();
            for time_ns in times_ms.into_iter().map(|time_ms| time_ms * MS_NS) {
                let newest_ns = model.last().copied().unwrap_or(i64::MIN);
                let has_no_room = model.len() == size && time_ns < model[0];
                if !model.contains(&time_ns) && newest_ns <= time_ns.saturating_add(20 * MS_NS) && !has_no_room {
                    model.push(time_ns);
                    model.sort_unstable();
                    model.drain(..model.len().saturating_sub(size));
                }
                history.insert(sample(time_ns), 0);
            }
            let kept: Vec<_> = (0..history.len()).filter_map(|index| history.get(index)).collect();
            prop_assert_eq!(kept, model.iter().copied().map(sample).collect::<Vec<_>>());
            let until = model.iter().filter(|time_ns| **time_ns <= asked_ms * MS_NS).count();
            prop_assert_eq!(history.count_until(asked_ms * MS_NS), until);
        }
    }
}
