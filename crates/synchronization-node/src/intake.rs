//! The hot path: what happens to a message in the thread that received it, until it lies ready for the next tick.
//!
//! Invariant: no lock, no logging, and, once the joints of a publisher are known, no allocation. What the ticks do not
//! take in time is left out and counted.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use joint_state::{Decoder, Fault, FaultSet};
use node_runtime::{MonotonicClock, RosClock};
use prometheus::{Histogram, IntCounter};
use ros_observer::MessageInfo;
use rtrb::{Consumer, Producer, RingBuffer};
use topic_watch::{Arrivals, TopicMetrics};
use twin_sync::JOINTS_MAX;

use crate::selection::Selection;

/// Messages that may lie ready: a quarter of a second at 1000 messages/s. They are taken more often, at any rate of
/// ticks.
pub(crate) const PARCELS: usize = 256;

/// Joints that are told apart in one topic, selected or not; those that are not make room for others.
const NAMES_MAX: u32 = 10_000;

/// A message as the ticks take it.
pub(crate) struct Parcel {
    /// When it arrived, in nanoseconds of the node's monotonic clock.
    pub(crate) arrival_ns: u64,
    /// Its stamp, if it tells a time.
    pub(crate) stamp_ns: Option<i64>,
    /// The names of the joints that have been selected so far; `values` refer to them.
    pub(crate) names: Arc<Vec<Arc<str>>>,
    pub(crate) values: Vec<NamedValue>,
}

/// What a message says of one selected joint; [`f64::NAN`] where it says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NamedValue {
    /// The index of its name.
    pub(crate) name: usize,
    pub(crate) position: f64,
    pub(crate) velocity: f64,
    pub(crate) effort: f64,
}

/// Takes the messages of one topic.
pub(crate) struct Intake {
    decoder: Decoder,
    selection: Selection,
    arrivals: Arrivals,
    counters: Counters,
    processing: Histogram,
    clock: MonotonicClock,
    ros_clock: RosClock,
    ready: Producer<Parcel>,
    spare: Consumer<Parcel>,
}

/// What is counted of messages that cannot be used.
#[derive(Clone)]
pub(crate) struct Counters {
    /// In the order of [`Fault::ALL`].
    pub(crate) faults: [IntCounter; Fault::ALL.len()],
    /// Messages that came while as many as may lie ready did.
    pub(crate) backlog: IntCounter,
}

/// Where the ticks take messages from.
pub(crate) struct Outlet {
    ready: Consumer<Parcel>,
    spare: Producer<Parcel>,
}

impl Intake {
    /// An intake for the joints of these names, all if there are none, and its outlet.
    pub(crate) fn new(
        joints: &[String],
        metrics: &TopicMetrics,
        counters: Counters,
        clock: MonotonicClock,
        ros_clock: RosClock,
    ) -> (Self, Outlet) {
        let (ready, outlet) = RingBuffer::new(PARCELS);
        let (mut returned, spare) = RingBuffer::new(PARCELS);
        let selection = Selection::of(joints);
        let parcel = || Parcel {
            arrival_ns: 0,
            stamp_ns: None,
            names: Arc::clone(&selection.names),
            values: Vec::with_capacity(JOINTS_MAX),
        };
        // As many as the ring holds: there is room for each.
        (0..PARCELS).for_each(|_| drop(returned.push(parcel())));
        let decoder = Decoder::new(NAMES_MAX);
        let (arrivals, processing) = (Arrivals::new(metrics.clone()), metrics.processing.clone());
        let intake = Self { decoder, selection, arrivals, counters, processing, clock, ros_clock, ready, spare };
        (intake, Outlet { ready: outlet, spare: returned })
    }

    /// When a message was last recorded, as [`Arrivals::last_recorded_ns`] tells it.
    pub(crate) fn last_recorded_ns(&self) -> Arc<AtomicU64> {
        self.arrivals.last_recorded_ns()
    }

    /// Takes one serialized message.
    pub(crate) fn take(&mut self, message: &[u8], info: &MessageInfo) {
        let arrival = Instant::now();
        let arrival_ns = self.clock.nanoseconds(arrival);
        self.arrivals.count(arrival_ns, info);
        match self.decoder.decode(message, arrival_ns, &mut self.selection) {
            Ok(decoded) => {
                let stamp_ns = decoded.stamp.nanoseconds();
                let ros_time_ns = self.ros_clock.at_reception_ns(info.received_timestamp_ns);
                self.arrivals.count_recorded(arrival_ns);
                self.arrivals.count_stamp(stamp_ns, ros_time_ns);
                self.counters.count(decoded.faults());
                self.counters.count(self.selection.faults());
                let Ok(mut parcel) = self.spare.pop() else { return self.counters.backlog.inc() };
                parcel.arrival_ns = arrival_ns;
                parcel.stamp_ns = stamp_ns;
                parcel.names.clone_from(&self.selection.names);
                parcel.values.clear();
                let selected = &self.selection.name_of_slot;
                parcel.values.extend(decoded.joints().filter_map(|(slot, [position, velocity, effort])| {
                    Some(NamedValue { name: (*selected.get(slot as usize)?)?, position, velocity, effort })
                }));
                // There is room: as many parcels as the ring holds are all that there are.
                drop(self.ready.push(parcel));
            }
            Err(fault) => self.counters.count(FaultSet::from_iter([fault])),
        }
        self.processing.observe(arrival.elapsed().as_secs_f64());
    }
}

impl Counters {
    fn count(&self, faults: FaultSet) {
        if !faults.is_empty() {
            let of_fault = self.faults.iter().zip(Fault::ALL);
            of_fault.filter(|(_, fault)| faults.contains(*fault)).for_each(|(counter, _)| counter.inc());
        }
    }
}

impl Outlet {
    /// Hands every message that lies ready to `take`, in the order of arrival.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&Parcel)) {
        // Those that come meanwhile are for the next tick: this one has to end.
        for _ in 0..self.ready.slots() {
            let Ok(parcel) = self.ready.pop() else { return };
            take(&parcel);
            // There is room for every parcel that there is.
            drop(self.spare.push(parcel));
        }
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use prometheus::Registry;
    use r2r::WrappedTypesupport;
    use r2r::builtin_interfaces::msg::Time;
    use r2r::sensor_msgs::msg::JointState;
    use r2r::std_msgs::msg::Header;
    use ros_observer::Gid;
    use topic_watch::{Families, STATUSES};

    use super::*;

    /// An intake, where its messages come out, and what it counts.
    struct Bench {
        intake: Intake,
        outlet: Outlet,
        metrics: TopicMetrics,
        counters: Counters,
        sequence: u64,
    }

    impl Bench {
        fn new(joints: &[&str]) -> Self {
            let families = Families::register(&Registry::new(), &[], STATUSES).expect("names that do not clash");
            let metrics = families.of_topic(&[], "/joint_states");
            let counters = Counters {
                faults: Fault::ALL.map(|fault| families.rejected(&[], "/joint_states", fault.reason())),
                backlog: families.rejected(&[], "/joint_states", "backlog"),
            };
            let joints: Vec<_> = joints.iter().map(|name| (*name).to_owned()).collect();
            let (clock, ros_clock) = (MonotonicClock::new(), RosClock::system());
            let (intake, outlet) = Intake::new(&joints, &metrics, counters.clone(), clock, ros_clock);
            Self { intake, outlet, metrics, counters, sequence: 0 }
        }

        fn take(&mut self, message: &[u8]) {
            self.sequence += 1;
            let info = MessageInfo {
                publisher: Gid::default(),
                publication_sequence: self.sequence,
                source_timestamp_ns: 2_000_000_000,
                received_timestamp_ns: 2_000_000_500,
            };
            self.intake.take(message, &info);
        }

        /// The names and positions of each message that lies ready.
        fn drained(&mut self) -> Vec<Vec<(String, f64)>> {
            let mut messages = Vec::new();
            self.outlet.drain(|parcel| {
                let named = |value: &NamedValue| (parcel.names[value.name].to_string(), value.position);
                messages.push(parcel.values.iter().map(named).collect());
            });
            messages
        }

        fn rejected(&self, fault: Fault) -> u64 {
            self.counters.faults[fault as usize].get()
        }

        fn rejected_in_all(&self) -> u64 {
            self.counters.faults.iter().map(|counter| counter.get()).sum::<u64>() + self.counters.backlog.get()
        }
    }

    fn message(names: &[String], position: impl Fn(usize) -> f64) -> Vec<u8> {
        let stamp = Time { sec: 1, nanosec: 0 };
        let joints = names.len();
        JointState {
            header: Header { stamp, ..Header::default() },
            name: names.to_vec(),
            position: (0..joints).map(position).collect(),
            velocity: vec![0.5; joints],
            effort: vec![0.5; joints],
        }
        .to_serialized_bytes()
        .expect("a serialized message")
    }

    fn names(joints: usize) -> Vec<String> {
        (0..joints).map(|joint| format!("joint_{joint}")).collect()
    }

    #[test]
    fn what_has_been_seen_before_allocates_nothing() {
        for joints in [0, 7, 50, JOINTS_MAX + 50] {
            let mut bench = Bench::new(&[]);
            // Good, with NaN, and cut off in the middle.
            let (good, nan) = (message(&names(joints), |_| 1.0), message(&names(joints), |_| f64::NAN));
            let messages = [&good[..], &nan, &good[..good.len() / 2]];
            let mut taken_out = 0;
            let mut take_all = || {
                messages.into_iter().for_each(|message| bench.take(message));
                bench.outlet.drain(|parcel| taken_out += parcel.values.len());
            };
            let first = measure(&mut take_all);
            assert_ne!(first.count_total, 0, "the counter counts");
            // Every parcel has been filled once.
            (0..PARCELS).for_each(|_| take_all());
            let allocated = measure(|| (0..10).for_each(|_| take_all()));
            assert_eq!(allocated.count_total, 0, "{joints} joints");
            assert_eq!(taken_out, 2 * (PARCELS + 11) * joints.min(JOINTS_MAX), "{joints} joints");
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_everything_else_is_there() {
        let mut bench = Bench::new(&[]);
        let numbered = |number: usize| message(&names(1), |_| number as f64);
        for round in 0..2 {
            (0..PARCELS + 3).for_each(|number| bench.take(&numbered(number)));
            let positions: Vec<_> = bench.drained().into_iter().map(|joints| joints[0].1 as usize).collect();
            assert_eq!(positions, (0..PARCELS).collect::<Vec<_>>(), "in order");
            assert_eq!(bench.counters.backlog.get(), 3 * (round + 1));
        }
        assert_eq!(bench.rejected_in_all(), 6);
        assert_eq!(bench.metrics.messages.get(), 2 * (PARCELS as u64 + 3));
        assert!(bench.drained().is_empty());
    }

    #[test]
    fn joints_beyond_the_limit_are_left_out_and_counted() {
        let mut bench = Bench::new(&[]);
        bench.take(&message(&names(JOINTS_MAX), |joint| joint as f64));
        assert_eq!(bench.rejected_in_all(), 0);
        for _ in 0..2 {
            bench.take(&message(&names(JOINTS_MAX + 1), |joint| joint as f64));
        }
        assert_eq!((bench.rejected(Fault::TooManyJoints), bench.rejected_in_all()), (2, 2));
        let messages = bench.drained();
        assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [JOINTS_MAX; 3]);
        let last = (format!("joint_{}", JOINTS_MAX - 1), (JOINTS_MAX - 1) as f64);
        assert!(messages.iter().all(|joints| joints.last() == Some(&last)));
    }

    #[test]
    fn joints_that_are_not_wanted_take_no_place() {
        let mut bench = Bench::new(&["joint_299", "joint_3"]);
        bench.take(&message(&names(300), |joint| joint as f64));
        bench.take(&message(&["other", "joint_3"].map(str::to_owned), |joint| 10.0 + joint as f64));
        let at = |number: usize, position| (format!("joint_{number}"), position);
        assert_eq!(bench.drained(), [vec![at(3, 3.0), at(299, 299.0)], vec![at(3, 11.0)]]);
        assert_eq!(bench.rejected_in_all(), 0);
    }

    #[test]
    fn joints_that_are_wanted_find_room_however_many_others_came() {
        let mut bench = Bench::new(&["elbow", "knee"]);
        let others = |round: usize| {
            let names: Vec<_> = (0..NAMES_MAX as usize / 4).map(|name| format!("other_{round}_{name}")).collect();
            message(&names, |_| 0.0)
        };
        let both = message(&["elbow", "knee"].map(str::to_owned), |joint| joint as f64);
        let at = |name: &str, position| (name.to_owned(), position);
        (0..5).for_each(|round| bench.take(&others(round)));
        bench.take(&message(&["knee".to_owned()], |_| 2.0));
        (0..7).for_each(|round| bench.take(&others(round)));
        bench.take(&both);
        let messages = bench.drained();
        assert_eq!(messages[5], [at("knee", 2.0)]);
        assert_eq!(messages[13], [at("elbow", 0.0), at("knee", 1.0)]);
        assert!(messages.iter().enumerate().all(|(index, joints)| joints.is_empty() || [5, 13].contains(&index)));
        assert_eq!(bench.rejected_in_all(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_goes_nowhere() {
        let mut bench = Bench::new(&[]);
        let good = message(&names(2), |_| 1.0);
        bench.take(&good[..good.len() / 2]);
        assert_eq!((bench.rejected(Fault::Truncated), bench.rejected_in_all()), (1, 1));
        assert!(bench.drained().is_empty());
    }
}
