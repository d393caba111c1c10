//! What is done at every tick, by the one thread that has the synchronizer.
//!
//! Invariant: no lock is waited for, nothing is logged, and, once all joints are known, nothing is allocated but when the
//! state changes, a service is asked, a command is passed on or a stop is told.

#[cfg(test)]
pub(crate) mod tests;

use std::sync::mpsc::{Receiver, SyncSender};

use cdr::Stamp;
use node_runtime::{MonotonicClock, RosClock};
use ros_observer::Error;
use twin_sync::{JOINTS_MAX, JointId, JointValue, Moment, ResyncProgress, Source, Synchronizer, Tick, Transition};

use crate::command_output::{CommandOutput, JointCommand, Sent};
use crate::description::LimitsOfJoints;
use crate::forwarding::{self, Translated, Waiting};
use crate::intake::Outlet;
use crate::known::Known;
use crate::outputs::Outputs;
use crate::requests::{Answer, Request, Stops, WAITING_MAX, Wish};
use crate::shown::Shown;
use crate::tick_metrics::TickMetrics;

/// At least twenty joints a second are analysed, whatever ticks and commands take.
const ANALYSIS_LATE_NS: u64 = 50_000_000;

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
    /// Whether a tick is not to wait for its time.
    pub(crate) is_urgent: bool,
    /// When a joint was analysed last, or none was due.
    pub(crate) analysed_ns: u64,
}

/// Where everything comes from.
pub(crate) struct Inbox {
    /// By source.
    pub(crate) outlets: [Outlet; 2],
    pub(crate) requests: Receiver<Request>,
    pub(crate) stops: Stops,
    pub(crate) limits: Receiver<LimitsOfJoints>,
    /// The robot's commands, if they are passed on.
    pub(crate) commands: Option<Waiting>,
}

impl Work {
    /// One tick.
    pub(crate) fn tick(&mut self) {
        self.is_urgent = false;
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

    /// Whether no joint has been analysed for so long that it cannot wait for time that nothing else needs.
    pub(crate) fn is_analysis_late(&self) -> bool {
        self.clock.now_ns().saturating_sub(self.analysed_ns) > ANALYSIS_LATE_NS
    }

    /// Analyses the joint whose turn it is, for the next ticks. Tells whether there was one.
    pub(crate) fn analyse(&mut self) -> bool {
        self.analysed_ns = self.clock.now_ns();
        self.synchronizer.analyse_next(self.analysed_ns as i64).is_some()
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
        let mut not_held = Vec::new();
        let commanded = send_commands(&mut self.command_output, &self.metrics, tick, &self.known, |joint| {
            not_held.push(joint);
        });
        let transition = tick.transition;
        let resync = tick.resync;
        not_held.into_iter().for_each(|joint| self.synchronizer.hold_failed(joint));
        if let Some(transition) = transition {
            self.tell_transition(transition);
        }
        self.answer_resync(resync);
        told.and(commanded)
    }

    /// Passes on one thing that the robot was told. Tells whether there was one.
    pub(crate) fn take_command(&mut self) -> bool {
        let commands = self.inbox.commands.as_ref();
        let Some(message) = commands.and_then(Waiting::pop) else { return false };
        let now_ns = self.clock.now_ns() as i64;
        let may_forward = self.synchronizer.may_forward().map_err(forwarding::Fault::Refused);
        let translated =
            may_forward.and_then(|()| forwarding::translated(&message, &self.synchronizer, &self.known, now_ns));
        match translated {
            Ok(Translated { trajectory, joints, clamped }) => {
                self.synchronizer.forwarded(&joints);
                self.metrics.count_forwarded(clamped);
                if self.command_output.forward(&trajectory).is_err() {
                    self.metrics.publish_failed.inc();
                }
            }
            Err(fault) => self.metrics.not_forwarded(fault.reason()).inc(),
        }
        true
    }

    /// Does what the services were asked, as much as may wait: who asks on delays no tick. Tells whether one was answered
    /// since it last told. A stop comes after all that was asked for before it, so that nothing of that undoes it.
    pub(crate) fn take_requests(&mut self) -> bool {
        let stop = self.inbox.stops.pending();
        for _ in 0..WAITING_MAX {
            let Ok(Request { wish, answer }) = self.inbox.requests.try_recv() else { break };
            let done = match wish {
                Wish::Resync => match self.begin_resync(answer.clone()) {
                    Ok(()) => continue,
                    Err(refused) => refused,
                },
                Wish::ResetStatistics => {
                    self.synchronizer.reset_statistics(self.clock.now_ns() as i64);
                    Answer::done("statistics are taken anew")
                }
                Wish::ClearFault => self.clear_fault(),
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
        if let Some(number) = stop {
            self.stop();
            self.inbox.stops.finish(number);
            self.has_answered = true;
        }
        std::mem::take(&mut self.has_answered)
    }

    fn stop(&mut self) {
        // The twin is to be told now, however far away the next tick is.
        self.is_urgent = true;
        if let Some(transition) = self.synchronizer.safety_stop() {
            self.tell_transition(transition);
        }
    }

    fn clear_fault(&mut self) -> Answer {
        match self.synchronizer.clear_fault() {
            Some(transition) => {
                self.tell_transition(transition);
                Answer::done("cleared")
            }
            None => Answer::done("there was no fault"),
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

/// Commands to the twin for every joint that is to be told something; `not_held` is told of those that a hold did not reach.
fn send_commands(
    output: &mut CommandOutput,
    metrics: &TickMetrics,
    tick: &Tick,
    known: &Known,
    not_held: impl FnMut(JointId),
) -> Result<(), Error> {
    metrics.count_commands(tick);
    let Some(first) = known.joints.first() else { return Ok(()) };
    let mut commands = [JointCommand { id: *first, joint: "", name: "", position: 0.0 }; JOINTS_MAX];
    let mut count = 0;
    let names = known.joints.iter().zip(&*known.names).zip(&known.twin_names);
    for (tick, ((id, joint), name)) in tick.joints.iter().zip(names) {
        // Before the twin has named it, nobody knows by what name it would take a command.
        if let (Some(position), Some(name)) = (tick.command, name) {
            commands[count] = JointCommand { id: *id, joint, name, position };
            count += 1;
        }
    }
    if count == 0 {
        return Ok(());
    }
    let commands = &commands[..count];
    let sent = if tick.is_hold { output.hold(commands, not_held) } else { output.send(commands) };
    match sent? {
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
