//! Whether the cluster's nodes can run pods, by what they say of themselves.

use k8s_openapi::api::core::v1::{Node, NodeCondition};

use crate::report::{Finding, Status};

pub(crate) const CHECK: &str = "cluster_node";

/// One line for each node with something wrong, and one for the others.
pub(crate) fn judge(nodes: &[Node]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = nodes.iter().filter_map(of_node).collect();
    let ready = nodes.len() - findings.len();
    let status = if nodes.is_empty() { Status::Unhealthy } else { Status::Ok };
    if ready > 0 || nodes.is_empty() {
        findings.push(Finding::new(status, CHECK, "all", &format!("{ready} of {} are ready", nodes.len())));
    }
    findings
}

fn of_node(node: &Node) -> Option<Finding> {
    let faults: Vec<(Status, String)> = faults(node);
    let status = faults.iter().map(|(status, _)| *status).max()?;
    let texts: Vec<&str> = faults.iter().map(|(_, text)| text.as_str()).collect();
    Some(Finding::new(status, CHECK, node.metadata.name.as_deref().unwrap_or_default(), &texts.join("; ")))
}

fn faults(node: &Node) -> Vec<(Status, String)> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let mut faults = Vec::new();
    let is_ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    if !is_ready {
        let why = conditions.iter().find(|condition| condition.type_ == "Ready").map_or("it never was", message);
        faults.push((Status::Unhealthy, format!("not ready: {why} (kubectl describe node)")));
    }
    for condition in conditions.iter().filter(|condition| condition.status == "True") {
        let status = match condition.type_.as_str() {
            "MemoryPressure" | "DiskPressure" | "PIDPressure" => Status::Warning,
            "NetworkUnavailable" => Status::Unhealthy,
            _ => continue,
        };
        faults.push((status, format!("{}: {}", condition.type_, message(condition))));
    }
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        faults.push((Status::Warning, "it takes no new pods (kubectl uncordon)".to_owned()));
    }
    faults
}

fn message(condition: &NodeCondition) -> &str {
    let texts = [condition.message.as_deref(), condition.reason.as_deref()];
    texts.into_iter().flatten().find(|text| !text.is_empty()).unwrap_or("no reason is given")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, unschedulable: bool, conditions: &[(&str, &str)]) -> Node {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status)| json!({"type": kind, "status": status, "message": format!("why {kind}")}))
            .collect();
        let node = json!({
            "metadata": {"name": name},
            "spec": {"unschedulable": unschedulable},
            "status": {"conditions": conditions},
        });
        serde_json::from_value(node).unwrap()
    }

    #[test]
    fn each_fault_is_told_and_the_worst_is_the_status() {
        let nodes = [
            node("good", false, &[("Ready", "True"), ("DiskPressure", "False")]),
            node("full", false, &[("Ready", "True"), ("DiskPressure", "True")]),
            node("gone", true, &[("Ready", "Unknown"), ("MemoryPressure", "True")]),
            node("mute", false, &[]),
        ];
        let told: Vec<_> = judge(&nodes).into_iter().map(|f| (f.status, f.object, f.detail)).collect();
        let expected = [
            (Status::Warning, "full", "DiskPressure: why DiskPressure"),
            (
                Status::Unhealthy,
                "gone",
                "not ready: why Ready (kubectl describe node); MemoryPressure: why MemoryPressure; it takes no new pods (kubectl uncordon)",
            ),
            (Status::Unhealthy, "mute", "not ready: it never was (kubectl describe node)"),
            (Status::Ok, "all", "1 of 4 are ready"),
        ];
        assert_eq!(told, expected.map(|(status, object, detail)| (status, object.to_owned(), detail.to_owned())));
    }

    #[test]
    fn a_cluster_without_nodes_runs_nothing() {
        assert_eq!(judge(&[])[0].status, Status::Unhealthy);
    }
}
