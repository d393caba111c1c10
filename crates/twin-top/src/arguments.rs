//! The command line, and what it asks for: read and checked as a whole before anything is asked.

use std::ffi::OsString;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};
use metrics_client::flags::{AccessFlags, ClusterFlags, Faults, Refusal, seconds};
use metrics_client::{Access, Endpoint};

use crate::table::View;
use crate::whereabouts::Target;

const EXAMPLES: &str = "Examples:
  twin_top                                              # the nodes of this host
  twin_top http://robot1.example:8000 https://robot2.example:8002/metrics
  twin_top --robot robot1                               # its pods, as of scripts/deploy.sh
  twin_top --json | jq '.topics[] | select(.status != \"ok\")'

Exit codes: 0, 1 where nothing answers, 64 bad usage.";

/// Faster is no use to eyes, and a load for who is asked.
const INTERVAL_MIN_SECONDS: f64 = 0.1;

/// What asks for pods by itself.
const OF_CLUSTER: [&str; 7] = ["cluster", "pods", "namespace", "release", "robot", "context", "kubeconfig"];

/// Topics with their rates and why they have none, joints, robot and twin, Unity's clients: by the nodes' metrics pages
#[derive(Debug, Parser)]
#[command(name = "twin_top", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Flags {
    /// Metrics pages; unless given, http://localhost:8000 to http://localhost:8003
    #[arg(value_name = "URL", conflicts_with_all = ["ClusterFlags", "cluster", "pods"])]
    urls: Vec<String>,
    /// What is shown first
    #[arg(long, value_enum, value_name = "VIEW", default_value = "topics")]
    view: View,
    /// Prints the view as a table, once, in place of a screen
    #[arg(long)]
    once: bool,
    /// Prints all of it as JSON, once
    #[arg(long)]
    json: bool,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    interval: String,
    /// Seconds that an answer may take
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    timeout: String,
    /// The pods of a Helm release, as `kubectl port-forward` reaches them; each of the flags below means it too
    #[arg(long, help_heading = "In a cluster")]
    cluster: bool,
    /// These pods of the release alone
    #[arg(long = "pod", id = "pods", value_name = "NAME,…", value_delimiter = ',', help_heading = "In a cluster")]
    pods: Vec<String>,
    #[command(flatten)]
    in_cluster: ClusterFlags,
    #[command(flatten)]
    access: AccessFlags,
}

/// What is to be shown, and how.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) access: Access,
    pub(crate) output: Output,
    pub(crate) view: View,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Screen,
    Table,
    Json,
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Plan, Refusal> {
    let matches = Flags::command().try_get_matches_from(arguments).map_err(Refusal::Flags)?;
    let flags = Flags::from_arg_matches(&matches).map_err(Refusal::Flags)?;
    let mut faults = Faults::default();
    let plan = plan(&flags, is_cluster_meant(&matches), &mut faults);
    faults.unless_any(plan)
}

fn is_cluster_meant(matches: &ArgMatches) -> bool {
    OF_CLUSTER.iter().any(|flag| matches.value_source(flag) == Some(ValueSource::CommandLine))
}

/// Every value is looked at, also after a fault.
fn plan(flags: &Flags, is_cluster_meant: bool, faults: &mut Faults) -> Option<Plan> {
    let interval = faults.keep(seconds("--interval", &flags.interval, INTERVAL_MIN_SECONDS));
    let timeout = faults.keep(seconds("--timeout", &flags.timeout, f64::MIN_POSITIVE));
    let target = target(flags, is_cluster_meant, faults);
    let access = flags.access.access(faults);
    let output = match (flags.json, flags.once) {
        (true, _) => Output::Json,
        (false, true) => Output::Table,
        (false, false) => Output::Screen,
    };
    Some(Plan { target, access: access?, output, view: flags.view, interval: interval?, timeout: timeout? })
}

fn target(flags: &Flags, is_cluster_meant: bool, faults: &mut Faults) -> Target {
    if is_cluster_meant {
        return Target::Pods { cluster: flags.in_cluster.target(faults), names: flags.pods.clone() };
    }
    if flags.urls.is_empty() {
        return Target::Hosts(Endpoint::local("localhost"));
    }
    Target::Hosts(flags.urls.iter().filter_map(|url| faults.keep(Endpoint::parse(url))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Plan, Refusal> {
        let words = std::iter::once("twin_top").chain(arguments.split_whitespace());
        parse(words.map(OsString::from))
    }

    fn faults(arguments: &str) -> usize {
        match parsed(arguments) {
            Err(Refusal::Values(faults)) => faults.len(),
            Err(Refusal::Flags(error)) => panic!("{error}"),
            Ok(_) => 0,
        }
    }

    fn hosts(arguments: &str) -> Vec<String> {
        match parsed(arguments) {
            Ok(Plan { target: Target::Hosts(endpoints), .. }) => {
                endpoints.iter().map(|endpoint| format!("{}{}", endpoint.place, endpoint.path)).collect()
            }
            _ => panic!("no hosts"),
        }
    }

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn this_host_is_asked_unless_another_is_named() {
        let local = [8000, 8001, 8002, 8003].map(|port| format!("localhost:{port}/metrics"));
        assert_eq!(hosts("--once"), local);
        assert_eq!(hosts("http://a:1 https://b/m"), ["a:1/metrics", "b:443/m"]);
    }

    #[test]
    fn a_flag_of_the_cluster_means_pods() {
        for flags in ["--cluster", "--pod=core", "--robot r1", "--namespace n", "--release r", "--kubeconfig f"] {
            assert!(matches!(parsed(flags), Ok(Plan { target: Target::Pods { .. }, .. })), "{flags}");
        }
        let Ok(Plan { target: Target::Pods { cluster, names }, .. }) = parsed("--pod a,b --robot r1") else {
            panic!("no pods")
        };
        assert_eq!((cluster.namespace.as_str(), names), ("digital-twin-system", vec!["a".into(), "b".into()]));
        assert_eq!(cluster.selector, "app.kubernetes.io/instance=digital-twin,digital-twin/robot=r1");
    }

    #[test]
    fn json_is_once() {
        for (flags, output) in [("", Output::Screen), ("--once", Output::Table), ("--once --json", Output::Json)] {
            assert_eq!(parsed(flags).map(|plan| plan.output).unwrap(), output);
        }
    }

    #[test]
    fn all_faults_of_values_are_told() {
        assert_eq!(faults("ftp://a nowhere --interval 0.01 --timeout 0 --ca-file /none"), 5);
        assert_eq!(faults("--robot=-r --namespace A --interval 1e9"), 3);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for bad in ["http://a --cluster", "http://a --robot r", "http://a --pod p", "--username u", "--view none", "-x"]
        {
            assert!(matches!(parsed(bad), Err(Refusal::Flags(_))), "{bad}");
        }
    }
}
