//! What is looked at, all of it at the same time.

use std::time::Duration;

use futures::StreamExt as _;
use metrics_client::{Cluster, Endpoint};

use crate::arguments::{Plan, PrometheusAt, Target};
use crate::report::Finding;
use crate::{cluster, endpoint, prometheus, targets};

/// From the end of one look to the next.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Of a thousand robots, not all at once: each is a connection, and through the API server.
const ENDPOINTS_AT_ONCE: usize = 16;

/// Looks at everything once.
pub(crate) async fn run(plan: &Plan) -> Vec<Finding> {
    match &plan.target {
        Target::Hosts(endpoints) => {
            let (mut findings, of_prometheus) = tokio::join!(endpoints_of(endpoints, plan), prometheus_of(plan, None));
            findings.extend(of_prometheus);
            findings
        }
        Target::Cluster(target) => match Cluster::connect(target, plan.timeout).await {
            Ok(cluster) => in_cluster(&cluster, plan).await,
            Err(error) => {
                let mut findings = vec![cluster::not_connected(&error)];
                findings.extend(prometheus_of(plan, None).await);
                findings
            }
        },
    }
}

async fn in_cluster(cluster: &Cluster, plan: &Plan) -> Vec<Finding> {
    let of_pods = async {
        let (mut findings, endpoints) = cluster::check_pods(cluster).await;
        if !plan.skip_endpoints {
            findings.extend(endpoints_of(&endpoints, plan).await);
        }
        findings
    };
    let of_nodes = async { if plan.skip_nodes { Vec::new() } else { cluster::check_nodes(cluster).await } };
    let (nodes, pods, of_prometheus) = tokio::join!(of_nodes, of_pods, prometheus_of(plan, Some(cluster)));
    let mut findings = vec![cluster::connected(cluster)];
    findings.extend([nodes, pods, of_prometheus].into_iter().flatten());
    findings
}

async fn endpoints_of(endpoints: &[Endpoint], plan: &Plan) -> Vec<Finding> {
    let each =
        endpoints.iter().map(|endpoint| endpoint::check(endpoint, &plan.access, plan.timeout, plan.skip_metrics));
    let found: Vec<Vec<Finding>> = futures::stream::iter(each).buffered(ENDPOINTS_AT_ONCE).collect().await;
    found.into_iter().flatten().collect()
}

/// One that is a Service is asked for nothing where the cluster does not answer: that is told already.
async fn prometheus_of(plan: &Plan, cluster: Option<&Cluster>) -> Vec<Finding> {
    let scope = targets::Scope { namespace: cluster.map(|cluster| cluster.target().namespace.as_str()) };
    let server = match (&plan.prometheus, cluster) {
        (Some(PrometheusAt::Url(server)), _) => server.clone(),
        (Some(PrometheusAt::Service(service)), Some(cluster)) => match cluster::prometheus_at(cluster, service).await {
            Ok(server) => server,
            Err(finding) => return vec![finding],
        },
        (Some(PrometheusAt::Service(_)), None) | (None, _) => return Vec::new(),
    };
    prometheus::check(&server, &plan.prometheus_access, plan.timeout, scope).await
}
