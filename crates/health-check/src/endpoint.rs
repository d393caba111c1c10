//! The metrics page of one of our nodes, and its probes.

use std::time::Duration;

use hyper::StatusCode;
use metrics_client::{Access, Answer, Client, Endpoint, Fault, Page};

use crate::report::{Finding, Status};
use crate::{cluster, graph, twin};

const CHECK: &str = "endpoint";

/// Whether the node lives and is ready and, unless its metrics are skipped, what it says of robot and twin.
pub(crate) async fn check(endpoint: &Endpoint, access: &Access, timeout: Duration, skip_metrics: bool) -> Vec<Finding> {
    let object = endpoint.place.to_string();
    let mut client = Client::new(&endpoint.place, access, timeout);
    let is_well = async {
        for (path, when_unavailable) in
            [("/livez", "only a restart helps"), ("/readyz", "it is not to be trusted until it is")]
        {
            expect_ok(path, client.get(path).await?, when_unavailable)?;
        }
        if skip_metrics {
            return Ok(None);
        }
        expect_ok(&endpoint.path, client.get(&endpoint.path).await?, "it is asked for too much at once").map(Some)
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
    #[error("{path} is {status}: {body} ({meaning})")]
    Status { path: String, status: StatusCode, body: String, meaning: &'static str },
}

fn expect_ok(path: &str, answer: Answer, when_unavailable: &'static str) -> Result<String, Wrong> {
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        StatusCode::UNAUTHORIZED => Err(Wrong::Unauthorized),
        status => {
            // All that our nodes answer besides.
            let is_ours = status == StatusCode::SERVICE_UNAVAILABLE;
            let meaning = if is_ours { when_unavailable } else { "is it one of our nodes?" };
            Err(Wrong::Status { path: path.to_owned(), status, body: answer.body, meaning })
        }
    }
}

fn of_page(object: &str, text: &str) -> Vec<Finding> {
    let page = match Page::parse(text) {
        Ok(page) => page,
        Err(error) => return vec![Finding::new(Status::Unhealthy, CHECK, object, &error.to_string())],
    };
    let detail = format!(
        "{} {}, {}, {}; {} samples",
        page.node.name(),
        page.build("version"),
        page.build("ros_distro"),
        page.build("middleware"),
        page.samples.len()
    );
    let mut findings = vec![Finding::new(Status::Ok, CHECK, object, &detail)];
    findings.extend(twin::judge(object, &page));
    findings.extend(graph::judge(object, &page));
    findings
}
