//! The Kubernetes cluster: the way to its API server, its objects, and the metrics pages of its pods.
//!
//! Every question is bounded in time, and what is not answered is told with why.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Limited;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};
use kube::client::{Client, ClientBuilder};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Config, Resource};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tower_http::map_response_body::MapResponseBodyLayer;

use crate::client::{BODY_BYTES_MAX, root};
use crate::endpoint::Endpoint;
use crate::place::Place;

/// Objects in one answer; the next ones are asked for then.
const PAGE: u32 = 500;

/// Ports of our nodes on which metrics are, by their names in the chart.
const METRICS_PORT: &str = "metrics";

/// What in which cluster.
#[derive(Debug, Clone)]
pub struct ClusterTarget {
    /// Unless given, by the rules of kubectl.
    pub kubeconfig: Option<PathBuf>,
    /// Unless given, the kubeconfig's current one.
    pub context: Option<String>,
    /// Of the release.
    pub namespace: String,
    /// Labels of the pods.
    pub selector: String,
}

/// A cluster that does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// It is not known where it is: why, and what to do.
    #[error("kubeconfig: {0}")]
    Kubeconfig(String),
    /// Its API server has a URL, and no answer; why, and what to do.
    #[error("{url}: {why}")]
    Server {
        /// Of the API server.
        url: String,
        /// And what to do.
        why: String,
    },
}

/// A cluster that has answered.
pub struct Cluster {
    client: Client,
    target: ClusterTarget,
    timeout: Duration,
    version: String,
}

impl Cluster {
    /// `limit` is for each question.
    ///
    /// # Errors
    /// Why it is not known how the cluster is.
    pub async fn connect(target: &ClusterTarget, limit: Duration) -> Result<Self, Unreachable> {
        let config = configure(target).await.map_err(Unreachable::Kubeconfig)?;
        let url = config.cluster_url.to_string();
        let ask = async {
            // What hands out credentials may be a program that takes its time.
            let client = tokio::task::spawn_blocking(|| build(config)).await.expect("it does not panic")?;
            let version = client.apiserver_version().await?;
            Ok::<_, kube::Error>((client, version.git_version))
        };
        let (client, version) = bounded(limit, ask).await.map_err(|why| Unreachable::Server { url, why })?;
        Ok(Self { client, target: target.clone(), timeout: limit, version })
    }

    /// For questions that are not asked here.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What was meant of it.
    #[must_use]
    pub fn target(&self) -> &ClusterTarget {
        &self.target
    }

    /// Of Kubernetes.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The pods of the release, or why they are not known.
    ///
    /// # Errors
    /// Why, for people.
    pub async fn release_pods(&self) -> Result<Vec<Pod>, String> {
        self.list(self.pods(&self.target.namespace), &self.target.selector).await
    }

    /// The pods of a namespace.
    #[must_use]
    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client(), namespace)
    }

    /// The metrics pages of a pod of the release, if it runs.
    #[must_use]
    pub fn endpoints(&self, pod: &Pod) -> Vec<Endpoint> {
        let is_running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        if !is_running || pod.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        let metrics = ports(pod).filter(|(name, _)| name.split('-').next() == Some(METRICS_PORT));
        metrics.map(|(_, port)| Endpoint::at(self.place(pod, &self.target.namespace, port))).collect()
    }

    /// A port of a pod.
    #[must_use]
    pub fn place(&self, pod: &Pod, namespace: &str, port: u16) -> Place {
        Place::Pod { pods: Box::new(self.pods(namespace)), name: pod.metadata.name.clone().unwrap_or_default(), port }
    }

    /// All of them, or why not.
    ///
    /// # Errors
    /// Why, for people.
    pub async fn list<K>(&self, api: Api<K>, selector: &str) -> Result<Vec<K>, String>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        self.ask(async {
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
        })
        .await
    }

    /// The answer within the limit.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub async fn ask<T>(&self, question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
        bounded(self.timeout, question).await
    }
}

async fn bounded<T>(limit: Duration, question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    timeout(limit, question).await.map_err(|_| silence(limit))?.map_err(|error| explain(&error))
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
        _ => "no cluster is known: give --kubeconfig".to_owned(),
    }
}

fn build(config: Config) -> Result<Client, kube::Error> {
    let limit = MapResponseBodyLayer::new(|body| Limited::new(body, BODY_BYTES_MAX));
    Ok(ClientBuilder::try_from(config)?.with_layer(&limit).build())
}

/// What an error of the API server means.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
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

/// Of a port of a pod, by its number or by its name.
#[must_use]
pub fn port_number(pod: &Pod, target: &IntOrString) -> Option<u16> {
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
