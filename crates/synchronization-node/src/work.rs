//! What is done at every tick, by the one thread that has the synchronizer.
//!
//! Invariant: no lock is waited for, nothing is logged, and, once all joints are known, nothing is allocated but when the
//! state changes, a service is asked or a command is passed on.

use std::sync::mpsc::{Receiver, SyncSender};

use cdr::Stamp;
use node_runtime::{MonotonicClock, RosClock};
use ros_observer::Error;
use twin_sync::{JOINTS_MAX, JointValue, Moment, ResyncProgress, Source, Synchronizer, Tick, Transition};

use crate::command_output::{CommandOutput, JointCommand, Sent};
use crate::description::LimitsOfJoints;
use crate::forwarding;
use crate::intake::Outlet;
use crate::known::Known;
use crate::outputs::Outputs;
use crate::requests::{Answer, Request, Wish};
use crate::shown::Shown;
use crate::tick_metrics::TickMetrics;

/// All that a tick needs.
pub(crate) struct Work {
    pub(crate) synchronizer: Synchronizer,
    pub(crate) outputs: Outputs,
    pub(crate) command_output: CommandOutput,
    pub(crate) metrics: TickMetrics,
    pub(crate) inbox: Inbox,
    pub(crate) shown: Shown,
    pub(crate) clock: MonotonicClock,
    pub(crate) ros_clock: RosClock,
    pub(crate) known: Known,
    /// Who waits for the end of a resynchronization.
    pub(crate) resync: Option<SyncSender<Answer>>,
    /// Whether a service has been answered since the spinner was last told so.
    pub(crate) has_answered: bool,
}

/// Where everything comes from.
pub(crate) struct Inbox {
    /// By source.
    pub(crate) outlets: [Outlet; 2],
    pub(crate) requests: Receiver<Request>,
    pub(crate) limits: Receiver<LimitsOfJoints>,
    /// The robot's commands, if they are passed on.
    pub(crate) commands: Option<Receiver<Vec<u8>>>,
}

impl Work {
    /// One tick.
    pub(crate) fn tick(&mut self) {
        let began_ns = self.clock.now_ns();
        self.take_messages();
        self.take_limits();
        let now_ns = began_ns as i64;
        let failed = self.tick_and_tell(now_ns);
        if failed.is_err() {
            self.metrics.publish_failed.inc();
        }
        self.shown.make_report(&self.synchronizer, &self.known, began_ns);
        let ended_ns = self.clock.now_ns();
        self.shown.end_tick(ended_ns);
        self.metrics.duration.observe((ended_ns - began_ns) as f64 / 1e9);
        for arrival_ns in self.known.drain_arrivals_ns() {
            self.metrics.added_latency.observe(ended_ns.saturating_sub(arrival_ns) as f64 / 1e9);
        }
    }

    /// Takes in what lies ready; the next tick tells of it.
    pub(crate) fn take_messages(&mut self) {
        let Self { synchronizer, metrics, inbox, known, .. } = self;
        for (source, outlet) in Source::ALL.into_iter().zip(&mut inbox.outlets) {
            outlet.drain(|parcel| {
                if parcel.names.len() > known.ids[source as usize].len() {
                    known.learn(synchronizer, metrics, source, parcel);
                }
                known.values.clear();
                let ids = &known.ids[source as usize];
                known.values.extend(parcel.values.iter().filter_map(|value| {
                    let joint = ids.get(value.name).copied().flatten()?;
                    Some(JointValue { joint, position: value.position, velocity: value.velocity, effort: value.effort })
                }));
                let arrival_ns = parcel.arrival_ns as i64;
                let ingested = synchronizer.ingest(source, parcel.stamp_ns, arrival_ns, &known.values);
                metrics.count_ingested(source, &ingested);
                if source == Source::Reference {
                    known.keep_arrival(parcel.arrival_ns);
                }
            });
        }
    }

    fn take_limits(&mut self) {
        // The last one holds.
        while let Ok(limits) = self.inbox.limits.try_recv() {
            self.synchronizer.set_limits(limits);
        }
    }

    fn tick_and_tell(&mut self, now_ns: i64) -> Result<(), Error> {
        let tick = self.synchronizer.tick(now_ns);
        self.metrics.count_tick(tick);
        let stamp = Stamp::of_nanoseconds(stamp_ns(tick.refers_to, now_ns, &self.ros_clock));
        let told = self.outputs.tell(tick, &self.known.names, stamp);
        // Where the robot's own commands go to the twin, only a resynchronization brings it to where the robot is, and
        // only a stop keeps it from following to its end what it was told before.
        let is_led = self.inbox.commands.is_none() || tick.resync.is_some() || tick.is_hold;
        let commanded = match is_led {
            true => send_commands(&mut self.command_output, &self.metrics, tick, &self.known),
            false => Ok(()),
        };
        let transition = tick.transition;
        let resync = tick.resync;
        if let Some(transition) = transition {
            self.tell_transition(transition);
        }
        self.answer_resync(resync);
        told.and(commanded)
    }

    /// Passes on one thing that the robot was told. Tells whether there was one.
    pub(crate) fn take_command(&mut self) -> bool {
        let commands = self.inbox.commands.as_ref();
        let Some(message) = commands.and_then(|commands| commands.try_recv().ok()) else { return false };
        let may_forward = self.synchronizer.may_forward().map_err(forwarding::Fault::Refused);
        let translated = may_forward.and_then(|()| forwarding::translated(&message, &self.synchronizer, &self.known));
        match translated {
            Ok((trajectory, clamped)) => {
                self.metrics.count_forwarded(clamped);
                if self.command_output.forward(&trajectory).is_err() {
                    self.metrics.publish_failed.inc();
                }
            }
            Err(fault) => self.metrics.not_forwarded(fault.reason()).inc(),
        }
        true
    }

    /// Does what the services were asked. Tells whether one was answered since it last told.
    pub(crate) fn take_requests(&mut self) -> bool {
        while let Ok(Request { wish, answer }) = self.inbox.requests.try_recv() {
            let done = match wish {
                Wish::Resync => match self.begin_resync(answer.clone()) {
                    Ok(()) => continue,
                    Err(refused) => refused,
                },
                Wish::ResetStatistics => {
                    self.synchronizer.reset_statistics(self.clock.now_ns() as i64);
                    Answer::done("statistics are taken anew")
                }
                Wish::SafetyStop => self.changed(Synchronizer::safety_stop, "stopped", "stopped already"),
                Wish::ClearFault => self.changed(Synchronizer::clear_fault, "cleared", "there was no fault"),
                Wish::Enable(true) if matches!(self.command_output, CommandOutput::None) => {
                    Answer::refused("output_mode is none: the twin is not commanded")
                }
                Wish::Enable(is_enabled) => {
                    self.synchronizer.enable(is_enabled);
                    Answer::done(if is_enabled { "commands are on" } else { "commands are off" })
                }
            };
            // Room for one answer was made, and this is the one.
            drop(answer.try_send(done));
            self.has_answered = true;
        }
        std::mem::take(&mut self.has_answered)
    }

    fn changed(
        &mut self,
        change: impl FnOnce(&mut Synchronizer) -> Option<Transition>,
        done: &str,
        otherwise: &str,
    ) -> Answer {
        match change(&mut self.synchronizer) {
            Some(transition) => {
                self.tell_transition(transition);
                Answer::done(done)
            }
            None => Answer::done(otherwise),
        }
    }

    fn begin_resync(&mut self, answer: SyncSender<Answer>) -> Result<(), Answer> {
        if self.resync.is_some() {
            return Err(Answer::refused("a resynchronization is under way"));
        }
        match self.synchronizer.resync(self.clock.now_ns() as i64) {
            Ok(transition) => {
                self.resync = Some(answer);
                if let Some(transition) = transition {
                    self.tell_transition(transition);
                }
                Ok(())
            }
            Err(refusal) => Err(Answer::refused(&refusal.to_string())),
        }
    }

    fn answer_resync(&mut self, progress: Option<ResyncProgress>) {
        let end = match progress {
            Some(ResyncProgress::Converged) => Answer::done("reference and twin agree"),
            Some(ResyncProgress::TimedOut) => {
                Answer::refused("reference and twin did not agree within 5 s: ~/state and /diagnostics say why")
            }
            Some(ResyncProgress::Stopped) => Answer::refused("stopped before reference and twin agreed"),
            Some(ResyncProgress::Running) | None => return,
        };
        if let Some(answer) = self.resync.take() {
            drop(answer.try_send(end));
            self.has_answered = true;
        }
    }

    fn tell_transition(&mut self, transition: Transition) {
        self.metrics.count_transition(transition);
        self.shown.tell_transition(transition);
        if self.outputs.tell_state(transition.to).is_err() {
            self.metrics.publish_failed.inc();
        }
    }
}

/// Commands to the twin for every joint that is to be told something.
fn send_commands(output: &mut CommandOutput, metrics: &TickMetrics, tick: &Tick, known: &Known) -> Result<(), Error> {
    metrics.count_commands(tick);
    let mut commands = [JointCommand { joint: "", name: "", position: 0.0 }; JOINTS_MAX];
    let mut count = 0;
    for ((tick, joint), name) in tick.joints.iter().zip(&*known.names).zip(&known.twin_names) {
        // Before the twin has named it, nobody knows by what name it would take a command.
        if let (Some(position), Some(name)) = (tick.command, name) {
            commands[count] = JointCommand { joint, name, position };
            count += 1;
        }
    }
    if count == 0 {
        return Ok(());
    }
    match output.send(&commands[..count])? {
        Sent::Without(joints) => metrics.count_sent(joints, count),
        Sent::Incomplete => metrics.incomplete.inc(),
    }
    Ok(())
}

/// The stamp of what a tick tells: the time that it refers to, by the reference's clock, or by ROS's where that has none.
fn stamp_ns(refers_to: Option<Moment>, now_ns: i64, ros_clock: &RosClock) -> i64 {
    match refers_to {
        Some(Moment::Stamp(stamp_ns)) => stamp_ns,
        Some(Moment::Arrival(arrival_ns)) => {
            ros_clock.at_reception_ns(0).map_or(0, |ros_now_ns| ros_now_ns - (now_ns - arrival_ns))
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::iter::repeat_n;
    use std::sync::atomic::AtomicU64;
    use std::sync::mpsc::sync_channel;
    use std::thread;
    use std::time::{Duration, Instant};

    use allocation_counter::measure;
    use joint_state::{Fault, Field, JointStateMessage};
    use node_runtime::system_time_ns;
    use prometheus::{IntCounter, Registry};
    use ros_observer::{Context, MessageInfo, Node};
    use rtrb::RingBuffer;
    use twin_sync::{JointLimits, JointTick, Settings, State};

    use super::*;
    use crate::intake::{Counters, Intake};
    use crate::parameters::OutputMode;
    use crate::report::SharedReport;
    use crate::topics::Topics;

    const JOINTS: usize = 32;

    /// The work of a node in a ROS domain of its own, and its two intakes.
    struct Bench {
        work: Work,
        intakes: [Intake; 2],
        messages: [JointStateMessage; 2],
        sequence: u64,
    }

    impl Bench {
        fn new() -> Self {
            let context = Context::new(&[], Some(1 + std::process::id() as usize % 100)).expect("a context");
            let node = Node::new(&context, "synchronization_work", "/test").expect("a node");
            let topics = Topics {
                reference: "/joint_states".to_owned(),
                twin: "/twin/joint_states".to_owned(),
                description: "/robot_description".to_owned(),
                output_mode: OutputMode::Trajectory,
                command: "/twin/commands".to_owned(),
                forwarded: None,
            };
            let (clock, ros_clock) = (MonotonicClock::new(), RosClock::system());
            let families = topic_watch::Families::register(&Registry::new(), &[], topic_watch::STATUSES);
            let families = families.expect("names that do not clash");
            let intake = |topic: &String| {
                let counter = || IntCounter::new("counted", "Help.").expect("a legal name");
                let counters = Counters { faults: Fault::ALL.map(|_| counter()), backlog: counter() };
                Intake::new(&[], &families.of_topic(&[], topic), counters, clock, ros_clock.clone())
            };
            let ((reference, from_reference), (twin, from_twin)) = (intake(&topics.reference), intake(&topics.twin));
            let (_, requests) = sync_channel(1);
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
                inbox: Inbox { outlets: [from_reference, from_twin], requests, limits, commands: None },
                shown: Shown::new(SharedReport::default(), transitions, AtomicU64::new(0).into()),
                clock,
                ros_clock,
                known: Known::new(),
                resync: None,
                has_answered: false,
            };
            let message = || JointStateMessage::new(names.iter().map(String::as_str), &[Field::Position]);
            Self { work, intakes: [reference, twin], messages: [message(), message()], sequence: 0 }
        }

        /// A message of each source, and a tick.
        fn step(&mut self) {
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
}
