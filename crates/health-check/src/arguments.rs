//! The command line, and what it asks for: read and checked as a whole before anything is asked.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use metrics_client::flags::{AccessFlags, ClusterFlags, Faults, Refusal, is_name, login, seconds};
use metrics_client::{Access, ClusterTarget, Endpoint, Place};

use crate::cluster::ServiceAddress;
use crate::prometheus::Server;

const EXAMPLES: &str = "Examples:
  health_check                                                     # the release of scripts/deploy.sh
  health_check --local --prometheus http://127.0.0.1:9090          # compose, or nodes on this host
  health_check --endpoints https://robot1.example:8000 --ca-file ca.pem --username me --password-file secret

Exit codes: 0 healthy (warnings are), 1 not healthy or not known, 64 bad usage.";

/// Says what is wrong with a digital twin, and what to do: its cluster, pods, nodes, synchronization and Prometheus
#[derive(Debug, Parser)]
#[command(name = "health_check", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Flags {
    /// Leaves out the cluster's nodes, or all pages of the pods, where looking at them is not allowed; or the metrics, so
    /// that a node has to live and be ready and no more, as for the health check of its container
    #[arg(long, value_name = "CHECK,…", value_delimiter = ',')]
    skip: Vec<Skip>,
    /// Seconds that each question may take
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    timeout: String,
    /// Seconds within which all has to be well: it looks again until then
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    wait: String,
    /// Writes JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hosts: HostFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    prometheus: PrometheusFlags,
    #[command(flatten)]
    access: AccessFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Without a cluster")]
struct HostFlags {
    /// Metrics pages of nodes
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with_all = ["local", "ClusterFlags"])]
    endpoints: Vec<String>,
    /// The nodes of this host: http://127.0.0.1:8000 to http://127.0.0.1:8003
    #[arg(long, conflicts_with = "ClusterFlags")]
    local: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Prometheus")]
struct PrometheusFlags {
    /// Prometheus, whose targets and alerts are looked at
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// The same, by its Service in the cluster
    #[arg(long, value_name = "NAMESPACE/NAME:PORT", conflicts_with_all = ["prometheus", "endpoints", "local"])]
    prometheus_service: Option<String>,
    /// User of Prometheus
    #[arg(long, value_name = "NAME", requires = "prometheus_password_file")]
    prometheus_username: Option<String>,
    /// File with the password in its first line
    #[arg(long, value_name = "FILE", requires = "prometheus_username")]
    prometheus_password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Skip {
    Nodes,
    Endpoints,
    Metrics,
}

/// What is to be looked at, and how.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) skip_nodes: bool,
    pub(crate) skip_endpoints: bool,
    pub(crate) skip_metrics: bool,
    pub(crate) prometheus: Option<PrometheusAt>,
    pub(crate) access: Access,
    pub(crate) prometheus_access: Access,
    pub(crate) timeout: Duration,
    pub(crate) wait: Duration,
    pub(crate) json: bool,
}

/// Where the nodes are.
pub(crate) enum Target {
    /// On hosts.
    Hosts(Vec<Endpoint>),
    /// In pods.
    Cluster(ClusterTarget),
}

/// Where Prometheus is.
pub(crate) enum PrometheusAt {
    /// On a host.
    Url(Server),
    /// Behind a Service of the cluster.
    Service(ServiceAddress),
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Plan, Refusal> {
    let flags = Flags::try_parse_from(arguments).map_err(Refusal::Flags)?;
    let mut faults = Faults::default();
    let plan = plan(flags, &mut faults);
    faults.unless_any(plan)
}

/// Every value is looked at, also after a fault.
fn plan(flags: Flags, faults: &mut Faults) -> Option<Plan> {
    let timeout = faults.keep(seconds("--timeout", &flags.timeout, f64::MIN_POSITIVE));
    let wait = faults.keep(seconds("--wait", &flags.wait, 0.0));
    let target = target(&flags, faults);
    let prometheus = flags.prometheus;
    let at = prometheus_at(&prometheus, faults);
    let access = flags.access.access(faults);
    let of_prometheus =
        login(prometheus.prometheus_username.as_deref(), prometheus.prometheus_password_file.as_deref(), faults);
    let access = access?;
    Some(Plan {
        target: target?,
        skip_nodes: flags.skip.contains(&Skip::Nodes),
        skip_endpoints: flags.skip.contains(&Skip::Endpoints),
        skip_metrics: flags.skip.contains(&Skip::Metrics),
        prometheus: at,
        prometheus_access: Access { tls: access.tls.clone(), authorization: of_prometheus },
        access,
        timeout: timeout?,
        wait: wait?,
        json: flags.json,
    })
}

fn target(flags: &Flags, faults: &mut Faults) -> Option<Target> {
    if flags.hosts.local {
        return Some(Target::Hosts(Endpoint::local("127.0.0.1")));
    }
    if !flags.hosts.endpoints.is_empty() {
        let endpoints: Vec<Option<Endpoint>> =
            flags.hosts.endpoints.iter().map(|url| faults.keep(Endpoint::parse(url))).collect();
        return endpoints.into_iter().collect::<Option<Vec<_>>>().map(Target::Hosts);
    }
    Some(Target::Cluster(flags.cluster.target(faults)))
}

fn prometheus_at(flags: &PrometheusFlags, faults: &mut Faults) -> Option<PrometheusAt> {
    if let Some(url) = &flags.prometheus {
        let parsed = faults.keep(Place::parse(url));
        return parsed.map(|(place, prefix)| PrometheusAt::Url(Server { place, prefix }));
    }
    let parsed = faults.keep(service(flags.prometheus_service.as_deref()?));
    parsed.map(PrometheusAt::Service)
}

fn service(text: &str) -> Result<ServiceAddress, String> {
    let parts = text.split_once('/').and_then(|(namespace, rest)| Some((namespace, rest.rsplit_once(':')?)));
    let fault = || format!("--prometheus-service {text} is not like monitoring/prometheus-operated:9090");
    let (namespace, (name, port)) = parts.ok_or_else(fault)?;
    let port = port.parse().ok().filter(|_| is_name(namespace) && is_name(name)).ok_or_else(fault)?;
    Ok(ServiceAddress { namespace: namespace.to_owned(), name: name.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(arguments: &str) -> Result<Plan, Refusal> {
        let words = std::iter::once("health_check").chain(arguments.split_whitespace());
        parse(words.map(OsString::from))
    }

    fn faults(arguments: &str) -> Vec<String> {
        match parsed(arguments) {
            Err(Refusal::Values(faults)) => faults,
            Err(Refusal::Flags(error)) => vec![error.to_string()],
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_cluster_is_asked_unless_hosts_are_named() {
        let Ok(Plan { target: Target::Cluster(cluster), .. }) = parsed("--robot r1") else { panic!("no cluster") };
        assert_eq!(cluster.selector, "app.kubernetes.io/instance=digital-twin,digital-twin/robot=r1");
        let Ok(Plan { target: Target::Hosts(endpoints), .. }) = parsed("--local") else { panic!("no hosts") };
        let places: Vec<_> = endpoints.iter().map(|endpoint| endpoint.place.to_string()).collect();
        assert_eq!(places, ["127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"]);
    }

    #[test]
    fn the_page_of_an_endpoint_may_be_elsewhere() {
        let Ok(Plan { target: Target::Hosts(endpoints), .. }) = parsed("--endpoints http://a:1,http://b:2/m") else {
            panic!("no hosts")
        };
        assert_eq!(endpoints.iter().map(|endpoint| endpoint.path.as_str()).collect::<Vec<_>>(), ["/metrics", "/m"]);
    }

    #[test]
    fn all_faults_of_values_are_told() {
        let told = faults(
            "--endpoints ftp://a,http://b:x --prometheus nowhere --timeout 0 --wait -1 --ca-file /none \
             --username me --password-file /none",
        );
        assert_eq!(told.len(), 1, "clap takes -1 for a flag: {told:?}");
        let told = faults(
            "--endpoints ftp://a,http://b:x --prometheus nowhere --timeout 0 --wait=-1 --ca-file /none \
             --username me --password-file /none",
        );
        assert_eq!(told.len(), 7, "{told:?}");
        assert_eq!(faults("--namespace A --release b_ --robot -c --prometheus-service x").len(), 1);
        assert_eq!(faults("--namespace A --release b_ --robot=-c --prometheus-service x").len(), 4);
        assert_eq!(faults(&format!("--namespace= --release {}", "a".repeat(64))).len(), 2);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for bad in [
            "--local --endpoints http://a",
            "--local --kubeconfig f",
            "--local --namespace n",
            "--endpoints http://a --release r",
            "--endpoints http://a --robot r",
            "--username me",
            "--password-file f",
            "--prometheus http://a --prometheus-service n/s:1",
            "--skip pods",
            "more",
        ] {
            assert!(matches!(parsed(bad), Err(Refusal::Flags(_))), "{bad}");
        }
    }
}
