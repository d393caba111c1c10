//! The alerts that fire.

use serde::Deserialize;

use crate::report::{Finding, Status};
use crate::targets::{Labels, Scope, label};

const CHECK: &str = "alert";

/// What `/api/v1/alerts` has.
#[derive(Debug, Deserialize)]
pub(crate) struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    labels: Labels,
    annotations: Labels,
    state: String,
}

/// One line for each alert that fires, or one that none does. In a cluster, alerts of other namespaces are not ours; those
/// of none are the cluster's, and ours too.
pub(crate) fn judge(server: &str, alerts: Alerts, scope: Scope<'_>) -> Vec<Finding> {
    let is_ours = |alert: &Alert| {
        let namespace = label(&alert.labels, "namespace");
        namespace.is_empty() || scope.namespace.is_none_or(|ours| namespace == ours)
    };
    let firing = alerts.alerts.iter().filter(|alert| alert.state == "firing" && is_ours(alert));
    let findings: Vec<Finding> = firing.filter_map(of_alert).collect();
    if findings.is_empty() { vec![Finding::new(Status::Ok, CHECK, server, "none fires")] } else { findings }
}

fn of_alert(alert: &Alert) -> Option<Finding> {
    let status = match label(&alert.labels, "severity") {
        // Those that tell of nothing, as kube-prometheus's Watchdog, which always fires.
        "none" | "info" => return None,
        "warning" => Status::Warning,
        _ => Status::Unhealthy,
    };
    let told = ["summary", "description", "message"].map(|name| label(&alert.annotations, name));
    let detail = told.into_iter().find(|text| !text.is_empty()).unwrap_or("it has no summary");
    Some(Finding::new(status, CHECK, label(&alert.labels, "alertname"), detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(name: &str, severity: &str, namespace: &str, state: &str) -> Alert {
        let labels = [("alertname", name), ("severity", severity), ("namespace", namespace)];
        Alert {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            annotations: Labels::from([("summary".to_owned(), format!("why {name}"))]),
            state: state.to_owned(),
        }
    }

    #[test]
    fn those_that_fire_have_the_status_of_their_severity() {
        let alerts = vec![
            alert("Critical", "critical", "ours", "firing"),
            alert("Warning", "warning", "", "firing"),
            alert("Unrated", "", "ours", "firing"),
            alert("Watchdog", "none", "", "firing"),
            alert("Pending", "critical", "ours", "pending"),
            alert("Foreign", "critical", "theirs", "firing"),
        ];
        let findings = judge("prometheus", Alerts { alerts }, Scope { namespace: Some("ours") });
        let told: Vec<_> = findings.iter().map(|f| (f.object.as_str(), f.status, f.detail.as_str())).collect();
        assert_eq!(
            told,
            [
                ("Critical", Status::Unhealthy, "why Critical"),
                ("Warning", Status::Warning, "why Warning"),
                ("Unrated", Status::Unhealthy, "why Unrated")
            ]
        );
    }

    #[test]
    fn without_a_cluster_all_are_ours() {
        let alerts = Alerts { alerts: vec![alert("Foreign", "critical", "theirs", "firing")] };
        assert_eq!(judge("prometheus", alerts, Scope { namespace: None })[0].status, Status::Unhealthy);
    }

    #[test]
    fn that_none_fires_is_told() {
        assert_eq!(judge("prometheus", Alerts { alerts: Vec::new() }, Scope { namespace: None })[0].status, Status::Ok);
    }
}
