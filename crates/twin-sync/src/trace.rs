//! A joint of one source on a grid of equal steps: positions and velocities at times that both sources know.

use crate::angle::Turning;
use crate::history::History;
use crate::interpolation::{Basis, Reader};

/// Times by the reference's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) start_ns: i64,
    pub(crate) step_ns: i64,
    pub(crate) points: usize,
}

impl Grid {
    pub(crate) fn time_ns(&self, point: usize) -> i64 {
        self.start_ns.saturating_add(point as i64 * self.step_ns)
    }

    pub(crate) fn end_ns(&self) -> i64 {
        self.time_ns(self.points - 1)
    }

    pub(crate) fn span_ns(&self) -> i64 {
        (self.points as i64 - 1) * self.step_ns
    }

    pub(crate) fn step_seconds(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }
}

/// A joint of one source on a grid; NaN where it is not known.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) positions: Vec<f64>,
    /// By the reference's clock.
    pub(crate) velocities: Vec<f64>,
}

impl Trace {
    /// Reads a joint at the times of the grid, which `source_ns` translates to the source's clock; that clock runs at `rate`
    /// against the grid's.
    pub(crate) fn fill(
        &mut self,
        reader: Reader,
        history: &History,
        grid: Grid,
        rate: f64,
        source_ns: impl Fn(i64) -> Option<i64>,
    ) {
        self.positions.clear();
        self.velocities.clear();
        let mut count = source_ns(grid.start_ns).map_or(0, |time_ns| history.count_until(time_ns));
        let mut has_velocities = true;
        for point in 0..grid.points {
            let reading = source_ns(grid.time_ns(point)).and_then(|time_ns| {
                while history.get(count).is_some_and(|next| next.time_ns <= time_ns) {
                    count += 1;
                }
                reader.read_after(history, count, time_ns).filter(|reading| reading.basis == Basis::Between)
            });
            has_velocities &=
                count.checked_sub(1).and_then(|last| history.get(last)).is_none_or(|s| !s.velocity.is_nan());
            self.positions.push(reading.map_or(f64::NAN, |reading| reading.position));
            self.velocities.push(reading.map_or(f64::NAN, |reading| reading.velocity * rate));
        }
        // Some drivers send zeros for the velocities that they do not know.
        let stands_still = self.velocities.iter().all(|velocity| *velocity == 0.0 || velocity.is_nan());
        if !has_velocities || stands_still {
            self.derive_velocities(reader.turning, grid.step_seconds());
        }
    }

    /// By central differences, one-sided at the ends.
    fn derive_velocities(&mut self, turning: Turning, step_seconds: f64) {
        let last = self.positions.len().saturating_sub(1);
        for (point, velocity) in self.velocities.iter_mut().enumerate() {
            let (before, after) = (point.saturating_sub(1), (point + 1).min(last));
            let step = turning.difference(self.positions[after], self.positions[before]);
            *velocity = if after > before { step / ((after - before) as f64 * step_seconds) } else { 0.0 };
        }
    }

    /// Leaves so many points at the end.
    pub(crate) fn keep_last(&mut self, points: usize) {
        for signal in [&mut self.positions, &mut self.velocities] {
            signal.drain(..signal.len() - points);
        }
        // Next to the gap a difference had nothing to be taken from.
        if let [first, second, ..] = &mut self.velocities[..]
            && first.is_nan()
        {
            *first = *second;
        }
    }
}
