//! Whether Prometheus answers; what it scrapes is for `targets.rs`, what it warns of for `alerts.rs`.
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::time::Duration;

use hyper::StatusCode;
use metrics_client::{Access, Client, Fault, Place};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::report::{Finding, Status};
use crate::targets::Scope;
use crate::{alerts, cluster, targets};

const CHECK: &str = "prometheus";

/// A server.
#[derive(Clone)]
pub(crate) struct Server {
    /// Of its API.
    pub(crate) place: Place,
    /// What stands before `/api`, without a slash at the end.
    pub(crate) prefix: String,
}

/// Its targets and the alerts that fire; one finding where it does not answer.
pub(crate) async fn check(server: &Server, access: &Access, timeout: Duration, scope: Scope<'_>) -> Vec<Finding> {
    let object = server.place.to_string();
    let mut client = Client::new(&server.place, access, timeout);
    let both = async {
        let targets = ask(&mut client, &format!("{}/api/v1/targets?state=active", server.prefix)).await?;
        let alerts = ask(&mut client, &format!("{}/api/v1/alerts", server.prefix)).await?;
        Ok((targets, alerts))
    };
    match both.await {
        Ok((targets, alerts)) => {
            let mut findings = targets::judge(&object, targets, scope);
            findings.extend(alerts::judge(&object, alerts, scope));
            findings
        }
        Err(Wrong::NoAnswer(Fault::Cluster(error))) => vec![cluster::not_forwarded(CHECK, &server.place, &error)],
        Err(wrong) => vec![Finding::new(Status::Unhealthy, CHECK, &object, &wrong.to_string())],
    }
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(transparent)]
    NoAnswer(#[from] Fault),
    #[error("it asks for a user: --prometheus-username and --prometheus-password-file")]
    Unauthorized,
    #[error("{path} is {status}: {body} (is it Prometheus, and its path the right one?)")]
    Status { path: String, status: StatusCode, body: String },
    #[error("{path} is not what Prometheus answers: {error}")]
    Json { path: String, error: serde_json::Error },
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

async fn ask<T: DeserializeOwned>(client: &mut Client<'_>, path: &str) -> Result<T, Wrong> {
    let answer = client.get(path).await?;
    match answer.status {
        StatusCode::OK => serde_json::from_str(&answer.body)
            .map(|envelope: Envelope<T>| envelope.data)
            .map_err(|error| Wrong::Json { path: path.to_owned(), error }),
        StatusCode::UNAUTHORIZED => Err(Wrong::Unauthorized),
        status => Err(Wrong::Status { path: path.to_owned(), status, body: answer.body }),
    }
}
