//! What the ticking thread counts. Whatever it touches at every tick is an atomic.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Registry, Result};
use topic_watch::Registrar;
use twin_sync::{Flush, Ingested, Refusal, Source, Tick, Transition};

const ERROR_BUCKETS: &[f64] = &[1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0];
const DURATION_BUCKETS_SECONDS: &[f64] = &[1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1];
const LATENCY_BUCKETS_SECONDS: &[f64] =
    &[1e-4, 2e-4, 5e-4, 7.5e-4, 1e-3, 1.25e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 1e-2, 1.5e-2, 2e-2, 5e-2, 0.1, 1.0];

/// The reason of commands that went nowhere since a controller's joints were not all there.
const INCOMPLETE: &str = "incomplete";

/// The reason of commands of joints whose names cannot be those of topics.
const NO_TOPIC: &str = "no_topic";

/// Why samples are left out, as [`Ingested`] tells them apart.
const DROPPED: [&str; 3] = ["late", "duplicate", "no_position"];

pub(crate) struct TickMetrics {
    pub(crate) ticks: IntCounter,
    overruns: IntCounter,
    pub(crate) duration: Histogram,
    pub(crate) added_latency: Histogram,
    magnitudes: HistogramVec,
    /// By joint: raw, compensated.
    of_joints: Vec<[Histogram; 2]>,
    sources: [SourceMetrics; 2],
    transitions: IntCounterVec,
    pub(crate) commands: IntCounter,
    clamped: IntCounter,
    not_forwarded: IntCounterVec,
    no_limits: IntCounter,
    pub(crate) incomplete: IntCounter,
    no_topic: IntCounter,
    pub(crate) publish_failed: IntCounter,
    pub(crate) descriptions_rejected: IntCounter,
}

struct SourceMetrics {
    dropped: [IntCounter; DROPPED.len()],
    reordered: IntCounter,
    stamp_missing: IntCounter,
    clock_steps: IntCounter,
    flushes: [IntCounter; Flush::ALL.len()],
    joints_refused: IntCounter,
}

impl TickMetrics {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let registrar = Registrar::new(registry, &[]);
        let counter = |name: &str, help: &str| registrar.add(IntCounter::new(name, help)?);
        let counters = |name: &str, help: &str, labels: &[&str]| registrar.counter(name, help, labels);
        let seconds = |name: &str, help: &str, buckets: &[f64]| {
            registrar.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
        };
        let refused = counters(
            "ros_twin_commands_refused_total",
            "Commands to follow the robot that the twin was not given: those of one joint, since it has no_limits or its name \
             makes no_topic, or all of a tick, since they are incomplete.",
            &["reason"],
        )?;
        let of_source = SourceFamilies {
            dropped: counters(
                "ros_twin_samples_dropped_total",
                "Values of joints that were left out, by reason.",
                &["source", "reason"],
            )?,
            reordered: counters(
                "ros_twin_samples_reordered_total",
                "Values of joints that came after newer ones and were put in order.",
                &["source"],
            )?,
            stamp_missing: counters(
                "ros_twin_stamps_missing_total",
                "Messages without a stamp from a source that has stamps; their time was told from their arrival.",
                &["source"],
            )?,
            clock_steps: counters(
                "ros_twin_clock_steps_total",
                "Times that a source's clock stood still or leapt ahead by more than 0.1 s, or went on at another rate.",
                &["source"],
            )?,
            flushes: counters(
                "ros_twin_flushes_total",
                "Times that all samples of a source were forgotten, by reason.",
                &["source", "reason"],
            )?,
            joints_refused: counters(
                "ros_twin_joints_refused_total",
                "Joints of a source that are not followed, since those of both sources are as many as may be already.",
                &["source"],
            )?,
        };
        Ok(Self {
            ticks: counter("ros_twin_ticks_total", "Ticks done.")?,
            overruns: counter("ros_twin_tick_overruns_total", "Ticks left out since the ones before took too long.")?,
            duration: seconds("ros_twin_tick_duration_seconds", "Time that a tick took.", DURATION_BUCKETS_SECONDS)?,
            added_latency: seconds(
                "ros_twin_added_latency_seconds",
                "Time from the arrival of a reference's message to the end of the tick that took it, of 8,192 a tick at most.",
                LATENCY_BUCKETS_SECONDS,
            )?,
            magnitudes: Registrar::new(registry, &["joint_name", "compensation"]).histogram(
                "ros_twin_joint_error_magnitude",
                "Size of the error of a joint at each tick: rad or m; with the lag taken out where compensation is lag.",
                ERROR_BUCKETS,
            )?,
            of_joints: Vec::new(),
            sources: Source::ALL.map(|source| of_source.of(source)),
            transitions: counters(
                "ros_twin_state_transitions_total",
                "Changes of the state, by what it was, what it became and why.",
                &["from", "to", "cause"],
            )?,
            commands: counter("ros_twin_commands_total", "Commands that the twin was given, of all its joints at a time.")?,
            clamped: counter(
                "ros_twin_commands_clamped_total",
                "Commands of joints that a limit of position has changed.",
            )?,
            no_limits: refused.with_label_values(&[Refusal::NoLimits.reason()]),
            incomplete: refused.with_label_values(&[INCOMPLETE]),
            no_topic: refused.with_label_values(&[NO_TOPIC]),
            not_forwarded: counters(
                "ros_twin_forwarded_commands_refused_total",
                "Commands of the robot that were not passed on to the twin, by reason.",
                &["reason"],
            )?,
            publish_failed: counter(
                "ros_twin_publish_failed_total",
                "Ticks at which the middleware did not take a message.",
            )?,
            descriptions_rejected: counter(
                "ros_robot_descriptions_rejected_total",
                "Descriptions of the robot that could not be read, and publishers of it that do not serve this node.",
            )?,
        })
    }

    /// Makes room for a joint.
    pub(crate) fn admit(&mut self, name: &str) {
        let histogram = |compensation| self.magnitudes.with_label_values(&[name, compensation]);
        self.of_joints.push([histogram("none"), histogram("lag")]);
    }

    pub(crate) fn count_refused_joint(&self, source: Source) {
        self.sources[source as usize].joints_refused.inc();
    }

    pub(crate) fn count_ingested(&self, source: Source, ingested: &Ingested) {
        let of_source = &self.sources[source as usize];
        let Ingested { late, duplicate, no_position, .. } = *ingested;
        for (counter, count) in of_source.dropped.iter().zip([late, duplicate, no_position]) {
            add(counter, count);
        }
        add(&of_source.reordered, ingested.reordered);
        add(&of_source.stamp_missing, ingested.stamp_missing.into());
        add(&of_source.clock_steps, ingested.clock_stepped.into());
        if let Some(flush) = ingested.flush {
            of_source.flushes[flush as usize].inc();
        }
    }

    pub(crate) fn count_tick(&self, tick: &Tick) {
        self.ticks.inc();
        for (joint, [raw, compensated]) in tick.joints.iter().zip(&self.of_joints) {
            let Some(error) = joint.error else { continue };
            raw.observe(error.raw.abs());
            if let Some(error) = error.compensated {
                compensated.observe(error.abs());
            }
        }
    }

    /// The counter of commands of the robot that were not passed on for a reason; from now on it shows.
    pub(crate) fn not_forwarded(&self, reason: &str) -> IntCounter {
        self.not_forwarded.with_label_values(&[reason])
    }

    /// Counts what became of the commands to follow the robot.
    pub(crate) fn count_commands(&self, tick: &Tick) {
        add(&self.clamped, tick.clamped);
        add(&self.no_limits, tick.refused);
    }

    /// Counts a command of so many joints, some of which have no topic.
    pub(crate) fn count_sent(&self, without_topic: u32, joints: usize) {
        add(&self.no_topic, without_topic);
        if (without_topic as usize) < joints {
            self.commands.inc();
        }
    }

    /// Counts a command that was passed on.
    pub(crate) fn count_forwarded(&self, clamped: u32) {
        self.commands.inc();
        add(&self.clamped, clamped);
    }

    pub(crate) fn count_transition(&self, transition: Transition) {
        let Transition { from, to, cause } = transition;
        self.transitions.with_label_values(&[from.name(), to.name(), cause.name()]).inc();
    }

    /// The deadlines that passed so far.
    pub(crate) fn set_overruns(&self, overruns: u64) {
        self.overruns.inc_by(overruns.saturating_sub(self.overruns.get()));
    }
}

struct SourceFamilies {
    dropped: IntCounterVec,
    reordered: IntCounterVec,
    stamp_missing: IntCounterVec,
    clock_steps: IntCounterVec,
    flushes: IntCounterVec,
    joints_refused: IntCounterVec,
}

impl SourceFamilies {
    fn of(&self, source: Source) -> SourceMetrics {
        let source = source.name();
        SourceMetrics {
            dropped: DROPPED.map(|reason| self.dropped.with_label_values(&[source, reason])),
            reordered: self.reordered.with_label_values(&[source]),
            stamp_missing: self.stamp_missing.with_label_values(&[source]),
            clock_steps: self.clock_steps.with_label_values(&[source]),
            flushes: Flush::ALL.map(|flush| self.flushes.with_label_values(&[source, flush.name()])),
            joints_refused: self.joints_refused.with_label_values(&[source]),
        }
    }
}

/// Adding nothing costs an atomic operation too.
fn add(counter: &IntCounter, count: u32) {
    if count > 0 {
        counter.inc_by(count.into());
    }
}
