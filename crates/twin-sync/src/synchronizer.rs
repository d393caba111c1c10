//! All of it together: messages in, ticks out.

mod steps;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::alignment::Aligner;
use crate::analysis::{Analysis, Analyst};
use crate::commander::{Commander, allowed};
use crate::ingest::Stream;
use crate::ingested::{Ingested, JointValue};
use crate::joints::{JointId, JointLimits, Joints, Source, TooManyJoints};
use crate::lags::RobotLag;
use crate::refusal::Refusal;
use crate::settings::{Settings, TimeAlignment, nanoseconds};
use crate::state::{State, Transition};
use crate::state_machine::StateMachine;
use crate::tick::{JointTick, Tick};

/// What the clock of a source is known to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceClock {
    /// How long ago the newest sample was, less the least delay seen.
    pub age_seconds: f64,
    /// The local clock's time at the newest stamp, with the least delay seen, minus that stamp; 0 without stamps. `None` once
    /// the source is lost.
    pub offset_seconds: Option<f64>,
    /// By how much later than the least delayed the last message came. `None` once the source is lost.
    pub delay_seconds: Option<f64>,
    /// Seconds of the source's clock in a local one; `None` before half a second is known, and once the source is lost.
    pub real_time_factor: Option<f64>,
    /// Whether its messages have stamps.
    pub is_stamped: bool,
}

/// A reference and its twin. Times are nanoseconds of one local monotonic clock, unless they are stamps.
///
/// Allocates when created and when a joint is admitted; [`Self::ingest`] and [`Self::tick`] do not.
pub struct Synchronizer {
    settings: Settings,
    joints: Joints,
    /// By source.
    streams: [Stream; 2],
    aligner: Aligner,
    analyst: Analyst,
    robot_lag: RobotLag,
    machine: StateMachine,
    commander: Commander,
    /// Which joint is looked at first for an analysis.
    next_analysis: usize,
    statistics_since_ns: Option<i64>,
    resync_since_ns: Option<i64>,
    /// Whether a stop was asked for since, even if it was cleared by now.
    is_resync_stopped: bool,
    tick: Tick,
}

impl Synchronizer {
    /// With no joint yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let ignores_stamps = settings.time_alignment == TimeAlignment::Arrival;
        let aligner = Aligner::new(settings.time_alignment);
        Self {
            joints: Joints::new(&settings),
            streams: Source::ALL.map(|source| Stream::new(source, ignores_stamps)),
            analyst: Analyst::new(&settings),
            robot_lag: RobotLag::new(),
            machine: StateMachine::new(&settings),
            commander: Commander::new(&settings),
            next_analysis: 0,
            statistics_since_ns: None,
            resync_since_ns: None,
            is_resync_stopped: false,
            tick: Tick::new(aligner.current()),
            aligner,
            settings,
        }
    }

    /// The joint that this source calls by this name, admitted if it is new; `None` where it is not to be followed. Slow:
    /// to be asked once for each new layout of messages.
    ///
    /// # Errors
    /// Where there are [`crate::JOINTS_MAX`] others.
    pub fn joint(&mut self, source: Source, name: &str) -> Result<Option<JointId>, TooManyJoints> {
        let joint = self.joints.admit(source, name)?;
        self.commander.admit(self.joints.len());
        self.tick.joints.resize(self.joints.len(), JointTick::default());
        Ok(joint)
    }

    /// Replaces what a URDF tells of all joints, by the reference's names; joints may come before or after.
    pub fn set_limits(&mut self, limits: HashMap<String, JointLimits>) {
        self.joints.set_limits(limits);
    }

    /// The reference's name of a joint.
    #[must_use]
    pub fn name(&self, joint: JointId) -> Option<&str> {
        Some(&self.joints.get(joint)?.name)
    }

    /// The twin's name of a joint; `None` before the twin has named it.
    #[must_use]
    pub fn twin_name(&self, joint: JointId) -> Option<&str> {
        self.joints.get(joint)?.twin_name.as_deref()
    }

    /// The last analysis of a joint; `None` where there was too little to analyse.
    #[must_use]
    pub fn analysis(&self, joint: JointId) -> Option<&Analysis> {
        self.joints.get(joint)?.analysis.as_ref()
    }

    /// The lag of the robot as a whole, in seconds of the reference's clock; above zero where the twin is behind.
    #[must_use]
    pub fn lag_seconds(&self) -> Option<f64> {
        self.robot_lag.seconds()
    }

    /// What is known of a source's clock at `now_ns`; `None` before its first message.
    #[must_use]
    pub fn clock(&self, source: Source, now_ns: i64) -> Option<SourceClock> {
        let stream = &self.streams[source as usize];
        let newest_ns = stream.newest_ns?;
        let seconds = |time_ns: i64| time_ns as f64 / 1e9;
        // What is lost grows older; whatever else its clock did is not so any more.
        let is_lost = stream.silence_ns(now_ns)? > nanoseconds(self.settings.lost_timeout_seconds);
        let offset_ns = stream.map.to_local_ns(newest_ns)?.saturating_sub(newest_ns);
        Some(SourceClock {
            age_seconds: seconds(stream.age_ns(now_ns)?),
            offset_seconds: (!is_lost).then(|| seconds(offset_ns)),
            delay_seconds: (!is_lost).then(|| seconds(stream.map.delay_ns())),
            real_time_factor: stream.map.real_time_factor().filter(|_| !is_lost),
            is_stamped: stream.is_stamped,
        })
    }

    /// What the last tick told.
    #[must_use]
    pub fn last_tick(&self) -> &Tick {
        &self.tick
    }

    /// The state since the last tick, stop or clearance.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// Takes a message that arrived at `arrival_ns`; a stamp of 0 is none. After a flush every joint is brought to the
    /// reference anew: either may be elsewhere.
    pub fn ingest(
        &mut self,
        source: Source,
        stamp_ns: Option<i64>,
        arrival_ns: i64,
        values: &[JointValue],
    ) -> Ingested {
        let ingested = self.streams[source as usize].ingest(stamp_ns, arrival_ns, values, &mut self.joints);
        if ingested.flush.is_some() {
            self.commander.release();
        }
        ingested
    }

    /// Stops the commands until [`Self::clear_fault`]; `None` where that is so already. Each joint that was ever told
    /// anything is told once more to stay where the twin was last heard of, if that is no longer ago than the stale timeout:
    /// at the next tick ([`Tick::is_hold`]), even if the stop was cleared by then, even while [`Self::enable`] has commands
    /// off. What is not known then is told when it is, unless commands have been resumed.
    pub fn safety_stop(&mut self) -> Option<Transition> {
        self.commander.stop();
        self.is_resync_stopped = true;
        self.machine.stop()
    }

    /// What the last tick told a joint in [`Tick::is_hold`] could not be sent: the next ticks tell it again, unless commands
    /// have been resumed.
    pub fn hold_failed(&mut self, joint: JointId) {
        self.commander.hold_failed(joint);
    }

    /// Begins anew after a stop; `None` where there was none.
    pub fn clear_fault(&mut self) -> Option<Transition> {
        self.machine.clear_fault()
    }

    /// Whether the twin may be commanded, if it is at all; while not, it is told nothing but to stay where it is when a stop
    /// is asked for. A stop on divergence is silent then: whoever moves the twin meanwhile did not ask for it. Joints are
    /// brought to the reference when it is again.
    pub fn enable(&mut self, is_enabled: bool) {
        self.commander.enable(is_enabled);
    }

    /// Statistics are taken of what comes from now on; lags that are known stay so.
    pub fn reset_statistics(&mut self, now_ns: i64) {
        self.statistics_since_ns = Some(now_ns);
        self.joints.iter_mut().for_each(|joint| joint.analysis = None);
    }

    /// Forgets all samples, clocks and lags, and brings the twin to the reference anew where it is commanded. How that goes
    /// on is told by [`Tick::resync`].
    ///
    /// # Errors
    /// While stopped.
    pub fn resync(&mut self, now_ns: i64) -> Result<Option<Transition>, Refusal> {
        if self.machine.state() == State::Stopped {
            return Err(Refusal::Stopped);
        }
        for stream in &mut self.streams {
            stream.clear(&mut self.joints);
        }
        self.joints.iter_mut().for_each(|joint| joint.lag = None);
        self.robot_lag.update(&self.joints, now_ns);
        self.commander.release();
        (self.resync_since_ns, self.is_resync_stopped) = (Some(now_ns), false);
        Ok(self.machine.restart())
    }

    /// Whether the twin may be told at present what somebody else wants it to do: to be asked once for each such wish, since
    /// one that moves no joint stands for a stop.
    ///
    /// # Errors
    /// While commands are off, a stop or a resynchronization lasts, or inputs are lost.
    pub fn may_forward(&self) -> Result<(), Refusal> {
        match self.commander.may_forward(self.machine.state()) {
            Ok(()) | Err(Refusal::Lost) if self.resync_since_ns.is_some() => Err(Refusal::Resync),
            may_forward => may_forward,
        }
    }

    /// A position, in the reference's sense, that somebody else wants a joint of the twin to take: in the twin's own sense,
    /// within its limits, and whether they changed it.
    ///
    /// # Errors
    /// Where the twin may not be told so.
    pub fn forward(&self, joint: JointId, position: f64) -> Result<(f64, bool), Refusal> {
        self.may_forward()?;
        let joint = self.joints.get(joint).ok_or(Refusal::NoLimits)?;
        let (position, is_clamped) = allowed(joint.limits.as_ref(), position)?;
        Ok((joint.sign.apply(position), is_clamped))
    }

    /// A velocity, in the reference's sense, that goes with such a position: in the twin's own sense, within the limit, where
    /// the joint has one.
    ///
    /// # Errors
    /// Where it is no number, or the joint is not known.
    pub fn forward_velocity(&self, joint: JointId, velocity: f64) -> Result<f64, Refusal> {
        if !velocity.is_finite() {
            return Err(Refusal::NotFinite);
        }
        let joint = self.joints.get(joint).ok_or(Refusal::NoLimits)?;
        let limit = joint.velocity_limit().unwrap_or(f64::INFINITY);
        Ok(joint.sign.apply(velocity.clamp(-limit, limit)))
    }

    /// What the robot's description allows of a joint, in the twin's own sense.
    ///
    /// # Errors
    /// Where that is not known.
    pub fn twin_limits(&self, joint: JointId) -> Result<JointLimits, Refusal> {
        let joint = self.joints.get(joint).ok_or(Refusal::NoLimits)?;
        let limits = joint.limits.as_ref().ok_or(Refusal::NoLimits)?;
        let ends = |range: &RangeInclusive<f64>| {
            let [one, other] = [range.start(), range.end()].map(|end| joint.sign.apply(*end));
            one.min(other)..=one.max(other)
        };
        Ok(JointLimits {
            is_continuous: limits.is_continuous,
            position: limits.position.as_ref().map(ends),
            velocity: joint.velocity_limit(),
        })
    }

    /// Whether a joint can get from where the twin was last heard of at `now_ns` to a position, in the twin's own sense, in
    /// so many seconds at its limit of velocity, where it has one. The error and the lag that do not make the state DEGRADED
    /// are let pass: a command begins where the robot is, and its twin may be a little off and late.
    ///
    /// # Errors
    /// Where the joint is not known, or the twin has not told of it within the lost timeout.
    pub fn is_in_reach(&self, joint: JointId, position: f64, seconds: f64, now_ns: i64) -> Result<bool, Refusal> {
        let joint = self.joints.get(joint).ok_or(Refusal::NoLimits)?;
        let lost_ns = nanoseconds(self.settings.lost_timeout_seconds);
        let is_lost = joint.silence_ns(Source::Twin, now_ns).is_none_or(|silence_ns| silence_ns > lost_ns);
        let twin = joint.history(Source::Twin).newest().filter(|_| !is_lost).ok_or(Refusal::Lost)?;
        let Some(limit) = joint.velocity_limit() else { return Ok(true) };
        let distance = joint.turning().difference(joint.sign.apply(position), twin.position).abs();
        let reach = limit * (seconds.max(0.0) + self.settings.max_latency_seconds);
        Ok(distance <= reach + self.settings.state_threshold)
    }

    /// The twin has been told where these joints are to go, by somebody else's wish: a stop holds them from now on.
    pub fn forwarded(&mut self, joints: &[JointId]) {
        self.commander.forwarded(joints);
    }

    /// What is so at `now_ns`, and what is to be done, by the analyses that there are: [`Self::analyse_next`].
    pub fn tick(&mut self, now_ns: i64) -> &Tick {
        self.align(now_ns);
        self.read(now_ns);
        self.judge(now_ns);
        self.command(now_ns);
        self.tick.resync = self.resync_progress(now_ns);
        &self.tick
    }
}
