//! Whether the release's pods run, and if not, why: by what the cluster says of them.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::report::{Finding, Status};

pub(crate) const CHECK: &str = "pod";

/// A restart that is longer ago has been lived with.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// One line for each pod with something wrong, and one for the others.
pub(crate) fn judge(pods: &[Pod], selector: &str, now: Timestamp) -> Vec<Finding> {
    if pods.is_empty() {
        let detail = format!("there are none with {selector}: is it deployed, in this namespace and by this name?");
        return vec![Finding::new(Status::Unhealthy, CHECK, "all", &detail)];
    }
    let mut findings: Vec<Finding> = pods.iter().filter_map(|pod| of_pod(pod, now)).collect();
    let well = pods.len() - findings.len();
    if well > 0 {
        findings.push(Finding::new(
            Status::Ok,
            CHECK,
            "all",
            &format!("{well} of {} are as they should be", pods.len()),
        ));
    }
    findings
}

fn of_pod(pod: &Pod, now: Timestamp) -> Option<Finding> {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Unknown");
    let (severity, detail) = if pod.metadata.deletion_timestamp.is_some() {
        (Status::Warning, "it is about to end".to_owned())
    } else {
        match phase {
            "Succeeded" => return None,
            "Running" => running(pod, now)?,
            "Pending" => (Status::Unhealthy, not_running(pod).unwrap_or_else(|| "it is about to start".to_owned())),
            "Failed" => failed(pod),
            _ => (Status::Unknown, "its node does not answer".to_owned()),
        }
    };
    Some(Finding::new(severity, CHECK, pod.metadata.name.as_deref().unwrap_or_default(), &format!("{phase}: {detail}")))
}

/// What is replaced when its node has no room for it is no fault of its own. A Job tries again, and what has failed is kept
/// with it: others tell whether what it is for was done.
fn failed(pod: &Pod) -> (Status, String) {
    let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default();
    match reason {
        "Evicted" | "NodeShutdown" | "Terminated" | "Preempting" => {
            (Status::Warning, format!("{reason}: another one takes its place; delete it"))
        }
        _ => match job_of(pod) {
            Some(job) => (
                Status::Warning,
                format!("an attempt of the Job {job}: kubectl logs; kubectl get job says how it ended"),
            ),
            None => (Status::Unhealthy, format!("{reason} it has ended with a fault: kubectl logs")),
        },
    }
}

fn job_of(pod: &Pod) -> Option<&str> {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.kind == "Job").map(|owner| owner.name.as_str())
}

fn running(pod: &Pod, now: Timestamp) -> Option<(Status, String)> {
    if is_ready(pod) {
        let restarts: Vec<String> = containers(pod).filter_map(|container| restarted(container, now)).collect();
        return (!restarts.is_empty()).then(|| (Status::Warning, restarts.join("; ")));
    }
    Some((Status::Unhealthy, not_running(pod).unwrap_or_else(|| unready(pod))))
}

/// Whether all of its containers are, by their probes.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Why it is not on a node, or a container of it does not run.
fn not_running(pod: &Pod) -> Option<String> {
    let unscheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False");
    if let Some(condition) = unscheduled {
        let reason = condition.reason.as_deref().unwrap_or("not scheduled");
        return Some(format!("{reason}: {}", condition.message.as_deref().unwrap_or("no reason is given")));
    }
    let stopped: Vec<String> = containers(pod).filter_map(stopped).collect();
    (!stopped.is_empty()).then(|| stopped.join("; "))
}

fn stopped(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let name = &container.name;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("Waiting");
        let message = waiting.message.as_deref().map_or_else(String::new, |message| format!(": {message}"));
        return Some(format!("{name} {reason}{message}{}{}", last_end(container), advice(reason)));
    }
    // An init container that is done has ended too.
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    Some(format!("{name} has ended with {}{}", ended.exit_code, advice("CrashLoopBackOff")))
}

fn advice(reason: &str) -> &'static str {
    match reason {
        "CrashLoopBackOff" | "RunContainerError" | "StartError" => " (kubectl logs --previous)",
        "ImagePullBackOff" | "ErrImagePull" | "ErrImageNeverPull" | "InvalidImageName" => {
            " (is the image there, under this name, and may the cluster pull it?)"
        }
        "CreateContainerConfigError" => " (a Secret or ConfigMap is missing)",
        _ => "",
    }
}

fn unready(pod: &Pod) -> String {
    let names: Vec<&str> =
        containers(pod).filter(|container| !container.ready).map(|container| container.name.as_str()).collect();
    format!("{} not ready: its readiness probe says why (kubectl describe pod)", names.join(", "))
}

fn restarted(container: &ContainerStatus, now: Timestamp) -> Option<String> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?;
    (now.duration_since(ended.0) < RECENT).then(|| {
        format!(
            "{} was restarted, {} times in all{} (kubectl logs --previous)",
            container.name,
            container.restart_count,
            last_end(container)
        )
    })
}

fn last_end(container: &ContainerStatus) -> String {
    let ended = container.last_state.as_ref().and_then(|ContainerState { terminated, .. }| terminated.as_ref());
    ended.map_or_else(String::new, |ended| {
        format!(", last by {} (exit code {})", ended.reason.as_deref().unwrap_or("an end"), ended.exit_code)
    })
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_deref()?.iter().find(|condition| condition.type_ == kind)
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let others = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    init.iter().chain(others)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-02T03:00:00Z";

    fn judged(status: Value) -> Option<(Status, String)> {
        let pod = serde_json::from_value(json!({"metadata": {"name": "core"}, "status": status})).unwrap();
        of_pod(&pod, NOW.parse().unwrap()).map(|finding| (finding.status, finding.detail))
    }

    fn container(state: Value, last: Value) -> Value {
        json!({"name": "node", "ready": false, "restartCount": 3, "image": "", "imageID": "", "state": state, "lastState": last})
    }

    fn ready(is: &str) -> Value {
        json!([{"type": "Ready", "status": is}])
    }

    #[test]
    fn one_that_cannot_be_placed_says_why() {
        let conditions =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]);
        let told = judged(json!({"phase": "Pending", "conditions": conditions})).unwrap();
        assert_eq!(told, (Status::Unhealthy, "Pending: Unschedulable: 0/3 nodes".to_owned()));
    }

    #[test]
    fn an_image_that_is_not_there_is_told() {
        let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});
        let (status, detail) =
            judged(json!({"phase": "Pending", "containerStatuses": [container(waiting, json!({}))]})).unwrap();
        assert_eq!(status, Status::Unhealthy);
        assert!(detail.starts_with("Pending: node ImagePullBackOff: not found (is the image there"), "{detail}");
    }

    #[test]
    fn one_that_keeps_ending_says_how_it_ended() {
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let last = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let status =
            json!({"phase": "Running", "conditions": ready("False"), "containerStatuses": [container(waiting, last)]});
        let (status, detail) = judged(status).unwrap();
        assert_eq!(status, Status::Unhealthy);
        assert_eq!(
            detail,
            "Running: node CrashLoopBackOff, last by OOMKilled (exit code 137) (kubectl logs --previous)"
        );
    }

    #[test]
    fn one_that_runs_and_is_not_ready_names_the_container() {
        let status = json!({
            "phase": "Running", "conditions": ready("False"), "containerStatuses": [container(json!({"running": {}}), json!({}))],
        });
        assert!(judged(status).unwrap().1.starts_with("Running: node not ready"));
    }

    #[test]
    fn a_restart_of_late_is_a_warning_and_an_old_one_is_not() {
        for (finished, expected) in [("2026-01-02T02:59:00Z", Some(Status::Warning)), ("2026-01-01T00:00:00Z", None)] {
            let last = json!({"terminated": {"exitCode": 1, "finishedAt": finished}});
            let containers = [container(json!({"running": {}}), last)];
            let status = json!({"phase": "Running", "conditions": ready("True"), "containerStatuses": containers});
            assert_eq!(judged(status).map(|(status, _)| status), expected);
        }
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(judged(json!({"phase": "Succeeded"})), None);
        assert_eq!(judged(json!({"phase": "Failed", "reason": "Evicted"})).unwrap().0, Status::Warning);
        assert_eq!(judged(json!({"phase": "Failed"})).unwrap().0, Status::Unhealthy);
        assert_eq!(judged(json!({"phase": "Unknown"})).unwrap().0, Status::Unknown);
    }

    #[test]
    fn an_attempt_of_a_job_that_has_failed_is_a_warning() {
        for (kind, expected) in [("Job", Status::Warning), ("ReplicaSet", Status::Unhealthy)] {
            let owner = json!({"apiVersion": "", "kind": kind, "name": "backup-1", "uid": ""});
            let metadata = json!({"name": "backup-1-x", "ownerReferences": [owner]});
            let pod = serde_json::from_value(json!({"metadata": metadata, "status": {"phase": "Failed"}})).unwrap();
            let finding = of_pod(&pod, NOW.parse().unwrap()).unwrap();
            assert_eq!((finding.status, finding.detail.contains("Job backup-1")), (expected, kind == "Job"));
        }
    }

    #[test]
    fn to_have_no_pods_is_a_fault() {
        let findings = judge(&[], "instance=x", NOW.parse().unwrap());
        assert_eq!(findings[0].status, Status::Unhealthy);
        assert!(findings[0].detail.contains("instance=x"));
    }
}
