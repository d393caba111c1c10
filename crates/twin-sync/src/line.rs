//! The line below points (stamp, arrival) that is nearest to them.

use std::collections::vec_deque;

/// Real-time factors beyond this either way are not believed.
const RATE_MAX: f64 = 100.0;

/// A message: its stamp and its arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) source_ns: i64,
    pub(crate) local_ns: i64,
}

/// `local = origin.local + slope * (source - origin.source)`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) origin: Point,
    pub(crate) slope: f64,
}

impl Line {
    pub(crate) fn local_ns(&self, source_ns: i64) -> i64 {
        self.origin.local_ns.saturating_add(scaled(source_ns.saturating_sub(self.origin.source_ns), self.slope))
    }

    pub(crate) fn source_ns(&self, local_ns: i64) -> i64 {
        self.origin.source_ns.saturating_add(scaled(local_ns.saturating_sub(self.origin.local_ns), 1.0 / self.slope))
    }

    /// How much later than the line a message came.
    pub(crate) fn delay_ns(&self, point: Point) -> i64 {
        point.local_ns.saturating_sub(self.local_ns(point.source_ns))
    }

    /// The parallel that no point is below, and one is on.
    pub(crate) fn lowered<'a>(self, points: impl Iterator<Item = &'a Point>) -> Self {
        let least_ns = points.map(|point| self.delay_ns(*point)).min().unwrap_or(0);
        let local_ns = self.origin.local_ns.saturating_add(least_ns);
        Self { origin: Point { local_ns, ..self.origin }, ..self }
    }

    /// How much later than the line the points are in the mean; 0 without any.
    pub(crate) fn mean_delay_ns<'a>(&self, points: impl ExactSizeIterator<Item = &'a Point>) -> f64 {
        let count = points.len().max(1) as f64;
        points.map(|point| self.delay_ns(*point) as f64).sum::<f64>() / count
    }
}

/// Exact where the clocks run alike, whatever the span.
fn scaled(span_ns: i64, factor: f64) -> i64 {
    if factor == 1.0 { span_ns } else { (span_ns as f64 * factor).round() as i64 }
}

/// The lower convex hull of points; its memory is fixed when created.
#[derive(Clone, Debug)]
pub(crate) struct LowerHull {
    vertices: Vec<Point>,
}

impl LowerHull {
    pub(crate) fn new(points_max: usize) -> Self {
        Self { vertices: Vec::with_capacity(points_max) }
    }

    /// The slope of that edge of the lower hull which the mean of all stamps lies on: of the lines below all points, the
    /// one with the least sum of distances to them.
    pub(crate) fn nearest_slope(&mut self, points: vec_deque::Iter<'_, Point>) -> Option<f64> {
        let first = *points.clone().next()?;
        self.build(points.clone());
        let from_first = |point: &Point| (point.source_ns - first.source_ns) as f64;
        let count = points.len() as f64;
        let mean = points.map(from_first).sum::<f64>() / count;
        let edge = self.vertices.windows(2).find(|edge| from_first(&edge[1]) >= mean)?;
        slope_between(edge[0], edge[1])
    }

    /// Andrew's monotone chain, the lower half ("Another efficient algorithm for convex hulls in two dimensions",
    /// Information Processing Letters 9(5), 1979).
    fn build(&mut self, points: vec_deque::Iter<'_, Point>) {
        self.vertices.clear();
        for &point in points {
            while let [.., before, last] = self.vertices[..]
                && is_on_or_above(last, before, point)
            {
                self.vertices.pop();
            }
            self.vertices.push(point);
        }
    }
}

/// The slope from one point to another; `None` where it is not to be believed.
pub(crate) fn slope_between(from: Point, to: Point) -> Option<f64> {
    let slope = (to.local_ns - from.local_ns) as f64 / (to.source_ns - from.source_ns) as f64;
    (1.0 / RATE_MAX..=RATE_MAX).contains(&slope).then_some(slope)
}

fn is_on_or_above(point: Point, from: Point, to: Point) -> bool {
    let run = |end: Point| (end.source_ns - from.source_ns) as f64;
    let rise = |end: Point| (end.local_ns - from.local_ns) as f64;
    rise(point) * run(to) >= rise(to) * run(point)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MS_NS: i64 = 1_000_000;

    #[test]
    fn a_rate_beyond_belief_is_none() {
        let to = |source_ns| Point { source_ns, local_ns: 1_000 };
        let from = Point { source_ns: 0, local_ns: 0 };
        assert_eq!(
            [1_000, 500, 9, 0, -5].map(|ns| slope_between(from, to(ns))),
            [Some(1.0), Some(2.0), None, None, None]
        );
    }

    proptest! {
        #[test]
        fn the_slope_is_the_best_of_all_lines_through_two_points(
            messages in vec((1..200_i64, 0..60_i64), 20..60),
        ) {
            let (mut points, mut sent_ms) = (VecDeque::new(), 0);
            for (step_ms, delay_ms) in messages {
                sent_ms += step_ms + 100;
                points.push_back(Point { source_ns: sent_ms * 2 * MS_NS, local_ns: (sent_ms + delay_ms) * MS_NS });
            }
            let pairs: Vec<_> = points.iter().map(|point| (point.source_ns as f64, point.local_ns as f64)).collect();
            let slope = LowerHull::new(60).nearest_slope(points.iter()).expect("enough points");
            let (sum, best) = (sum_of_distances(&pairs, slope), best_sum(&pairs));
            prop_assert!((sum - best).abs() < 1e-6 * best + 1e3, "{sum} {best}");
        }
    }

    /// The sum of distances to the highest line of this slope below all points.
    fn sum_of_distances(points: &[(f64, f64)], slope: f64) -> f64 {
        let least = points.iter().map(|(x, y)| y - slope * x).fold(f64::INFINITY, f64::min);
        points.iter().map(|(x, y)| y - slope * x - least).sum()
    }

    fn best_sum(points: &[(f64, f64)]) -> f64 {
        let slopes = points.iter().flat_map(|a| points.iter().map(move |b| (b.1 - a.1) / (b.0 - a.0)));
        slopes
            .filter(|slope| slope.is_finite())
            .map(|slope| sum_of_distances(points, slope))
            .fold(f64::INFINITY, f64::min)
    }
}
