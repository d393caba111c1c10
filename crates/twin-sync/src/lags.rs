//! Which lag is to be taken out of a joint: its own, or the robot's.

use crate::analysis::Analysis;
use crate::joints::{Joint, Joints, MeasuredLag};
use crate::settings::JOINTS_MAX;

/// A lag is believed for this long after it was last found, since it does not show while a joint stands still.
const KEPT_NS: i64 = 10_000_000_000;

/// The lag of the robot as a whole: the weighted median of the lags of its joints, so that no joint whose periodic motion
/// was taken for another of its periods changes it. A joint counts by how alike reference and twin are and how much it
/// moves.
#[derive(Clone, Debug)]
pub(crate) struct RobotLag {
    sorted: Vec<MeasuredLag>,
    seconds: Option<f64>,
}

impl RobotLag {
    pub(crate) fn new() -> Self {
        Self { sorted: Vec::with_capacity(JOINTS_MAX), seconds: None }
    }

    pub(crate) fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    pub(crate) fn update(&mut self, joints: &Joints, now_ns: i64) {
        self.sorted.clear();
        self.sorted.extend(joints.iter().filter_map(|joint| believed(joint, now_ns)));
        self.sorted.sort_unstable_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let half = self.sorted.iter().map(|lag| lag.weight).sum::<f64>() / 2.0;
        let mut weight = 0.0;
        let median = self.sorted.iter().find(|lag| {
            weight += lag.weight;
            weight >= half
        });
        self.seconds = median.map(|lag| lag.seconds);
    }

    /// What is to be taken out of this joint.
    pub(crate) fn of(&self, joint: &Joint, now_ns: i64) -> Option<f64> {
        believed(joint, now_ns).map(|lag| lag.seconds).or(self.seconds)
    }
}

/// What an analysis says of a joint's lag.
pub(crate) fn measured(analysis: &Analysis, now_ns: i64) -> Option<MeasuredLag> {
    let lag = analysis.lag?;
    Some(MeasuredLag { seconds: lag.seconds, weight: lag.peak * analysis.motion, at_ns: now_ns })
}

fn believed(joint: &Joint, now_ns: i64) -> Option<MeasuredLag> {
    joint.lag.filter(|lag| now_ns.saturating_sub(lag.at_ns) <= KEPT_NS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use crate::settings::Settings;

    const SECOND_NS: i64 = 1_000_000_000;

    fn joints(lags: &[Option<(f64, f64)>]) -> Joints {
        let mut joints = Joints::new(&Settings { buffer_size: 2, ..Settings::default() });
        for (number, lag) in lags.iter().enumerate() {
            let id = joints.admit(Source::Reference, &number.to_string()).ok().flatten().expect("a joint");
            joints.get_mut(id).expect("it").lag =
                lag.map(|(seconds, weight)| MeasuredLag { seconds, weight, at_ns: 0 });
        }
        joints
    }

    #[test]
    fn the_robot_has_the_lag_of_most_of_its_motion() {
        let joints = joints(&[Some((0.08, 1.0)), Some((-0.32, 0.5)), Some((0.081, 0.9)), None]);
        let mut robot = RobotLag::new();
        robot.update(&joints, SECOND_NS);
        assert_eq!(robot.seconds(), Some(0.08));
        let taken_out: Vec<_> = joints.iter().map(|joint| robot.of(joint, SECOND_NS)).collect();
        assert_eq!(taken_out, [Some(0.08), Some(-0.32), Some(0.081), Some(0.08)]);
    }

    #[test]
    fn a_lag_is_forgotten_in_the_end() {
        let joints = joints(&[Some((0.08, 1.0))]);
        let mut robot = RobotLag::new();
        robot.update(&joints, KEPT_NS);
        assert_eq!(robot.seconds(), Some(0.08));
        robot.update(&joints, KEPT_NS + 1);
        assert_eq!(
            (robot.seconds(), joints.iter().next().and_then(|joint| robot.of(joint, KEPT_NS + 1))),
            (None, None)
        );
    }
}
