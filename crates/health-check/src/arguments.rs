//! The command line, and what it asks for: read and checked as a whole before anything is asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::access::{self, Access};
use crate::cluster::{ClusterTarget, ServiceAddress};
use crate::endpoint::Endpoint;
use crate::place::Place;
use crate::prometheus::Server;

/// Of usage: as all programs of this package.
const EXIT_USAGE: u8 = 64;

const EXAMPLES: &str = "Examples:
  health_check                                                     # the release of scripts/deploy.sh
  health_check --local --prometheus http://127.0.0.1:9090          # compose, or nodes on this host
  health_check --endpoints https://robot1.example:8000 --ca-file ca.pem --username me --password-file secret

Exit codes: 0 healthy (warnings are), 1 not healthy or not known, 64 bad usage.";

/// Metrics ports of the nodes on one host.
const LOCAL_PORTS: std::ops::RangeInclusive<u16> = 8000..=8003;

/// More seconds than anybody waits for.
const SECONDS_MAX: f64 = 86_400.0;

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
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with = "local")]
    endpoints: Vec<String>,
    /// The nodes of this host: http://127.0.0.1:8000 to http://127.0.0.1:8003
    #[arg(long)]
    local: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "In a cluster")]
struct ClusterFlags {
    /// Kubernetes namespace of the release
    #[arg(long, value_name = "NAME", default_value = "digital-twin-system", conflicts_with_all = OF_HOSTS)]
    namespace: String,
    /// Helm release
    #[arg(long, value_name = "NAME", default_value = "digital-twin", conflicts_with_all = OF_HOSTS)]
    release: String,
    /// One robot of the release alone
    #[arg(long, value_name = "NAME", conflicts_with_all = OF_HOSTS)]
    robot: Option<String>,
    /// Context of the kubeconfig; unless given, its current one
    #[arg(long, value_name = "NAME", conflicts_with_all = OF_HOSTS)]
    context: Option<String>,
    /// Unless given, that of KUBECONFIG, ~/.kube/config, or the pod's own account
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_HOSTS)]
    kubeconfig: Option<PathBuf>,
}

const OF_HOSTS: [&str; 2] = ["endpoints", "local"];

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

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
struct AccessFlags {
    /// Certificates of the authority that is believed, of nodes and of Prometheus; unless given, those of the system
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// User of the nodes' pages
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// File with the password in its first line
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
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

/// Why nothing is looked at.
pub(crate) enum Refusal {
    /// clap's, which also stands for `--help` and `--version`.
    Flags(clap::Error),
    /// What is wrong with the values, all of it.
    Values(Vec<String>),
}

impl Refusal {
    /// Writes it, and returns what to end with.
    pub(crate) fn tell(&self) -> ExitCode {
        match self {
            Self::Flags(error) => match (error.print(), error.use_stderr()) {
                (Ok(()), false) => ExitCode::SUCCESS,
                (_, true) => ExitCode::from(EXIT_USAGE),
                (Err(_), false) => ExitCode::FAILURE,
            },
            Self::Values(faults) => {
                for fault in faults {
                    eprintln!("error: {fault}");
                }
                ExitCode::from(EXIT_USAGE)
            }
        }
    }
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Plan, Refusal> {
    let flags = Flags::try_parse_from(arguments).map_err(Refusal::Flags)?;
    let mut faults = Faults::default();
    let plan = plan(flags, &mut faults);
    match plan {
        Some(plan) if faults.0.is_empty() => Ok(plan),
        _ => Err(Refusal::Values(faults.0)),
    }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// The value, or none, with the fault kept.
    fn keep<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|fault| self.0.push(fault)).ok()
    }
}

/// Every value is looked at, also after a fault.
fn plan(flags: Flags, faults: &mut Faults) -> Option<Plan> {
    let timeout = faults.keep(seconds("--timeout", &flags.timeout, f64::MIN_POSITIVE));
    let wait = faults.keep(seconds("--wait", &flags.wait, 0.0));
    let target = target(&flags, faults);
    let prometheus = flags.prometheus;
    let at = prometheus_at(&prometheus, faults);
    let tls = faults.keep(access::trust(flags.access.ca_file.as_deref()));
    let of_nodes = login(flags.access.username.as_deref(), flags.access.password_file.as_deref(), faults);
    let of_prometheus =
        login(prometheus.prometheus_username.as_deref(), prometheus.prometheus_password_file.as_deref(), faults);
    let tls = tls?;
    Some(Plan {
        target: target?,
        skip_nodes: flags.skip.contains(&Skip::Nodes),
        skip_endpoints: flags.skip.contains(&Skip::Endpoints),
        skip_metrics: flags.skip.contains(&Skip::Metrics),
        prometheus: at,
        access: Access { tls: tls.clone(), authorization: of_nodes },
        prometheus_access: Access { tls, authorization: of_prometheus },
        timeout: timeout?,
        wait: wait?,
        json: flags.json,
    })
}

fn target(flags: &Flags, faults: &mut Faults) -> Option<Target> {
    if flags.hosts.local {
        let local = LOCAL_PORTS.map(|port| Place::Host { tls: false, host: "127.0.0.1".to_owned(), port });
        return Some(Target::Hosts(local.map(|place| Endpoint { place, path: "/metrics".to_owned() }).collect()));
    }
    if !flags.hosts.endpoints.is_empty() {
        let endpoints: Vec<Option<Endpoint>> =
            flags.hosts.endpoints.iter().map(|url| faults.keep(endpoint(url))).collect();
        return endpoints.into_iter().collect::<Option<Vec<_>>>().map(Target::Hosts);
    }
    let ClusterFlags { namespace, release, robot, context, kubeconfig } = &flags.cluster;
    for (flag, name) in [("--namespace", Some(namespace)), ("--release", Some(release)), ("--robot", robot.as_ref())] {
        if let Some(name) = name.filter(|name| !is_name(name)) {
            faults.0.push(format!("{flag} {name:?} is no name: a-z, 0-9 and '-' between them"));
        }
    }
    let mut selector = format!("app.kubernetes.io/instance={release}");
    if let Some(robot) = robot {
        selector += &format!(",digital-twin/robot={robot}");
    }
    let (kubeconfig, context) = (kubeconfig.clone(), context.clone());
    Some(Target::Cluster(ClusterTarget { kubeconfig, context, namespace: namespace.clone(), selector }))
}

/// A page is at `/metrics` unless the URL says where.
fn endpoint(url: &str) -> Result<Endpoint, String> {
    let (place, path) = Place::parse(url)?;
    Ok(Endpoint { place, path: if path.is_empty() { "/metrics".to_owned() } else { path } })
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

fn login(user: Option<&str>, password_file: Option<&Path>, faults: &mut Faults) -> Option<hyper::header::HeaderValue> {
    faults.keep(access::login(user?, password_file?))
}

/// As Kubernetes has them, RFC 1123.
fn is_name(text: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(is_inside) && !text.starts_with('-') && !text.ends_with('-')
}

fn seconds(flag: &str, text: &str, least: f64) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (least..=SECONDS_MAX).contains(seconds));
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("{flag} {text} is no number of seconds, or more than a day"))
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
