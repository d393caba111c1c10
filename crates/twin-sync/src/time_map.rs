//! The relation of a source's clock to the local one, from the stamps of its messages and the times of their arrival.
//!
//! A message arrives when it was stamped plus a delay that is never below zero, so the least difference seen is nearest to
//! the offset of the clocks. Where the clocks run at different rates (a simulator that is slower than time), the least
//! difference belongs to a line and not to a number: the line below all points (stamp, arrival) that is nearest to them on
//! the whole, which is an edge of their lower convex hull (Moon, Skelly, Towsley, "Estimation and Removal of Clock Skew
//! from Network Delay Measurements", INFOCOM 1999, section III). A rate that changes leaves points that no line is near to:
//! a slower simulator makes all that is new late, a faster one all that is between the oldest and the newest. Where the
//! last of them are near a line of their own, what was before is forgotten; until that shows, the relation is in doubt.
//!
//! Invariant: memory is fixed when created. Not for: ROS time, of which nothing is known here.

use std::collections::VecDeque;

use crate::line::{Line, LowerHull, Point};

/// How far back the least difference is looked for, by the local clock.
const WINDOW_NS: i64 = 10_000_000_000;

/// Of the messages that arrive within one such stretch the least delayed is kept.
const BUCKET_NS: i64 = 100_000_000;

const BUCKETS_MAX: usize = (WINDOW_NS / BUCKET_NS) as usize + 1;

/// A rate is not told from fewer points, or from a shorter time.
const POINTS_MIN: usize = 5;
const SPAN_NS_MIN: i64 = 500_000_000;

/// Clocks whose rates differ by less than this over the points that are there run alike: then the rolling minimum is the
/// steadier estimate.
const DRIFT_NS_MIN: f64 = 1_000_000.0;

/// A difference that falls by this at once, or has risen by it for a while, is another relation of the clocks: the
/// simulator was paused or set forward, the clock was set.
pub(crate) const STEP_NS: i64 = 100_000_000;
const STEP_HOLD_NS: i64 = 500_000_000;

/// The points of this last stretch are held against those before: the shorter, the sooner a rate that has changed is
/// seen; the longer, the fewer points without a pattern look like a line.
const RECENT_NS: i64 = 600_000_000;

/// They are of a line of their own where they are this late in the mean by that of all, and less than this share of it by
/// their own, whose rate is another by more than this.
const BEND_NS: f64 = 5_000_000.0;
const BEND_RATIO: f64 = 0.1;
const BEND_RATE: f64 = 0.02;

/// A difference that is beyond [`STEP_NS`] for this long may be that of another relation of the clocks.
const DOUBT_NS: i64 = 50_000_000;

/// So may one that has risen beyond this and several times what is usual, in so many messages, for as long as a bucket:
/// until it must have shown what it is.
const RISEN_NS: i64 = 10_000_000;
const RISEN_RATIO: i64 = 4;
const RISEN_MESSAGES_MIN: u32 = 3;
const RISEN_FOR_NS_MAX: i64 = RECENT_NS + 2 * BUCKET_NS;

/// Whether a message fits what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observation {
    Steady,
    /// What was known is forgotten.
    Stepped,
}

/// The relation of one source's clock to the local one.
#[derive(Clone, Debug)]
pub(crate) struct TimeMap {
    /// The least delayed of each bucket, by both times in order.
    points: VecDeque<Point>,
    hull: LowerHull,
    line: Option<Line>,
    measured_slope: Option<f64>,
    /// The message with the newest stamp: by no line may it arrive after it has.
    newest: Option<Point>,
    /// The first of messages that were all late.
    late_since: Option<Point>,
    /// When the first came of messages whose delays had all risen, and how many there were.
    risen: Option<(i64, u32)>,
    /// By how much the points are later than the line, in the mean.
    usual_delay_ns: i64,
    is_in_doubt: bool,
    /// By the source's clock, from when on this relation holds, if another was before.
    steady_since_ns: Option<i64>,
    delay_ns: i64,
}

impl TimeMap {
    pub(crate) fn new() -> Self {
        Self {
            points: VecDeque::with_capacity(BUCKETS_MAX + 1),
            hull: LowerHull::new(BUCKETS_MAX + 1),
            line: None,
            measured_slope: None,
            newest: None,
            late_since: None,
            risen: None,
            usual_delay_ns: 0,
            is_in_doubt: false,
            steady_since_ns: None,
            delay_ns: 0,
        }
    }

    /// Forgets the points, and the rate of the clocks too unless that is thought to last.
    pub(crate) fn clear(&mut self, keeps_rate: bool) {
        self.points.clear();
        (self.late_since, self.is_in_doubt, self.steady_since_ns, self.delay_ns) = (None, false, None, 0);
        self.measured_slope = self.measured_slope.filter(|_| keeps_rate);
        (self.line, self.newest, self.risen, self.usual_delay_ns) = (None, None, None, 0);
    }

    /// Takes a message that was stamped `source_ns` and arrived at `local_ns`.
    pub(crate) fn observe(&mut self, source_ns: i64, local_ns: i64) -> Observation {
        let point = Point { source_ns, local_ns };
        let delay_ns = self.line.map_or(0, |line| line.delay_ns(point));
        // Only what is newer: what is out of order is late for reasons of its own.
        let is_newer = self.newest.is_none_or(|newest| source_ns > newest.source_ns);
        let has_stepped = self.line.is_some() && is_newer && self.has_stepped(delay_ns, point);
        if is_newer {
            self.doubt(delay_ns, point.local_ns);
        }
        if has_stepped {
            let since = self.late_since.unwrap_or(point);
            // A clock that leaps ahead again and again is one that is faster than was thought.
            self.clear(delay_ns > 0);
            self.steady_since_ns = Some(since.source_ns);
        }
        self.newest = if is_newer { Some(point) } else { self.newest };
        let has_bent = self.add(point) && self.has_bent();
        self.delay_ns = self.line.map_or(0, |line| line.delay_ns(point)).max(0);
        if has_stepped || has_bent { Observation::Stepped } else { Observation::Steady }
    }

    fn has_stepped(&mut self, delay_ns: i64, point: Point) -> bool {
        if delay_ns <= STEP_NS {
            self.late_since = None;
            return delay_ns < -STEP_NS;
        }
        let since = *self.late_since.get_or_insert(point);
        point.local_ns.saturating_sub(since.local_ns) >= STEP_HOLD_NS
    }

    /// Before it shows what a delay that has risen is, it may be that of clocks which go on otherwise.
    fn doubt(&mut self, delay_ns: i64, local_ns: i64) {
        if delay_ns <= RISEN_NS + RISEN_RATIO * self.usual_delay_ns {
            (self.risen, self.is_in_doubt) = (None, false);
            return;
        }
        let (since_ns, messages) = self.risen.map_or((local_ns, 1), |(since_ns, messages)| (since_ns, messages + 1));
        self.risen = Some((since_ns, messages));
        let has_risen = messages >= RISEN_MESSAGES_MIN
            && (BUCKET_NS..=RISEN_FOR_NS_MAX).contains(&local_ns.saturating_sub(since_ns));
        let is_late = self.late_since.is_some_and(|since| local_ns.saturating_sub(since.local_ns) >= DOUBT_NS);
        self.is_in_doubt = has_risen || is_late;
    }

    /// Drops what was before the last stretch of points, where that is of a line of its own.
    fn has_bent(&mut self) -> bool {
        let (Some(line), Some(newest)) = (self.line, self.points.back()) else { return false };
        let start = self.points.partition_point(|point| newest.local_ns - point.local_ns > RECENT_NS);
        // The newest may not be the least delayed of its bucket yet.
        let end = self.points.len() - 1;
        if start == 0 || end < start + POINTS_MIN {
            return false;
        }
        let recent = || self.points.range(start..end);
        let Some(slope) = self.hull.nearest_slope(recent()) else { return false };
        let own = Line { origin: *newest, slope }.lowered(recent());
        let (late_ns, own_late_ns) = (line.mean_delay_ns(recent()), own.mean_delay_ns(recent()));
        let is_other_rate = (slope / line.slope - 1.0).abs() > BEND_RATE;
        if !is_other_rate || late_ns < BEND_NS || own_late_ns > late_ns * BEND_RATIO {
            return false;
        }
        let near_ns = 2.0 * own_late_ns + DRIFT_NS_MIN;
        let is_before = |point: &Point| own.delay_ns(*point).abs() as f64 > near_ns;
        // One that is just before the bend is near that line too: time that is stretched by it would look like a lag.
        let bend = (0..start).rev().find(|index| is_before(&self.points[*index])).map_or(0, |index| index + 2);
        self.points.drain(..bend);
        self.steady_since_ns = self.points.front().map(|bend| bend.source_ns);
        self.measured_slope = Some(slope);
        (self.risen, self.late_since, self.is_in_doubt) = (None, None, false);
        self.fit();
        true
    }

    /// Whether a line was fitted to the points.
    fn add(&mut self, point: Point) -> bool {
        let Some(line) = &mut self.line else {
            self.line = Some(Line { origin: point, slope: self.slope() });
            self.points.push_back(point);
            return false;
        };
        let delay_ns = line.delay_ns(point);
        line.origin.local_ns = line.origin.local_ns.saturating_add(delay_ns.min(0));
        let line = *line;
        let Some(last) = self.points.back_mut().filter(|last| last.source_ns >= point.source_ns) else {
            return self.add_in_order(point, line);
        };
        // Out of order: it may still be the least delayed.
        if last.source_ns == point.source_ns {
            last.local_ns = last.local_ns.min(point.local_ns);
        }
        false
    }

    fn add_in_order(&mut self, point: Point, line: Line) -> bool {
        match self.points.back_mut() {
            Some(last) if last.local_ns.div_euclid(BUCKET_NS) >= point.local_ns.div_euclid(BUCKET_NS) => {
                if line.delay_ns(point) <= line.delay_ns(*last) {
                    *last = point;
                }
                false
            }
            _ => {
                self.points.push_back(point);
                let is_old = |old: &Point| point.local_ns.saturating_sub(old.local_ns) > WINDOW_NS;
                while self.points.len() > BUCKETS_MAX || self.points.front().is_some_and(is_old) {
                    self.points.pop_front();
                }
                self.fit()
            }
        }
    }

    /// Whether the points tell a slope.
    fn fit(&mut self) -> bool {
        let span_ns = match (self.points.front(), self.points.back()) {
            (Some(first), Some(last)) => last.local_ns - first.local_ns,
            _ => 0,
        };
        let is_enough = self.points.len() >= POINTS_MIN && span_ns >= SPAN_NS_MIN;
        let nearest = if is_enough { self.hull.nearest_slope(self.points.iter()) } else { None };
        self.measured_slope = nearest.or(self.measured_slope);
        let (Some(&origin), slope) = (self.points.back(), self.slope()) else { return false };
        let line = Line { origin, slope }.lowered(self.points.iter().chain(&self.newest));
        self.usual_delay_ns = line.mean_delay_ns(self.points.iter()) as i64;
        self.line = Some(line);
        nearest.is_some()
    }

    /// The slope that is used: 1 unless the measured one makes a difference over the points that there are.
    fn slope(&self) -> f64 {
        let span_ns = match (self.points.front(), self.points.back()) {
            (Some(first), Some(last)) if last.local_ns - first.local_ns >= SPAN_NS_MIN => {
                last.source_ns - first.source_ns
            }
            // Of a rate that was kept from before: as if over the whole window.
            _ => WINDOW_NS,
        };
        self.measured_slope.filter(|slope| ((slope - 1.0) * span_ns as f64).abs() > DRIFT_NS_MIN).unwrap_or(1.0)
    }

    /// The local time at which a message with this stamp would arrive with the least delay; `None` before the first.
    pub(crate) fn to_local_ns(&self, source_ns: i64) -> Option<i64> {
        Some(self.line?.local_ns(source_ns))
    }

    /// The inverse of [`Self::to_local_ns`].
    pub(crate) fn to_source_ns(&self, local_ns: i64) -> Option<i64> {
        Some(self.line?.source_ns(local_ns))
    }

    /// Seconds of the source's clock in a local second, as they are used.
    pub(crate) fn rate(&self) -> f64 {
        self.line.map_or(1.0, |line| 1.0 / line.slope)
    }

    /// Seconds of the source's clock in a local second, as far as it could be measured.
    pub(crate) fn real_time_factor(&self) -> Option<f64> {
        Some(1.0 / self.measured_slope?)
    }

    /// Whether messages are so late that the clocks may have another relation than is known.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// The source's time before which another relation held.
    pub(crate) fn steady_since_ns(&self) -> Option<i64> {
        self.steady_since_ns
    }

    /// By how much the last message was later than the least delayed.
    pub(crate) fn delay_ns(&self) -> i64 {
        self.delay_ns
    }
}

#[cfg(test)]
mod tests;
