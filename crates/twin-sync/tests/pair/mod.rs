//! A robot and its twin as messages: both do one motion, the twin later or otherwise.

// Not every test uses all of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::f64::consts::TAU;

use twin_sync::{Ingested, JointId, JointLimits, JointValue, Settings, Source, Synchronizer, Tick};

/// Numbers without a pattern: Knuth's linear congruential generator (MMIX).
pub struct Random(u64);

impl Random {
    /// In [0, 1).
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How one source sends.
pub struct Sender {
    pub interval_ms: i64,
    pub has_stamps: bool,
    pub has_velocities: bool,
    /// What its clock shows at local time 0.
    pub start_ns: i64,
    /// Seconds of its clock in a local one.
    pub rate: f64,
    /// Messages take between 1 ms and this much more.
    pub jitter_ms: f64,
    pub loss: f64,
    /// How far it is behind the motion.
    pub lag_seconds: f64,
    /// Added to every position.
    pub bias: f64,
    pub drift_per_second: f64,
}

impl Sender {
    fn new() -> Self {
        Self {
            interval_ms: 10,
            has_stamps: true,
            has_velocities: true,
            start_ns: 1_800_000_000_000_000_000,
            rate: 1.0,
            jitter_ms: 0.0,
            loss: 0.0,
            lag_seconds: 0.0,
            bias: 0.0,
            drift_per_second: 0.0,
        }
    }

    fn stamp_ns(&self, sent_ms: i64) -> i64 {
        self.start_ns + (sent_ms as f64 * 1e6 * self.rate) as i64
    }
}

/// A message on its way.
struct Message {
    arrival_ns: i64,
    source: Source,
    sent_ms: i64,
}

pub struct Pair {
    pub synchronizer: Synchronizer,
    pub reference: Sender,
    pub twin: Sender,
    /// Whether every second message of both comes before the one sent before it.
    pub is_reordered: bool,
    /// What becomes of values, added up over all messages.
    pub ingested: Vec<(Source, Ingested)>,
    pub keeps_ingested: bool,
    joints: usize,
    ids: [Vec<JointId>; 2],
    values: Vec<JointValue>,
    on_the_way: Vec<Message>,
    random: Random,
}

/// The motion of a joint: position and velocity.
pub fn motion(joint: usize, seconds: f64) -> (f64, f64) {
    let hertz = 0.3 + 0.11 * joint as f64;
    let angle = TAU * hertz * seconds + joint as f64;
    (0.5 * angle.sin(), 0.5 * TAU * hertz * angle.cos())
}

/// A tick, and one analysis, where one is due.
pub fn turn(synchronizer: &mut Synchronizer, now_ns: i64) -> &Tick {
    synchronizer.analyse_next(now_ns);
    synchronizer.tick(now_ns)
}

impl Pair {
    pub fn new(settings: Settings, joints: usize) -> Self {
        let mut synchronizer = Synchronizer::new(settings);
        let limits = JointLimits { is_continuous: false, position: Some(-2.0..=2.0), velocity: Some(10.0) };
        let names = (0..joints).map(|joint| format!("joint_{joint}"));
        synchronizer.set_limits(names.map(|name| (name, limits.clone())).collect::<HashMap<_, _>>());
        Self {
            synchronizer,
            reference: Sender::new(),
            twin: Sender::new(),
            is_reordered: false,
            ingested: Vec::new(),
            keeps_ingested: false,
            joints,
            ids: [Vec::new(), Vec::new()],
            values: Vec::with_capacity(joints),
            on_the_way: Vec::with_capacity(64),
            random: Random(1),
        }
    }

    /// Sends and ticks every millisecond of the local clock that stands in the range.
    pub fn run(&mut self, from_ms: i64, to_ms: i64) -> &Tick {
        for now_ms in from_ms..to_ms {
            for source in Source::ALL {
                self.send(source, now_ms);
            }
            self.arrive(now_ms * 1_000_000);
            turn(&mut self.synchronizer, now_ms * 1_000_000);
        }
        turn(&mut self.synchronizer, to_ms * 1_000_000)
    }

    fn sender(&self, source: Source) -> &Sender {
        match source {
            Source::Reference => &self.reference,
            Source::Twin => &self.twin,
        }
    }

    fn send(&mut self, source: Source, now_ms: i64) {
        let (chance, delay) = (self.random.next(), self.random.next());
        let sender = self.sender(source);
        if now_ms % sender.interval_ms != 0 || chance < sender.loss {
            return;
        }
        let is_second = now_ms / sender.interval_ms % 2 == 1;
        let waits_ms = if self.is_reordered && !is_second { sender.interval_ms as f64 * 1.5 } else { 0.0 };
        let delay_ms = 1.0 + delay * sender.jitter_ms + waits_ms;
        let arrival_ns = now_ms * 1_000_000 + (delay_ms * 1e6) as i64;
        self.on_the_way.push(Message { arrival_ns, source, sent_ms: now_ms });
    }

    fn arrive(&mut self, now_ns: i64) {
        self.on_the_way.sort_unstable_by_key(|message| message.arrival_ns);
        let due = self.on_the_way.iter().take_while(|message| message.arrival_ns <= now_ns).count();
        for index in 0..due {
            let Message { arrival_ns, source, sent_ms } = self.on_the_way[index];
            self.fill_values(source, sent_ms as f64 / 1e3);
            let sender = self.sender(source);
            let stamp_ns = sender.has_stamps.then(|| sender.stamp_ns(sent_ms));
            let ingested = self.synchronizer.ingest(source, stamp_ns, arrival_ns, &self.values);
            if self.keeps_ingested {
                self.ingested.push((source, ingested));
            }
        }
        self.on_the_way.drain(..due);
    }

    fn fill_values(&mut self, source: Source, seconds: f64) {
        let ids = &mut self.ids[source as usize];
        for joint in ids.len()..self.joints {
            let admitted = self.synchronizer.joint(source, &format!("joint_{joint}"));
            ids.push(admitted.expect("room").expect("all are followed"));
        }
        let sender = match source {
            Source::Reference => &self.reference,
            Source::Twin => &self.twin,
        };
        self.values.clear();
        for (joint, id) in self.ids[source as usize].iter().enumerate() {
            let (position, velocity) = motion(joint, seconds - sender.lag_seconds);
            let position = position + sender.bias + sender.drift_per_second * seconds;
            let velocity = if sender.has_velocities { velocity / sender.rate } else { f64::NAN };
            self.values.push(JointValue { joint: *id, position, velocity, effort: f64::NAN });
        }
    }
}
