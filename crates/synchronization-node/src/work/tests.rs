use std::f64::consts::TAU;
use std::iter::repeat_n;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use joint_state::{Fault, Field, JointStateMessage};
use node_runtime::system_time_ns;
use prometheus::{IntCounter, Registry};
use r2r::std_msgs::msg::String as Text;
use ros_observer::{Context, MessageInfo, Node, Publisher, Qos};
use rtrb::RingBuffer;
use twin_sync::{JointLimits, JointTick, Settings, State};

use super::*;
use crate::intake::{Counters, Intake};
use crate::parameters::OutputMode;
use crate::report::SharedReport;
use crate::topics::Topics;

const JOINTS: usize = 32;

fn topics() -> Topics {
    Topics {
        reference: "/joint_states".to_owned(),
        twin: "/twin/joint_states".to_owned(),
        description: "/robot_description".to_owned(),
        output_mode: OutputMode::Trajectory,
        command: "/twin/commands".to_owned(),
        forwarded: None,
    }
}

/// The work of a node in a ROS domain of its own, its two intakes, and who asks its services.
pub(crate) struct Bench {
    pub(crate) work: Work,
    node: Node,
    desk: SyncSender<Request>,
    intakes: [Intake; 2],
    messages: [JointStateMessage; 2],
    sequence: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let context = Context::new(&[], Some(1 + std::process::id() as usize % 100)).expect("a context");
        let node = Node::new(&context, "synchronization_work", "/test").expect("a node");
        let topics = topics();
        let (clock, ros_clock) = (MonotonicClock::new(), RosClock::system());
        let families = topic_watch::Families::register(&Registry::new(), &[], topic_watch::STATUSES);
        let families = families.expect("names that do not clash");
        let intake = |topic: &String| {
            let counter = || IntCounter::new("counted", "Help.").expect("a legal name");
            let counters = Counters { faults: Fault::ALL.map(|_| counter()), backlog: counter() };
            Intake::new(&[], &families.of_topic(&[], topic), counters, clock, ros_clock.clone())
        };
        let ((reference, from_reference), (twin, from_twin)) = (intake(&topics.reference), intake(&topics.twin));
        let (desk, requests) = sync_channel(WAITING_MAX);
        let (send_limits, limits) = sync_channel(1);
        let names: Vec<_> = (0..JOINTS).map(|joint| format!("joint_{joint}")).collect();
        let free = JointLimits { is_continuous: true, position: None, velocity: None };
        let known = names.iter().map(|name| (name.clone(), free.clone())).collect();
        send_limits.send(known).expect("somebody asks for them");
        let (transitions, _) = RingBuffer::new(1);
        let settings = Settings { commands: true, ..Settings::default() };
        let work = Work {
            outputs: Outputs::new(&node).expect("publishers"),
            command_output: CommandOutput::new(&node, &topics, &[], Duration::from_millis(1)).expect("one more"),
            synchronizer: Synchronizer::new(settings),
            metrics: TickMetrics::register(&Registry::new()).expect("names that do not clash"),
            inbox: Inbox {
                outlets: [from_reference, from_twin],
                requests,
                stops: Stops::default(),
                limits,
                commands: None,
            },
            shown: Shown::new(SharedReport::default(), transitions, AtomicU64::new(0).into()),
            clock,
            ros_clock,
            known: Known::new(),
            resync: None,
            has_answered: false,
            is_urgent: false,
            analysed_ns: 0,
        };
        let message = || JointStateMessage::new(names.iter().map(String::as_str), &[Field::Position]);
        Self { work, node, desk, intakes: [reference, twin], messages: [message(), message()], sequence: 0 }
    }

    /// Asks for something; nobody waits for the answer.
    pub(crate) fn ask(&self, wish: Wish) {
        self.desk.try_send(Request { wish, answer: sync_channel(1).0 }).expect("room");
    }

    pub(crate) fn stop(&self) {
        self.work.inbox.stops.ask();
    }

    /// A message of each source, and a tick.
    pub(crate) fn step(&mut self) {
        self.sequence += 1;
        let now_ns = system_time_ns();
        let position = (now_ns as f64 / 1e9 * TAU).sin();
        for (intake, message) in self.intakes.iter_mut().zip(&mut self.messages) {
            message.set_stamp(Stamp::of_nanoseconds(now_ns));
            message.set_values(Field::Position, repeat_n(position, JOINTS));
            let (publisher, timestamp_ns) = (ros_observer::Gid::default(), 0);
            intake.take(
                message.as_bytes(),
                &MessageInfo {
                    publisher,
                    publication_sequence: self.sequence,
                    source_timestamp_ns: timestamp_ns,
                    received_timestamp_ns: timestamp_ns,
                },
            );
        }
        self.work.tick();
        self.work.analyse();
        self.work.take_requests();
    }
}

#[test]
fn ticks_allocate_nothing_once_the_joints_are_known_and_the_state_stays() {
    let mut bench = Bench::new();
    let first = measure(|| bench.step());
    assert_ne!(first.count_total, 0, "the counter counts");
    // Until all there is to allocate for has been: joints, the report, a lag and with it one more kind of error.
    let is_complete = |bench: &Bench| {
        let tick = bench.work.synchronizer.last_tick();
        let has_all = |joint: &JointTick| joint.error.is_some_and(|error| error.compensated.is_some());
        tick.joints.len() == JOINTS && tick.joints.iter().all(has_all) && tick.state == State::Synced
    };
    let began = Instant::now();
    while !is_complete(&bench) {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", bench.work.synchronizer.last_tick());
        bench.step();
        // It is time that ticks work with: a lag is told from a second of motion.
        thread::sleep(Duration::from_millis(1));
    }
    let (commands, ticks) = (bench.work.metrics.commands.get(), bench.work.metrics.ticks.get());
    let allocated = measure(|| (0..100).for_each(|_| bench.step()));
    assert!(is_complete(&bench));
    assert_eq!(allocated.count_total, 0);
    assert_eq!(bench.work.metrics.ticks.get(), ticks + 100);
    assert_eq!(bench.work.metrics.commands.get(), commands + 100, "and the twin is commanded");
}

#[test]
fn a_stop_comes_after_all_that_was_asked_for_before_it() {
    let mut bench = Bench::new();
    (0..WAITING_MAX).for_each(|_| bench.ask(Wish::ClearFault));
    bench.stop();
    assert!(bench.work.take_requests());
    assert_eq!(bench.work.synchronizer.state(), State::Stopped);
    assert!(!bench.work.take_requests());
    bench.ask(Wish::ClearFault);
    assert!(bench.work.take_requests());
    assert_eq!(bench.work.synchronizer.state(), State::Waiting);
}

#[test]
fn a_hold_that_could_not_be_sent_is_sent_once_it_can_be() {
    let mut bench = Bench::new();
    let topics = Topics { output_mode: OutputMode::Gz, command: "/twin/{joint}/cmd_pos".to_owned(), ..topics() };
    let gz = |node: &Node| CommandOutput::new(node, &topics, &[], Duration::from_millis(1)).expect("no publisher yet");
    bench.work.command_output = gz(&bench.node);
    while bench.work.metrics.commands.get() == 0 {
        bench.step();
    }
    // All topics are made anew, and the first one cannot be: the middleware knows none of two types.
    bench.work.command_output = CommandOutput::None;
    let in_the_way = Publisher::<Text>::new(&bench.node, "/twin/joint_0/cmd_pos", Qos::reliable(1)).expect("one");
    bench.work.command_output = gz(&bench.node);
    let counts = |bench: &Bench| (bench.work.metrics.publish_failed.get(), bench.work.metrics.commands.get());
    let (failed, commands) = counts(&bench);
    bench.stop();
    bench.work.take_requests();
    (0..3).for_each(|_| bench.step());
    assert_eq!(counts(&bench), (failed + 3, commands), "tried at every tick");
    drop(in_the_way);
    (0..3).for_each(|_| bench.step());
    assert_eq!(counts(&bench), (failed + 3, commands + 1), "held, and no more");
}
