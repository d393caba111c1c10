//! The metrics page of one of our nodes, and its probes.

use std::time::Duration;

use hyper::StatusCode;

use crate::access::Access;
use crate::http::{Answer, Client, Fault};
use crate::place::Place;
use crate::report::{Finding, Status};
use crate::samples::Samples;
use crate::{cluster, graph, twin};

const CHECK: &str = "endpoint";

/// Where the page is.
pub(crate) struct Endpoint {
    /// Of the node.
    pub(crate) place: Place,
    /// Path of the page, `/metrics`; the probes are at the root.
    pub(crate) path: String,
}

/// Whether the node lives and is ready and, unless its metrics are skipped, what it says of robot and twin.
pub(crate) async fn check(endpoint: &Endpoint, access: &Access, timeout: Duration, skip_metrics: bool) -> Vec<Finding> {
    let object = endpoint.place.to_string();
    let mut client = Client::new(&endpoint.place, access, timeout);
    let is_well = async {
        for (path, consequence) in
            [("/livez", "only a restart helps"), ("/readyz", "it is not to be trusted until it is")]
        {
            expect_ok(path, client.get(path).await?, consequence)?;
        }
        if skip_metrics {
            return Ok(None);
        }
        expect_ok(&endpoint.path, client.get(&endpoint.path).await?, "is it one of our nodes?").map(Some)
    };
    match is_well.await {
        Ok(Some(page)) => of_page(&object, &page),
        Ok(None) => vec![Finding::new(Status::Ok, CHECK, &object, "it lives and is ready")],
        Err(Wrong::NoAnswer(Fault::Cluster(error))) => vec![cluster::not_forwarded(CHECK, &endpoint.place, &error)],
        Err(wrong) => vec![Finding::new(Status::Unhealthy, CHECK, &object, &wrong.to_string())],
    }
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(transparent)]
    NoAnswer(#[from] Fault),
    #[error("it asks for a user: --username and --password-file")]
    Unauthorized,
    #[error("{path} is {status}: {body} ({consequence})")]
    Status { path: String, status: StatusCode, body: String, consequence: &'static str },
}

fn expect_ok(path: &str, answer: Answer, consequence: &'static str) -> Result<String, Wrong> {
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        StatusCode::UNAUTHORIZED => Err(Wrong::Unauthorized),
        status => Err(Wrong::Status { path: path.to_owned(), status, body: answer.body, consequence }),
    }
}

fn of_page(object: &str, page: &str) -> Vec<Finding> {
    let samples = match Samples::parse(page) {
        Ok(samples) => samples,
        Err(line) => {
            let detail = format!("line {line} of the page is no metric: is it one of our nodes?");
            return vec![Finding::new(Status::Unhealthy, CHECK, object, &detail)];
        }
    };
    let Some(build) = samples.of("digital_twin_build_info").next() else {
        let detail = "there is no digital_twin_build_info: another program listens here";
        return vec![Finding::new(Status::Unhealthy, CHECK, object, detail)];
    };
    let detail = format!(
        "{} {}, {}, {}; {} samples",
        node_of(&samples),
        build.label("version"),
        build.label("ros_distro"),
        build.label("middleware"),
        samples.len()
    );
    let mut findings = vec![Finding::new(Status::Ok, CHECK, object, &detail)];
    findings.extend(twin::judge(object, &samples));
    findings.extend(graph::judge(object, &samples));
    findings
}

/// By what none of the others has.
fn node_of(samples: &Samples<'_>) -> &'static str {
    if samples.has("ros_twin_state") {
        "synchronization_node"
    } else if graph::is_of_monitor(samples) {
        "monitoring_node"
    } else if samples.has("unity_bridge_clients") {
        "unity_bridge_node"
    } else {
        "ros_metrics_exporter"
    }
}
