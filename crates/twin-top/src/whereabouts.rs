//! Where the metrics pages are: on the hosts that were named, or in the pods that a cluster has now.

use std::time::Duration;

use metrics_client::{Cluster, ClusterTarget, Endpoint, Place};

/// What is to be looked at.
pub(crate) enum Target {
    /// On hosts.
    Hosts(Vec<Endpoint>),
    /// In pods: all of a release, or those of it with these names.
    Pods { cluster: ClusterTarget, names: Vec<String> },
}

/// Who knows it.
pub(crate) enum Whereabouts<'a> {
    Hosts(&'a [Endpoint]),
    Pods { cluster: Box<Cluster>, names: &'a [String] },
}

impl<'a> Whereabouts<'a> {
    /// # Errors
    /// Why the cluster cannot be asked.
    pub(crate) async fn of(target: &'a Target, timeout: Duration) -> Result<Self, String> {
        match target {
            Target::Hosts(endpoints) => Ok(Self::Hosts(endpoints)),
            Target::Pods { cluster, names } => {
                let cluster = Cluster::connect(cluster, timeout).await.map_err(|error| error.to_string())?;
                Ok(Self::Pods { cluster: Box::new(cluster), names })
            }
        }
    }

    /// Whether there may be others later.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self, Self::Pods { .. })
    }

    /// # Errors
    /// Why none are known.
    pub(crate) async fn endpoints(&self) -> Result<Vec<Endpoint>, String> {
        let (cluster, names) = match self {
            Self::Hosts(endpoints) => return Ok(endpoints.to_vec()),
            Self::Pods { cluster, names } => (cluster, names),
        };
        let pods = cluster.release_pods().await.map_err(|why| format!("{why} (needs list of pods)"))?;
        let all = pods.iter().flat_map(|pod| cluster.endpoints(pod));
        let named: Vec<Endpoint> = all.filter(|endpoint| names.is_empty() || is_of(endpoint, names)).collect();
        if named.is_empty() {
            let found: Vec<&str> = pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
            let found = if found.is_empty() { "there are none".to_owned() } else { format!("of {}", found.join(", ")) };
            return Err(format!("no such pod runs and has metrics: {found} with {}", cluster.target().selector));
        }
        Ok(named)
    }
}

fn is_of(endpoint: &Endpoint, names: &[String]) -> bool {
    matches!(&endpoint.place, Place::Pod { name, .. } if names.contains(name))
}
