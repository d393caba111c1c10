//! What a scrape shows of the last report. A value that is not known has no series.

use prometheus::{Registry, Result};
use topic_watch::{OpenFamily, Registrar};
use twin_sync::{Alignment, Analysis, ErrorStatistics, JointError, Source, SourceClock, State};

use crate::report::Report;

const COMPENSATION: &str = "compensation";
/// The values of that label: errors at equal times, and with the lag taken out.
const RAW: &str = "none";
const COMPENSATED: &str = "lag";

/// A family with a value, if there is one, for the robot as a whole.
type OfRobot = (OpenFamily, fn(&Report) -> Option<f64>);
/// For each source.
type OfSource = (OpenFamily, fn(&SourceClock) -> Option<f64>);
/// For each joint.
type OfJoint = (OpenFamily, fn(&Analysis) -> Option<f64>);
/// For each joint, with and without its lag.
type OfError = (OpenFamily, fn(&ErrorStatistics) -> f64);

/// Every family.
pub(crate) struct Gauges {
    state: OpenFamily,
    alignment: OpenFamily,
    error: OpenFamily,
    of_robot: Vec<OfRobot>,
    of_source: Vec<OfSource>,
    of_joint: Vec<OfJoint>,
    of_error: Vec<OfError>,
}

impl Gauges {
    #[allow(clippy::too_many_lines, reason = "a list of families, each told in full")]
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let registrar = Registrar::new(registry, &[]);
        let gauge = |name: &str, help: &str, labels: &[&str]| registrar.add(OpenFamily::gauge(name, help, labels)?);
        let of_robot = |name, help, value: fn(&Report) -> Option<f64>| Ok((gauge(name, help, &[])?, value));
        let of_source =
            |name, help, value: fn(&SourceClock) -> Option<f64>| Ok((gauge(name, help, &["source"])?, value));
        let of_joint =
            |name, help, value: fn(&Analysis) -> Option<f64>| Ok((gauge(name, help, &["joint_name"])?, value));
        let of_error = |name, help, value: fn(&ErrorStatistics) -> f64| {
            Ok((gauge(name, help, &["joint_name", COMPENSATION])?, value))
        };
        Ok(Self {
            state: gauge("ros_twin_state", "The state of the synchronization: 1 for the one that holds.", &["state"])?,
            alignment: gauge(
                "ros_twin_time_alignment",
                "How the times of both sources are brought together: 1 for the way that is used.",
                &["alignment"],
            )?,
            error: gauge(
                "ros_twin_joint_error",
                "The reference minus the twin: rad or m; with the lag taken out where compensation is lag.",
                &["joint_name", COMPENSATION],
            )?,
            of_robot: [
                of_robot("ros_twin_quality_ratio", "1 - mean error / state_threshold, from 0 to 1.", |r| r.quality),
                of_robot(
                    "ros_twin_mean_error",
                    "Mean size of the joints' errors, with the lag taken out where it is known: rad or m.",
                    |report| report.mean_error,
                ),
                of_robot(
                    "ros_twin_worst_error",
                    "Greatest size of a joint's error, with the lag taken out where it is known: rad or m.",
                    |report| report.worst_error,
                ),
                of_robot("ros_twin_compared_joints", "Joints that errors and quality are of now.", |report| {
                    Some(report.compared.into())
                }),
                of_robot(
                    "ros_twin_missing_joints",
                    "Joints that are selected, or that both sources had, and of which one has brought nothing for lost_timeout or yet.",
                    |report| Some(report.missing.into()),
                ),
                of_robot(
                    "ros_twin_lag_seconds",
                    "By how much the twin is behind the reference, as a median of its joints.",
                    |report| report.lag_seconds,
                ),
            ]
            .into_iter()
            .collect::<Result<_>>()?,
            of_source: [
                of_source(
                    "ros_twin_source_age_seconds",
                    "How long ago the newest sample of a source was, less the least delay seen.",
                    |clock| Some(clock.age_seconds),
                ),
                of_source(
                    "ros_twin_source_delay_seconds",
                    "By how much later than the least delayed the last message of a source came.",
                    |clock| clock.delay_seconds,
                ),
                of_source(
                    "ros_twin_clock_offset_seconds",
                    "This node's monotonic clock less the clock of a source's stamps, with the least delay seen.",
                    |clock| clock.offset_seconds.filter(|_| clock.is_stamped),
                ),
                of_source(
                    "ros_twin_real_time_factor",
                    "Seconds that pass by the clock of a source's stamps in a second here.",
                    |clock| clock.real_time_factor.filter(|_| clock.is_stamped),
                ),
            ]
            .into_iter()
            .collect::<Result<_>>()?,
            of_joint: [
                of_joint(
                    "ros_twin_joint_lag_seconds",
                    "By how much a joint of the twin is behind; only where motion shows it.",
                    |analysis| Some(analysis.lag?.seconds),
                ),
                of_joint(
                    "ros_twin_joint_lag_peak_ratio",
                    "How alike the velocities of both are at that lag, up to 1.",
                    |analysis| Some(analysis.lag?.peak),
                ),
            ]
            .into_iter()
            .collect::<Result<_>>()?,
            of_error: [
                of_error("ros_twin_joint_error_bias", "Mean of a joint's error over the window: rad or m.", |e| e.bias),
                of_error(
                    "ros_twin_joint_error_mean_absolute",
                    "Mean size of a joint's error over the window: rad or m.",
                    |errors| errors.mae,
                ),
                of_error(
                    "ros_twin_joint_error_rms",
                    "Root of the mean square of a joint's error over the window: rad or m.",
                    |errors| errors.rmse,
                ),
                of_error(
                    "ros_twin_joint_error_max",
                    "Greatest size of a joint's error over the window: rad or m.",
                    |errors| errors.max,
                ),
                of_error(
                    "ros_twin_joint_error_p95",
                    "Size that 95 % of a joint's errors over the window do not exceed: rad or m.",
                    |errors| errors.p95,
                ),
                of_error(
                    "ros_twin_joint_velocity_error_rms",
                    "Root of the mean square of a joint's error of velocity over the window: rad/s or m/s.",
                    |errors| errors.velocity_rmse,
                ),
                of_error(
                    "ros_twin_joint_error_drift_per_second",
                    "Slope of a joint's error over the window: rad/s or m/s.",
                    |errors| errors.drift_per_second,
                ),
            ]
            .into_iter()
            .collect::<Result<_>>()?,
        })
    }

    /// Shows this report, and nothing of the one before.
    pub(crate) fn show(&self, report: &Report) {
        let one_of = |name: &str, holds: bool| (vec![name.to_owned()], f64::from(u8::from(holds)));
        self.state.replace(State::ALL.map(|state| one_of(state.name(), state == report.state)));
        let alignments = Alignment::ALL.map(|way| one_of(way.name(), Some(way) == report.alignment));
        self.alignment.replace(alignments.into_iter().filter(|_| report.alignment.is_some()));
        for (family, value) in &self.of_robot {
            family.replace(value(report).map(|value| (Vec::new(), value)));
        }
        let clocks = || Source::ALL.into_iter().zip(report.clocks);
        for (family, value) in &self.of_source {
            let known = clocks().filter_map(|(source, clock)| Some((vec![source.name().to_owned()], value(&clock?)?)));
            family.replace(known);
        }
        self.show_joints(report);
    }

    fn show_joints(&self, report: &Report) {
        let joints = || report.names.iter().zip(&report.joints);
        let labels = |name: &str, compensation: &str| vec![name.to_owned(), compensation.to_owned()];
        self.error.replace(joints().filter_map(|(name, joint)| Some((name, joint.error?))).flat_map(
            |(name, error)| {
                let JointError { raw, compensated } = error;
                let compensated = compensated.map(|error| (labels(name, COMPENSATED), error));
                [Some((labels(name, RAW), raw)), compensated].into_iter().flatten()
            },
        ));
        let analysed = || joints().filter_map(|(name, joint)| Some((name, joint.analysis.as_ref()?)));
        for (family, value) in &self.of_joint {
            family.replace(analysed().filter_map(|(name, analysis)| Some((vec![name.to_string()], value(analysis)?))));
        }
        for (family, value) in &self.of_error {
            family.replace(analysed().flat_map(|(name, analysis)| {
                let raw = Some((labels(name, RAW), value(&analysis.raw)));
                let compensated =
                    analysis.compensated.as_ref().map(|errors| (labels(name, COMPENSATED), value(errors)));
                [raw, compensated].into_iter().flatten()
            }));
        }
    }
}
