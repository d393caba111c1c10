//! The Kubernetes cluster: the way to its API server, and what it is asked for.
//!
//! Every question is bounded in time. What may not be asked, and what is not answered, is not known: that is never told
//! as if it were well.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Limited;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::client::{Client, ClientBuilder};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Config, Resource};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tower_http::map_response_body::MapResponseBodyLayer;

use crate::endpoint::Endpoint;
use crate::http::{BODY_BYTES_MAX, root};
use crate::place::Place;
use crate::prometheus::Server;
use crate::report::{Finding, Status};
use crate::{cluster_nodes, pods};

const CHECK: &str = "cluster";

/// Objects in one answer; the next ones are asked for then.
const PAGE: u32 = 500;

/// Ports of our nodes on which metrics are, by their names in the chart.
const METRICS_PORT: &str = "metrics";

/// What in which cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterTarget {
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) context: Option<String>,
    pub(crate) namespace: String,
    /// Labels of the pods.
    pub(crate) selector: String,
}

/// `NAMESPACE/NAME:PORT`.
#[derive(Debug, Clone)]
pub(crate) struct ServiceAddress {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// A cluster that has answered.
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
    selector: String,
    timeout: Duration,
    version: String,
}

impl Cluster {
    /// # Errors
    /// Why it is not known how the cluster is.
    pub(crate) async fn connect(target: &ClusterTarget, limit: Duration) -> Result<Self, Finding> {
        let unknown = |object: &str, detail: &str| Finding::new(Status::Unknown, CHECK, object, detail);
        let config = configure(target).await.map_err(|detail| unknown("kubeconfig", &detail))?;
        let url = config.cluster_url.to_string();
        let ask = async {
            // What hands out credentials may be a program that takes its time.
            let client = tokio::task::spawn_blocking(|| build(config)).await.expect("it does not panic")?;
            let version = client.apiserver_version().await?;
            Ok::<_, kube::Error>((client, version.git_version))
        };
        match timeout(limit, ask).await {
            Ok(Ok((client, version))) => {
                let ClusterTarget { namespace, selector, .. } = target.clone();
                Ok(Self { client, namespace, selector, timeout: limit, version })
            }
            Ok(Err(error)) => Err(unknown(&url, &explain(&error))),
            Err(_) => Err(unknown(&url, &silence(limit))),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// That it answers.
    pub(crate) fn finding(&self) -> Finding {
        Finding::new(Status::Ok, CHECK, "API server", &format!("Kubernetes {}", self.version))
    }

    pub(crate) async fn check_nodes(&self) -> Vec<Finding> {
        match self.list::<Node>(Api::all(self.client.clone()), "").await {
            Ok(nodes) => cluster_nodes::judge(&nodes),
            Err(why) => {
                let detail = format!("{why} (needs list of nodes; --skip nodes leaves it out)");
                vec![Finding::new(Status::Unknown, cluster_nodes::CHECK, "all", &detail)]
            }
        }
    }

    /// How the pods are, and the metrics pages of those that run.
    pub(crate) async fn check_pods(&self) -> (Vec<Finding>, Vec<Endpoint>) {
        match self.list(self.pods(&self.namespace), &self.selector).await {
            Ok(found) => {
                let endpoints = found.iter().flat_map(|pod| self.endpoints(pod)).collect();
                (pods::judge(&found, &self.selector, Timestamp::now()), endpoints)
            }
            Err(why) => {
                let detail = format!("{why} (needs list of pods)");
                (vec![Finding::new(Status::Unknown, pods::CHECK, &self.namespace, &detail)], Vec::new())
            }
        }
    }

    /// Where the Prometheus is that a Service leads to.
    ///
    /// # Errors
    /// Why it is not known.
    pub(crate) async fn prometheus_at(&self, address: &ServiceAddress) -> Result<Server, Finding> {
        let object = format!("{}/{}", address.namespace, address.name);
        let fault = |status, detail: &str| Finding::new(status, "prometheus", &object, detail);
        let services: Api<Service> = Api::namespaced(self.client.clone(), &address.namespace);
        let service = timeout(self.timeout, services.get(&address.name))
            .await
            .map_err(|_| fault(Status::Unknown, &silence(self.timeout)))?
            .map_err(|error| fault(Status::Unknown, &explain(&error)))?;
        let spec = service.spec.unwrap_or_default();
        let labels: Vec<String> =
            spec.selector.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        let port = spec.ports.iter().flatten().find(|port| port.port == i32::from(address.port));
        let Some(port) = port.filter(|_| !labels.is_empty()) else {
            return Err(fault(Status::Unhealthy, "the Service has no such port, or leads to no pods"));
        };
        let target = port.target_port.clone().unwrap_or(IntOrString::Int(port.port));
        let found = self.list(self.pods(&address.namespace), &labels.join(",")).await;
        let found = found.map_err(|why| fault(Status::Unknown, &format!("{why} (needs list of pods)")))?;
        let ready = found.iter().filter(|pod| pods::is_ready(pod));
        ready
            .filter_map(|pod| Some((pod, port_number(pod, &target)?)))
            .map(|(pod, port)| Server { place: self.place(pod, &address.namespace, port), prefix: String::new() })
            .next()
            .ok_or_else(|| fault(Status::Unhealthy, "no pod behind the Service is ready"))
    }

    fn endpoints(&self, pod: &Pod) -> Vec<Endpoint> {
        let is_running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        if !is_running || pod.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        let metrics = ports(pod).filter(|(name, _)| name.split('-').next() == Some(METRICS_PORT));
        let endpoint = |port| Endpoint { place: self.place(pod, &self.namespace, port), path: "/metrics".to_owned() };
        metrics.map(|(_, port)| endpoint(port)).collect()
    }

    fn place(&self, pod: &Pod, namespace: &str, port: u16) -> Place {
        Place::Pod { pods: Box::new(self.pods(namespace)), name: pod.metadata.name.clone().unwrap_or_default(), port }
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// All of them, or why not.
    async fn list<K>(&self, api: Api<K>, selector: &str) -> Result<Vec<K>, String>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let pages = async {
            let mut parameters = ListParams::default().labels(selector).limit(PAGE);
            let mut objects = Vec::new();
            loop {
                let page = api.list(&parameters).await?;
                objects.extend(page.items);
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => parameters = parameters.continue_token(&token),
                    None => return Ok(objects),
                }
            }
        };
        timeout(self.timeout, pages)
            .await
            .map_err(|_| silence(self.timeout))?
            .map_err(|error: kube::Error| explain(&error))
    }
}

async fn configure(target: &ClusterTarget) -> Result<Config, String> {
    let options = KubeConfigOptions { context: target.context.clone(), cluster: None, user: None };
    let config = match &target.kubeconfig {
        Some(file) => {
            let kubeconfig = Kubeconfig::read_from(file).map_err(|error| describe(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| describe(&error))
        }
        None if options.context.is_some() => Config::from_kubeconfig(&options).await.map_err(|error| describe(&error)),
        None => Config::infer().await.map_err(|error| not_inferred(&error)),
    };
    config.map(|mut config| {
        // Each question has a limit of its own.
        config.default_retry = false;
        config
    })
}

fn describe(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, file) => format!("{}: {error}", file.display()),
        _ => error.to_string(),
    }
}

/// Neither by a kubeconfig nor within a pod: what is wrong with the former is told, unless there is none.
fn not_inferred(error: &InferConfigError) -> String {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    let is_missing = match source {
        Some(KubeconfigError::ReadConfig(error, _)) => error.kind() == std::io::ErrorKind::NotFound,
        Some(KubeconfigError::FindPath) => true,
        _ => false,
    };
    match source {
        Some(error) if !is_missing => describe(error),
        _ => "no cluster is known: give --kubeconfig, or --local for nodes on this host".to_owned(),
    }
}

fn build(config: Config) -> Result<Client, kube::Error> {
    let limit = MapResponseBodyLayer::new(|body| Limited::new(body, BODY_BYTES_MAX));
    Ok(ClientBuilder::try_from(config)?.with_layer(&limit).build())
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

fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!("not allowed: {}", status.message),
        kube::Error::Api(status) if status.code == 401 => "the cluster does not know us: log in again".to_owned(),
        kube::Error::Api(status) => format!("{} {}", status.code, status.message),
        _ => format!("the cluster does not answer as it should: {}", root(error)),
    }
}

fn silence(limit: Duration) -> String {
    format!("no answer within {} s: is the cluster reachable from here (VPN, firewall)?", limit.as_secs_f64())
}

fn port_number(pod: &Pod, target: &IntOrString) -> Option<u16> {
    match target {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(wanted) => ports(pod).find(|(name, _)| name == wanted).map(|(_, port)| port),
    }
}

/// The named ports of its containers.
fn ports(pod: &Pod) -> impl Iterator<Item = (&str, u16)> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let all = containers.iter().chain(init).flat_map(|container| container.ports.iter().flatten());
    all.filter_map(|port| Some((port.name.as_deref()?, u16::try_from(port.container_port).ok()?)))
}
