//! The synchronizer against a model that keeps everything in lists and looks through all of them.

mod pair;

use pair::turn;
use proptest::collection::vec;
use proptest::prelude::*;
use twin_sync::{JointValue, Settings, Source, Synchronizer, TimeAlignment};

const MS_NS: i64 = 1_000_000;
const BUFFER_SIZE: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Sample {
    time_ms: i64,
    position: f64,
    velocity: f64,
}

/// One joint of one source.
#[derive(Clone, Debug, Default)]
struct Model {
    samples: Vec<Sample>,
    arrival_ms: Option<i64>,
}

impl Model {
    fn newest_ms(&self) -> Option<i64> {
        self.samples.iter().map(|sample| sample.time_ms).max()
    }

    fn take(&mut self, sample: Sample, arrival_ms: i64) {
        let back_ms = self.newest_ms().map_or(0, |newest_ms| newest_ms - sample.time_ms);
        if back_ms > 100 {
            self.samples.clear();
        } else if back_ms > 20 || self.samples.iter().any(|kept| kept.time_ms == sample.time_ms) {
            return;
        }
        let is_oldest = self.samples.iter().all(|kept| kept.time_ms > sample.time_ms);
        if self.samples.len() == BUFFER_SIZE && is_oldest {
            return;
        }
        self.samples.push(sample);
        self.samples.sort_by_key(|sample| sample.time_ms);
        if self.samples.len() > BUFFER_SIZE {
            self.samples.remove(0);
        }
        self.arrival_ms = Some(arrival_ms);
    }

    fn is_fresh(&self, now_ms: i64) -> bool {
        self.arrival_ms.is_some_and(|arrival_ms| now_ms - arrival_ms <= 250)
    }

    /// By the basis functions of Hermite, or the line; nothing across a gap.
    fn position(&self, time_ms: i64) -> Option<f64> {
        if let Some(exact) = self.samples.iter().find(|sample| sample.time_ms == time_ms) {
            return Some(exact.position);
        }
        let before = self.samples.iter().rfind(|sample| sample.time_ms < time_ms)?;
        let after = self.samples.iter().find(|sample| sample.time_ms > time_ms)?;
        let span = (after.time_ms - before.time_ms) as f64 / 1e3;
        let u = (time_ms - before.time_ms) as f64 / 1e3 / span;
        let has_velocities = !before.velocity.is_nan() && !after.velocity.is_nan();
        let line = before.position + (after.position - before.position) * u;
        let cubic = (2.0 * u.powi(3) - 3.0 * u.powi(2) + 1.0) * before.position
            + (u.powi(3) - 2.0 * u.powi(2) + u) * span * before.velocity
            + (3.0 * u.powi(2) - 2.0 * u.powi(3)) * after.position
            + (u.powi(3) - u.powi(2)) * span * after.velocity;
        (span <= 0.25).then_some(if has_velocities { cubic } else { line })
    }
}

fn error(reference: &Model, twin: &Model, now_ms: i64) -> Option<f64> {
    let time_ms = reference.newest_ms()?.min(twin.newest_ms()?);
    let are_fresh = reference.is_fresh(now_ms) && twin.is_fresh(now_ms);
    are_fresh.then_some(reference.position(time_ms)? - twin.position(time_ms)?)
}

#[derive(Clone, Debug)]
struct Step {
    is_twin: bool,
    /// From the source's newest stamp.
    stamp_ms: i64,
    wait_ms: i64,
    position: f64,
    velocity: f64,
}

fn step() -> impl Strategy<Value = Step> {
    let stamp_ms = prop_oneof![12 => 1..40_i64, 3 => -25..1_i64, 1 => -300..400_i64];
    let wait_ms = prop_oneof![20 => 0..30_i64, 1 => 200..400_i64];
    let velocity = prop_oneof![2 => -3.0..3.0_f64, 1 => Just(f64::NAN)];
    (any::<bool>(), stamp_ms, wait_ms, -3.0..3.0_f64, velocity).prop_map(
        |(is_twin, stamp_ms, wait_ms, position, velocity)| Step { is_twin, stamp_ms, wait_ms, position, velocity },
    )
}

proptest! {
    #[test]
    fn errors_are_those_of_a_naive_model(steps in vec(step(), 1..120)) {
        let settings = Settings {
            buffer_size: BUFFER_SIZE,
            time_alignment: TimeAlignment::Stamp,
            ..Settings::default()
        };
        let mut synchronizer = Synchronizer::new(settings);
        let joint = synchronizer.joint(Source::Reference, "elbow").expect("room").expect("it is followed");
        let (mut models, mut now_ms) = ([Model::default(), Model::default()], 0);
        for step in steps {
            now_ms += step.wait_ms;
            let (source, model) = match step.is_twin {
                true => (Source::Twin, &mut models[1]),
                false => (Source::Reference, &mut models[0]),
            };
            let Step { position, velocity, .. } = step;
            let time_ms = model.newest_ms().unwrap_or(10_000) + step.stamp_ms;
            model.take(Sample { time_ms, position, velocity }, now_ms);
            let value = JointValue { joint, position, velocity, effort: f64::NAN };
            synchronizer.ingest(source, Some(time_ms * MS_NS), now_ms * MS_NS, &[value]);
            let tick = turn(&mut synchronizer, now_ms * MS_NS);
            let (found, expected) = (tick.joints[0].error.map(|error| error.raw), error(&models[0], &models[1], now_ms));
            prop_assert_eq!(found.is_some(), expected.is_some(), "{:?} {:?}", found, expected);
            prop_assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9, "{:?} {:?}", found, expected);
            let newest = models[0].samples.last().map(|sample| sample.position);
            let read = tick.joints[0].reference.map(|reading| reading.position);
            prop_assert_eq!(read.is_some(), newest.is_some());
            // A time that is translated to another clock and back may be off by a nanosecond.
            prop_assert!((read.unwrap_or(0.0) - newest.unwrap_or(0.0)).abs() < 1e-6, "{:?} {:?}", read, newest);
        }
    }
}
