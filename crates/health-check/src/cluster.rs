//! The Kubernetes cluster: what it is asked for, and what is made of its answers.
//!
//! What may not be asked, and what is not answered, is not known: that is never told as if it were well.

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use metrics_client::{Cluster, Endpoint, Place, Unreachable, explain, port_number};

use crate::prometheus::Server;
use crate::report::{Finding, Status};
use crate::{cluster_nodes, pods};

const CHECK: &str = "cluster";

/// `NAMESPACE/NAME:PORT`.
#[derive(Debug, Clone)]
pub(crate) struct ServiceAddress {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// That it does not answer.
pub(crate) fn not_connected(error: &Unreachable) -> Finding {
    match error {
        Unreachable::Kubeconfig(why) => {
            let detail = format!("{why} (--local looks at the nodes of this host)");
            Finding::new(Status::Unknown, CHECK, "kubeconfig", &detail)
        }
        Unreachable::Server { url, why } => Finding::new(Status::Unknown, CHECK, url, why),
    }
}

/// That it answers.
pub(crate) fn connected(cluster: &Cluster) -> Finding {
    Finding::new(Status::Ok, CHECK, "API server", &format!("Kubernetes {}", cluster.version()))
}

pub(crate) async fn check_nodes(cluster: &Cluster) -> Vec<Finding> {
    match cluster.list::<Node>(Api::all(cluster.client()), "").await {
        Ok(nodes) => cluster_nodes::judge(&nodes),
        Err(why) => {
            let detail = format!("{why} (needs list of nodes; --skip nodes leaves it out)");
            vec![Finding::new(Status::Unknown, cluster_nodes::CHECK, "all", &detail)]
        }
    }
}

/// How the pods are, and the metrics pages of those that run.
pub(crate) async fn check_pods(cluster: &Cluster) -> (Vec<Finding>, Vec<Endpoint>) {
    match cluster.release_pods().await {
        Ok(found) => {
            let endpoints = found.iter().flat_map(|pod| cluster.endpoints(pod)).collect();
            (pods::judge(&found, &cluster.target().selector, Timestamp::now()), endpoints)
        }
        Err(why) => {
            let detail = format!("{why} (needs list of pods)");
            (vec![Finding::new(Status::Unknown, pods::CHECK, &cluster.target().namespace, &detail)], Vec::new())
        }
    }
}

/// Where the Prometheus is that a Service leads to.
///
/// # Errors
/// Why it is not known.
pub(crate) async fn prometheus_at(cluster: &Cluster, address: &ServiceAddress) -> Result<Server, Finding> {
    let object = format!("{}/{}", address.namespace, address.name);
    let fault = |status, detail: &str| Finding::new(status, "prometheus", &object, detail);
    let services: Api<Service> = Api::namespaced(cluster.client(), &address.namespace);
    let service = cluster.ask(services.get(&address.name)).await.map_err(|why| fault(Status::Unknown, &why))?;
    let spec = service.spec.unwrap_or_default();
    let labels: Vec<String> = spec.selector.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
    let port = spec.ports.iter().flatten().find(|port| port.port == i32::from(address.port));
    let Some(port) = port.filter(|_| !labels.is_empty()) else {
        return Err(fault(Status::Unhealthy, "the Service has no such port, or leads to no pods"));
    };
    let target = port.target_port.clone().unwrap_or(IntOrString::Int(port.port));
    let found = cluster.list(cluster.pods(&address.namespace), &labels.join(",")).await;
    let found = found.map_err(|why| fault(Status::Unknown, &format!("{why} (needs list of pods)")))?;
    let ready = found.iter().filter(|pod| pods::is_ready(pod));
    ready
        .filter_map(|pod| Some((pod, port_number(pod, &target)?)))
        .map(|(pod, port)| Server { place: cluster.place(pod, &address.namespace, port), prefix: String::new() })
        .next()
        .ok_or_else(|| fault(Status::Unhealthy, "no pod behind the Service is ready"))
}

/// That metrics behind a port of a pod could not be read. Where it is forbidden, it is so for all pods, and told once.
pub(crate) fn not_forwarded(check: &'static str, place: &Place, error: &kube::Error) -> Finding {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let detail = "not allowed: needs get and create of pods/portforward (--skip endpoints leaves nodes out)";
            Finding::new(Status::Unknown, check, "pods", detail)
        }
        _ => Finding::new(Status::Unknown, check, &place.to_string(), &explain(error)),
    }
}
