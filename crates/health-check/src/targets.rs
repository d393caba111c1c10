//! What Prometheus scrapes, and what of that does not answer.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::report::{Finding, Status};

const CHECK: &str = "target";

/// Whose targets and alerts are meant: a Prometheus mostly has those of others too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// In a cluster, those with this label `namespace`; else all.
    pub(crate) namespace: Option<&'a str>,
}

/// Labels as Prometheus has them.
pub(crate) type Labels = BTreeMap<String, String>;

/// What `/api/v1/targets` has.
#[derive(Debug, Deserialize)]
pub(crate) struct Targets {
    #[serde(rename = "activeTargets")]
    active: Vec<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    labels: Labels,
    health: String,
    last_error: String,
}

/// One line for each target that is not up, or one for all.
pub(crate) fn judge(server: &str, targets: Targets, scope: Scope<'_>) -> Vec<Finding> {
    let is_ours = |labels: &Labels| scope.namespace.is_none_or(|name| label(labels, "namespace") == name);
    let ours: Vec<Target> = targets.active.into_iter().filter(|target| is_ours(&target.labels)).collect();
    if ours.is_empty() {
        let detail = match scope.namespace {
            Some(name) => format!("it scrapes nothing in {name}: does it select the ServiceMonitor and its namespace?"),
            None => "it scrapes nothing: look at its scrape_configs".to_owned(),
        };
        return vec![Finding::new(Status::Unhealthy, CHECK, server, &detail)];
    }
    let findings: Vec<Finding> = ours.iter().filter_map(of_target).collect();
    if findings.is_empty() {
        return vec![Finding::new(Status::Ok, CHECK, server, &format!("{} targets are up", ours.len()))];
    }
    findings
}

fn of_target(target: &Target) -> Option<Finding> {
    let (status, detail) = match target.health.as_str() {
        "up" => return None,
        "down" => (Status::Unhealthy, format!("it cannot be scraped: {}", target.last_error)),
        _ => (Status::Unknown, "it was not scraped yet".to_owned()),
    };
    let object = format!("{} {}", label(&target.labels, "job"), label(&target.labels, "instance"));
    Some(Finding::new(status, CHECK, &object, &detail))
}

/// The label's value; the empty string where there is none.
pub(crate) fn label<'a>(labels: &'a Labels, name: &str) -> &'a str {
    labels.get(name).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(targets: &str, namespace: Option<&str>) -> Vec<(Status, String)> {
        let targets = serde_json::from_str(&format!("{{\"activeTargets\": [{targets}]}}")).unwrap();
        let findings = judge("prometheus", targets, Scope { namespace });
        findings.into_iter().map(|finding| (finding.status, finding.object)).collect()
    }

    const DOWN: &str =
        r#"{"labels": {"job": "j", "instance": "i", "namespace": "ours"}, "health": "down", "lastError": "x"}"#;
    const UP: &str =
        r#"{"labels": {"job": "j", "instance": "k", "namespace": "theirs"}, "health": "up", "lastError": ""}"#;
    const NEW: &str = r#"{"labels": {"job": "j", "instance": "l"}, "health": "unknown", "lastError": ""}"#;

    #[test]
    fn one_that_is_down_is_named() {
        let both = format!("{DOWN}, {UP}");
        assert_eq!(judged(&both, None), [(Status::Unhealthy, "j i".to_owned())]);
        assert_eq!(judged(&both, Some("theirs")), [(Status::Ok, "prometheus".to_owned())]);
        assert_eq!(judged(&both, Some("ours")), [(Status::Unhealthy, "j i".to_owned())]);
    }

    #[test]
    fn to_scrape_nothing_is_a_fault() {
        assert_eq!(judged("", None), [(Status::Unhealthy, "prometheus".to_owned())]);
        assert_eq!(judged(UP, Some("ours")), [(Status::Unhealthy, "prometheus".to_owned())]);
    }

    #[test]
    fn what_was_not_scraped_yet_is_not_known() {
        assert_eq!(judged(NEW, None), [(Status::Unknown, "j l".to_owned())]);
    }
}
