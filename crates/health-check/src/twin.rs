//! How the twin is, by the metrics of synchronization_node. docs/synchronization_node.md has the states.

use metrics_client::{Page, Samples};

use crate::report::{Finding, Status};

const CHECK: &str = "synchronization";

/// As many as one looks at first.
const WORST_JOINTS: usize = 3;

/// The one state that holds; nothing of a page of another node.
pub(crate) fn judge(object: &str, page: &Page<'_>) -> Option<Finding> {
    let (samples, state) = (&page.samples, page.twin_state()?);
    let meaning = match state {
        "SYNCED" => measured(samples),
        "MIRRORING" => "there is a robot and no twin (start one, if there is to be one)".to_owned(),
        "DEGRADED" => degraded(samples),
        "DIVERGED" => {
            let worst = worst_joints(samples);
            format!("the twin is elsewhere{worst}: mend robot or model, then call ~/resync")
        }
        "LOST" => lost(samples),
        "WAITING" => "no robot was heard yet: is it up, in the same ROS domain?".to_owned(),
        "STOPPED" => "somebody has stopped the twin: find out why, then call ~/clear_fault".to_owned(),
        _ => "this state is not known here: health_check is older than the node".to_owned(),
    };
    Some(Finding::new(Status::of_twin(state), CHECK, object, &format!("{state}: {meaning}")))
}

fn measured(samples: &Samples<'_>) -> String {
    let joints = samples.value("ros_twin_compared_joints").unwrap_or(0.0);
    let lag =
        samples.value("ros_twin_lag_seconds").map_or_else(String::new, |lag| format!(", {:.0} ms behind", lag * 1e3));
    format!("{joints} joints compared{lag}")
}

fn degraded(samples: &Samples<'_>) -> String {
    let missing = match samples.value("ros_twin_missing_joints") {
        Some(count) if count > 0.0 => format!("; {count} joints are missing of one side"),
        _ => String::new(),
    };
    format!("the twin is late or inexact, {}{}{missing}", measured(samples), worst_joints(samples))
}

fn lost(samples: &Samples<'_>) -> String {
    let ages = samples
        .of("ros_twin_source_age_seconds")
        .map(|sample| format!("the {} was last heard {:.1} s ago", sample.label("source"), sample.value));
    format!("{}: look at the older one", ages.collect::<Vec<_>>().join(", "))
}

/// With the lag taken out where that is known: a twin that is late is not one that is wrong.
fn worst_joints(samples: &Samples<'_>) -> String {
    let errors = |compensation: &str| -> Vec<(String, f64)> {
        let of_joint = samples.of("ros_twin_joint_error").filter(|sample| sample.label("compensation") == compensation);
        of_joint.map(|sample| (sample.label("joint_name").to_owned(), sample.value)).collect()
    };
    let mut joints = errors("lag");
    if joints.is_empty() {
        joints = errors("none");
    }
    joints.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    joints.truncate(WORST_JOINTS);
    let worst: Vec<String> = joints.iter().map(|(joint, error)| format!("{joint} by {error:.3}")).collect();
    if worst.is_empty() { String::new() } else { format!("; off are {} (rad or m)", worst.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(page: &str) -> (Status, String) {
        let page = format!("{page}digital_twin_build_info 1\n");
        let finding = judge("sync", &Page::parse(&page).unwrap()).unwrap();
        (finding.status, finding.detail)
    }

    #[test]
    fn a_twin_that_diverged_names_the_worst_joints_with_the_lag_taken_out() {
        let page = "ros_twin_state{state=\"SYNCED\"} 0\nros_twin_state{state=\"DIVERGED\"} 1\n\
                    ros_twin_joint_error{joint_name=\"a\",compensation=\"lag\"} 0.1\n\
                    ros_twin_joint_error{joint_name=\"b\",compensation=\"lag\"} -0.3\n\
                    ros_twin_joint_error{joint_name=\"c\",compensation=\"lag\"} 0.01\n\
                    ros_twin_joint_error{joint_name=\"d\",compensation=\"lag\"} 0.2\n\
                    ros_twin_joint_error{joint_name=\"c\",compensation=\"none\"} 9\n";
        let (status, detail) = judged(page);
        assert_eq!(status, Status::Unhealthy);
        assert!(detail.contains("off are b by -0.300, d by 0.200, a by 0.100 (rad or m)"), "{detail}");
    }

    #[test]
    fn one_that_is_lost_says_of_whom_nothing_comes() {
        let page = "ros_twin_state{state=\"LOST\"} 1\nros_twin_source_age_seconds{source=\"reference\"} 0.01\n\
                    ros_twin_source_age_seconds{source=\"twin\"} 12.34\n";
        let (status, detail) = judged(page);
        assert_eq!(status, Status::Unhealthy);
        assert!(detail.contains("the twin was last heard 12.3 s ago"), "{detail}");
    }

    #[test]
    fn every_state_has_its_status() {
        for (state, status) in [
            ("SYNCED", Status::Ok),
            ("MIRRORING", Status::Ok),
            ("DEGRADED", Status::Warning),
            ("WAITING", Status::Unhealthy),
            ("STOPPED", Status::Unhealthy),
            ("NEW", Status::Unknown),
        ] {
            let (found, detail) = judged(&format!("ros_twin_state{{state=\"{state}\"}} 1\n"));
            assert_eq!(found, status, "{detail}");
            assert!(detail.starts_with(state), "{detail}");
        }
    }

    #[test]
    fn another_node_has_none() {
        assert_eq!(judge("exporter", &Page::parse("digital_twin_build_info 1").unwrap()), None);
    }
}
