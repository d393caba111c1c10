//! Messages into histories: what time a message is of, and what becomes of its values.

use crate::history::{History, Insertion, Sample};
use crate::ingested::{Flush, Ingested, JointValue};
use crate::joints::{Joint, Joints, Source};
use crate::time_map::{Observation, STEP_NS, TimeMap};

/// A stamp this far before that of an earlier message is that of a clock that was set back: a simulator was reset.
const BACKWARD_NS: i64 = 100_000_000;

/// A stamp this far ahead of all that comes for as long as [`LEAP_HOLD_NS`] after it was none of the source's clock. Time
/// makes up for less by itself; publishers that share a topic are not stamped that far apart.
const LEAP_NS: i64 = 1_000_000_000;
const LEAP_HOLD_NS: i64 = 500_000_000;

/// What is known of one source beyond its joints.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    source: Source,
    ignores_stamps: bool,
    pub(crate) map: TimeMap,
    pub(crate) is_stamped: bool,
    /// By the source's clock.
    pub(crate) newest_ns: Option<i64>,
    /// When something new last came.
    pub(crate) arrival_ns: Option<i64>,
    /// When the first came of messages that were all far behind the newest.
    behind_since_ns: Option<i64>,
}

impl Stream {
    pub(crate) fn new(source: Source, ignores_stamps: bool) -> Self {
        Self {
            source,
            ignores_stamps,
            map: TimeMap::new(),
            is_stamped: false,
            newest_ns: None,
            arrival_ns: None,
            behind_since_ns: None,
        }
    }

    /// Forgets everything, as before the first message.
    pub(crate) fn clear(&mut self, joints: &mut Joints) {
        self.map.clear(false);
        (self.is_stamped, self.newest_ns, self.arrival_ns, self.behind_since_ns) = (false, None, None, None);
        for joint in joints.iter_mut() {
            joint.clear(self.source);
            joint.heard_ns[self.source as usize] = None;
        }
    }

    /// How long ago the newest sample was, by the source's clock and the least delay seen.
    pub(crate) fn age_ns(&self, now_ns: i64) -> Option<i64> {
        Some(now_ns.saturating_sub(self.map.to_local_ns(self.newest_ns?)?).max(0))
    }

    /// How long ago something new last came.
    pub(crate) fn silence_ns(&self, now_ns: i64) -> Option<i64> {
        Some(now_ns.saturating_sub(self.arrival_ns?).max(0))
    }

    /// What brings nothing tells nothing of the clock either: joints that are not followed may be stamped by another.
    pub(crate) fn ingest(
        &mut self,
        stamp_ns: Option<i64>,
        arrival_ns: i64,
        values: &[JointValue],
        joints: &mut Joints,
    ) -> Ingested {
        let mut ingested = Ingested::default();
        let is_usable = |value: &JointValue| value.position.is_finite() && joints.get(value.joint).is_some();
        if !values.iter().any(is_usable) {
            let is_followed = |value: &&JointValue| joints.get(value.joint).is_some();
            ingested.no_position = values.iter().filter(is_followed).count() as u32;
            return ingested;
        }
        // A stamp of zero is how ROS says that there is none.
        let stamp_ns = stamp_ns.filter(|stamp_ns| *stamp_ns != 0 && !self.ignores_stamps);
        ingested.flush = stamp_ns.and_then(|stamp_ns| self.contradiction(stamp_ns, arrival_ns, values, joints));
        if ingested.flush.is_some() {
            self.forget(joints);
        }
        self.take(stamp_ns, arrival_ns, values, joints, &mut ingested);
        ingested
    }

    fn take(
        &mut self,
        stamp_ns: Option<i64>,
        arrival_ns: i64,
        values: &[JointValue],
        joints: &mut Joints,
        ingested: &mut Ingested,
    ) {
        let time_ns = self.time_ns(stamp_ns, arrival_ns, ingested);
        let is_off_clock = self.is_off_clock(time_ns, arrival_ns);
        for value in values {
            if let Some(joint) = joints.get_mut(value.joint) {
                joint.is_off_clock[self.source as usize] = is_off_clock;
            }
            self.store(value, time_ns, arrival_ns, joints, ingested);
        }
        if ingested.stored > 0 {
            self.arrival_ns = Some(arrival_ns);
            self.newest_ns = self.newest_ns.max(Some(time_ns));
        }
    }

    /// Whether a message is so late that it is stamped by another clock than that which is known, or as good as that. Of
    /// publishers that share a topic, the one whose stamps are ahead is whose clock is known.
    fn is_off_clock(&self, time_ns: i64, arrival_ns: i64) -> bool {
        let due_ns = self.map.to_local_ns(time_ns);
        due_ns.is_some_and(|due_ns| arrival_ns.saturating_sub(due_ns) > STEP_NS)
    }

    /// Why a stamp does not go with what came before. It is held against the joints of this very message, since publishers
    /// that share a topic may be stamped some time apart; and against the newest of all, which one wrong stamp of another
    /// joint may have set far ahead.
    fn contradiction(
        &mut self,
        stamp_ns: i64,
        arrival_ns: i64,
        values: &[JointValue],
        joints: &Joints,
    ) -> Option<Flush> {
        if !self.is_stamped {
            return self.newest_ns.map(|_| Flush::StampsBegan);
        }
        let newest = |value: &JointValue| joints.get(value.joint)?.history(self.source).newest();
        let newest_ns = values.iter().filter_map(newest).map(|sample| sample.time_ns).max();
        let is_backward = newest_ns.is_some_and(|newest_ns| newest_ns.saturating_sub(stamp_ns) > BACKWARD_NS);
        (self.stays_behind(stamp_ns, arrival_ns) || is_backward).then_some(Flush::BackwardJump)
    }

    /// Whether all messages have been far behind the newest stamp for a while.
    fn stays_behind(&mut self, stamp_ns: i64, arrival_ns: i64) -> bool {
        if self.newest_ns.is_none_or(|newest_ns| newest_ns.saturating_sub(stamp_ns) <= LEAP_NS) {
            self.behind_since_ns = None;
            return false;
        }
        let since_ns = *self.behind_since_ns.get_or_insert(arrival_ns);
        arrival_ns.saturating_sub(since_ns) >= LEAP_HOLD_NS
    }

    /// Forgets all samples; a simulator that was reset goes on at its rate.
    fn forget(&mut self, joints: &mut Joints) {
        self.map.clear(self.is_stamped);
        (self.newest_ns, self.behind_since_ns) = (None, None);
        joints.iter_mut().for_each(|joint| joint.clear(self.source));
    }

    /// What time the message is of, by the source's clock.
    fn time_ns(&mut self, stamp_ns: Option<i64>, arrival_ns: i64, ingested: &mut Ingested) -> i64 {
        let Some(stamp_ns) = stamp_ns else {
            if self.is_stamped {
                ingested.stamp_missing = true;
                return self.map.to_source_ns(arrival_ns).unwrap_or(arrival_ns);
            }
            self.map.observe(arrival_ns, arrival_ns);
            return arrival_ns;
        };
        self.is_stamped = true;
        // A stamp that repeats is no news of the clock: a simulator that is paused may go on sending it.
        if self.newest_ns != Some(stamp_ns) {
            ingested.clock_stepped = self.map.observe(stamp_ns, arrival_ns) == Observation::Stepped;
        }
        stamp_ns
    }

    fn store(&self, value: &JointValue, time_ns: i64, arrival_ns: i64, joints: &mut Joints, ingested: &mut Ingested) {
        let Some(joint) = joints.get_mut(value.joint) else { return };
        if !value.position.is_finite() {
            ingested.no_position += 1;
            return;
        }
        let (history, sample) = self.sample(joint, value, time_ns);
        let insertion = history.insert(sample, arrival_ns);
        match insertion {
            Insertion::Newest | Insertion::Reordered => ingested.stored += 1,
            Insertion::Late => ingested.late += 1,
            Insertion::Duplicate => ingested.duplicate += 1,
        }
        ingested.reordered += u32::from(insertion == Insertion::Reordered);
        if matches!(insertion, Insertion::Newest | Insertion::Reordered) {
            joint.hear(self.source, arrival_ns);
        }
        if insertion == Insertion::Newest {
            joint.efforts[self.source as usize] = self.signed(joint, value.effort);
        }
    }

    fn sample<'a>(&self, joint: &'a mut Joint, value: &JointValue, time_ns: i64) -> (&'a mut History, Sample) {
        let velocity = if value.velocity.is_finite() { self.signed(joint, value.velocity) } else { f64::NAN };
        let sample = Sample { time_ns, position: self.signed(joint, value.position), velocity };
        (&mut joint.histories[self.source as usize], sample)
    }

    /// A value of the twin's in the reference's sense.
    fn signed(&self, joint: &Joint, value: f64) -> f64 {
        match self.source {
            Source::Reference => value,
            Source::Twin => joint.sign.apply(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JointId, Settings, Sign};

    const MS_NS: i64 = 1_000_000;

    struct Bench {
        joints: Joints,
        stream: Stream,
    }

    impl Bench {
        fn new(source: Source) -> Self {
            let sign_map = [("b".to_owned(), Sign::Opposite)].into();
            let mut joints = Joints::new(&Settings { buffer_size: 100, sign_map, ..Settings::default() });
            for name in ["a", "b"] {
                assert!(joints.admit(source, name).is_ok());
            }
            Self { joints, stream: Stream::new(source, false) }
        }

        fn ingest(&mut self, stamp_ms: Option<i64>, arrival_ms: i64, joints: &[u16]) -> Ingested {
            let values: Vec<_> = joints.iter().map(|joint| value(*joint, 1.0)).collect();
            let stamp_ns = stamp_ms.map(|stamp_ms| stamp_ms * MS_NS);
            self.stream.ingest(stamp_ns, arrival_ms * MS_NS, &values, &mut self.joints)
        }

        fn newest(&self, joint: u16) -> Option<Sample> {
            self.joints.get(JointId(joint)).and_then(|joint| joint.history(self.stream.source).newest())
        }
    }

    fn value(joint: u16, position: f64) -> JointValue {
        JointValue { joint: JointId(joint), position, velocity: 2.0, effort: 3.0 }
    }

    #[test]
    fn a_message_changes_the_joints_that_it_names() {
        let mut bench = Bench::new(Source::Reference);
        assert_eq!(bench.ingest(Some(1_000), 5, &[0]).stored, 1);
        assert_eq!(bench.ingest(Some(1_010), 15, &[1]).stored, 1);
        let times = [0, 1].map(|joint| bench.newest(joint).map(|sample| sample.time_ns / MS_NS));
        assert_eq!(times, [Some(1_000), Some(1_010)]);
        assert_eq!(bench.stream.age_ns(20 * MS_NS), Some(5 * MS_NS));
    }

    #[test]
    fn a_twin_that_turns_the_other_way_is_turned() {
        let mut bench = Bench::new(Source::Twin);
        bench.ingest(Some(1), 0, &[0, 1]);
        let found = [0, 1].map(|joint| bench.newest(joint).map(|sample| (sample.position, sample.velocity)));
        assert_eq!(found, [Some((1.0, 2.0)), Some((-1.0, -2.0))]);
        assert_eq!([0, 1].map(|joint| bench.joints.get(JointId(joint)).expect("it").efforts[1]), [3.0, -3.0]);
    }

    #[test]
    fn no_stamp_or_zero_is_the_arrival() {
        let mut bench = Bench::new(Source::Reference);
        bench.ingest(None, 70, &[0]);
        assert_eq!(bench.ingest(Some(0), 80, &[0]), Ingested { stored: 1, ..Ingested::default() });
        assert_eq!(bench.newest(0).map(|sample| sample.time_ns), Some(80 * MS_NS));
        assert!(!bench.stream.is_stamped);
    }

    #[test]
    fn stamps_that_begin_flush_and_one_that_is_missing_is_told_from_the_arrival() {
        let mut bench = Bench::new(Source::Reference);
        bench.ingest(None, 70, &[0, 1]);
        assert_eq!(bench.ingest(Some(9_000), 80, &[0]).flush, Some(Flush::StampsBegan));
        assert_eq!(bench.newest(1), None);
        let missing = bench.ingest(None, 95, &[0]);
        assert_eq!(missing, Ingested { stored: 1, stamp_missing: true, ..Ingested::default() });
        assert_eq!(bench.newest(0).map(|sample| sample.time_ns), Some(9_015 * MS_NS));
    }

    #[test]
    fn a_clock_that_was_set_back_flushes_and_a_little_does_not() {
        let mut bench = Bench::new(Source::Reference);
        bench.ingest(Some(9_000), 0, &[0, 1]);
        let late = bench.ingest(Some(8_900), 10, &[0]);
        assert_eq!(late, Ingested { late: 1, ..Ingested::default() });
        let reset = bench.ingest(Some(8_899), 20, &[0]);
        assert_eq!(reset, Ingested { stored: 1, flush: Some(Flush::BackwardJump), ..Ingested::default() });
        assert_eq!((bench.newest(1), bench.stream.newest_ns), (None, Some(8_899 * MS_NS)));
    }

    #[test]
    fn publishers_that_are_stamped_some_time_apart_do_not_flush_each_other() {
        let mut bench = Bench::new(Source::Reference);
        for message in 0..20 {
            assert_eq!(bench.ingest(Some(1_000 + message * 10), message * 10, &[0]).flush, None);
            assert_eq!(bench.ingest(Some(500 + message * 10), message * 10 + 1, &[1]).flush, None);
        }
    }

    #[test]
    fn a_position_that_is_none_is_left_out_alone() {
        let mut bench = Bench::new(Source::Reference);
        let values = [value(0, f64::INFINITY), value(1, 1.0), JointValue { velocity: f64::NAN, ..value(7, 1.0) }];
        let ingested = bench.stream.ingest(Some(1), 0, &values, &mut bench.joints);
        assert_eq!(ingested, Ingested { stored: 1, no_position: 1, ..Ingested::default() });
    }

    #[test]
    fn a_message_that_brings_nothing_tells_nothing_of_the_clock() {
        let mut bench = Bench::new(Source::Reference);
        bench.ingest(None, 0, &[0]);
        assert_eq!(bench.ingest(Some(2_000_000), 5, &[]), Ingested::default());
        assert!(!bench.stream.is_stamped && bench.newest(0).is_some());
        bench.ingest(Some(1_000), 10, &[0]);
        let before = bench.stream.map.to_local_ns(0);
        for values in [&[][..], &[value(7, 1.0)], &[value(0, f64::NAN)]] {
            let ingested = bench.stream.ingest(Some(2_000_000 * MS_NS), 20 * MS_NS, values, &mut bench.joints);
            assert_eq!((ingested.stored, ingested.flush, ingested.clock_stepped), (0, None, false));
            assert_eq!(bench.stream.map.to_local_ns(0), before);
        }
        assert_eq!(bench.ingest(Some(1_010), 20, &[0]).stored, 1);
        assert_eq!(bench.stream.map.to_local_ns(1_010 * MS_NS), Some(20 * MS_NS));
    }

    #[test]
    fn a_stamp_far_ahead_that_nothing_continues_is_forgotten() {
        let mut bench = Bench::new(Source::Reference);
        bench.ingest(Some(1_000), 0, &[0]);
        bench.ingest(Some(2_000_000_000), 5, &[1]);
        let flushes = (1..100).filter_map(|message| {
            let ingested = bench.ingest(Some(1_000 + message * 10), message * 10, &[0]);
            Some((message * 10, ingested.flush?))
        });
        assert_eq!(flushes.collect::<Vec<_>>(), [(510, Flush::BackwardJump)]);
        assert_eq!((bench.stream.newest_ns, bench.newest(1)), (Some(1_990 * MS_NS), None));
        assert_eq!(bench.stream.age_ns(1_000 * MS_NS), Some(10 * MS_NS));
    }

    #[test]
    fn a_stamp_that_repeats_is_no_sign_of_life() {
        let mut bench = Bench::new(Source::Reference);
        bench.ingest(Some(1_000), 0, &[0]);
        let repeated = bench.ingest(Some(1_000), 700, &[0]);
        assert_eq!(repeated, Ingested { duplicate: 1, ..Ingested::default() });
        assert_eq!((bench.stream.silence_ns(700 * MS_NS), bench.stream.map.delay_ns()), (Some(700 * MS_NS), 0));
    }
}
