//! Clocks that are not one, or not steady.

mod pair;

use pair::turn;
use twin_sync::{Cause, JointId, JointValue, Settings, Source, State, Synchronizer};

const MS_NS: i64 = 1_000_000;
const STAMPED_MS: i64 = 9_000;

/// One publisher on the twin's topic, with a joint of its own.
struct Publisher {
    joint: &'static str,
    /// What its clock shows beyond that of the reference.
    ahead_ms: i64,
    interval_ms: i64,
}

/// A reference of all joints, and a twin that publishers share.
struct Shared {
    synchronizer: Synchronizer,
    publishers: Vec<Publisher>,
    now_ms: i64,
}

impl Shared {
    fn new(ahead_ms: i64) -> Self {
        let publisher = |joint, ahead_ms| Publisher { joint, ahead_ms, interval_ms: 10 };
        let publishers = vec![publisher("arm", 0), publisher("leg", ahead_ms)];
        Self { synchronizer: Synchronizer::new(Settings::default()), publishers, now_ms: 0 }
    }

    fn id(&mut self, source: Source, joint: &str) -> JointId {
        self.synchronizer.joint(source, joint).expect("room").expect("it is followed")
    }

    /// All that is sent within a millisecond.
    fn step(&mut self) {
        self.now_ms += 1;
        let now_ns = self.now_ms * MS_NS;
        if self.now_ms % 10 == 0 {
            let values = ["arm", "leg"].map(|joint| value(self.id(Source::Reference, joint), self.now_ms));
            self.synchronizer.ingest(Source::Reference, Some(now_ns + STAMPED_MS * MS_NS), now_ns, &values);
        }
        for index in 0..self.publishers.len() {
            let Publisher { joint, ahead_ms, interval_ms } = self.publishers[index];
            // Not both at once.
            if (self.now_ms + 5 * index as i64) % interval_ms == 0 {
                let value = value(self.id(Source::Twin, joint), self.now_ms);
                let stamp_ns = now_ns + (STAMPED_MS + ahead_ms) * MS_NS;
                self.synchronizer.ingest(Source::Twin, Some(stamp_ns), now_ns, &[value]);
            }
        }
        turn(&mut self.synchronizer, now_ns);
    }

    fn errors(&mut self) -> [Option<f64>; 2] {
        let ids = ["arm", "leg"].map(|joint| self.id(Source::Reference, joint));
        ids.map(|id| self.synchronizer.last_tick().joints[id.index()].error.map(|error| error.judged().abs()))
    }
}

fn value(joint: JointId, now_ms: i64) -> JointValue {
    let position = 0.5 * (now_ms as f64 / 1e3 * (3.0 + joint.index() as f64)).sin();
    JointValue { joint, position, velocity: f64::NAN, effort: f64::NAN }
}

#[test]
fn joints_that_are_stamped_by_another_clock_are_told_of_and_not_compared() {
    for ahead_ms in [150, 900, 1_500, 5_000, 2_000_000_000] {
        let mut shared = Shared::new(ahead_ms);
        let mut causes = Vec::new();
        while shared.now_ms < 10_000 {
            shared.step();
            causes.extend(shared.synchronizer.last_tick().transition.map(|transition| transition.cause));
            // What is compared before it shows is that of the first publisher, and then that of the one that is ahead.
            let errors = shared.errors();
            assert!(errors.iter().flatten().all(|error| *error < 0.05), "{ahead_ms} {} {errors:?}", shared.now_ms);
        }
        assert_eq!(shared.errors()[0], None, "{ahead_ms}");
        assert_eq!(shared.synchronizer.state(), State::Degraded, "{ahead_ms} {causes:?}");
        assert!(causes.contains(&Cause::ClocksDiffer), "{ahead_ms} {causes:?}");
    }
}

#[test]
fn the_clock_of_a_joint_that_is_not_compared_does_not_matter() {
    let mut shared = Shared::new(0);
    let publisher = |joint, ahead_ms| Publisher { joint, ahead_ms, interval_ms: 10 };
    // Of the last one the reference tells nothing.
    shared.publishers = vec![publisher("arm", 5_000), publisher("leg", 5_000), publisher("tool", 0)];
    let mut transitions = Vec::new();
    for _ in 0..10_000 {
        shared.step();
        transitions.extend(shared.synchronizer.last_tick().transition.filter(|_| shared.now_ms > 1_000));
    }
    assert_eq!((shared.synchronizer.state(), transitions), (State::Synced, vec![]));
}

#[test]
fn of_two_clocks_on_a_topic_either_serves_within_ten_seconds_once_it_is_alone() {
    for ahead_ms in [60, 150, 900, 1_500, 5_000, 2_000_000_000] {
        for leaving in [0, 1] {
            let mut shared = Shared::new(ahead_ms);
            (0..5_000).for_each(|_| shared.step());
            shared.publishers.remove(leaving);
            (0..10_000).for_each(|_| shared.step());
            let staying = 1 - leaving;
            for _ in 0..5_000 {
                shared.step();
                let error = shared.errors()[staying].expect("it is compared again");
                assert!(error < 0.005, "{ahead_ms} {staying} {} {error}", shared.now_ms);
            }
        }
    }
}
