//! The flags that these programs share, and how faults in them are told: all at once, before anything is asked.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hyper::header::HeaderValue;

use crate::access::{self, Access};
use crate::cluster::ClusterTarget;

/// Of usage: as all programs of this package.
const EXIT_USAGE: u8 = 64;

/// More seconds than anybody waits for.
const SECONDS_MAX: f64 = 86_400.0;

/// Which pods, in which cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "In a cluster")]
pub struct ClusterFlags {
    /// Kubernetes namespace of the release
    #[arg(long, value_name = "NAME", default_value = "digital-twin-system")]
    namespace: String,
    /// Helm release
    #[arg(long, value_name = "NAME", default_value = "digital-twin")]
    release: String,
    /// One robot of the release alone
    #[arg(long, value_name = "NAME")]
    robot: Option<String>,
    /// Context of the kubeconfig; unless given, its current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Unless given, that of KUBECONFIG, ~/.kube/config, or the pod's own account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl ClusterFlags {
    /// What is meant by them.
    pub fn target(&self, faults: &mut Faults) -> ClusterTarget {
        let Self { namespace, release, robot, context, kubeconfig } = self;
        let names = [("--namespace", Some(namespace)), ("--release", Some(release)), ("--robot", robot.as_ref())];
        for (flag, name) in names {
            if let Some(name) = name.filter(|name| !is_name(name)) {
                faults.push(format!("{flag} {name:?} is no name: a-z, 0-9 and '-' between them"));
            }
        }
        let mut selector = format!("app.kubernetes.io/instance={release}");
        if let Some(robot) = robot {
            selector += &format!(",digital-twin/robot={robot}");
        }
        ClusterTarget {
            kubeconfig: kubeconfig.clone(),
            context: context.clone(),
            namespace: namespace.clone(),
            selector,
        }
    }
}

/// By what the nodes are believed, and what they are told of us.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessFlags {
    /// Certificates of the authority that is believed; unless given, those of the system
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// User of the nodes' pages
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// File with the password in its first line
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
}

impl AccessFlags {
    /// What they name, read.
    pub fn access(&self, faults: &mut Faults) -> Option<Access> {
        let tls = faults.keep(access::trust(self.ca_file.as_deref()));
        let authorization = login(self.username.as_deref(), self.password_file.as_deref(), faults);
        tls.map(|tls| Access { tls, authorization })
    }
}

/// The header for a user, where there is one.
pub fn login(user: Option<&str>, password_file: Option<&Path>, faults: &mut Faults) -> Option<HeaderValue> {
    faults.keep(access::login(user?, password_file?))
}

/// A number of seconds, from `least` to a day.
///
/// # Errors
/// That it is none.
pub fn seconds(flag: &str, text: &str, least: f64) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (least..=SECONDS_MAX).contains(seconds));
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let from = if least < 1e-3 { "above 0" } else { &format!("from {least}") };
    duration.ok_or_else(|| format!("{flag} {text} is no number of seconds, or not one {from} to a day"))
}

/// Whether Kubernetes takes it for a name, RFC 1123.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(is_inside) && !text.starts_with('-') && !text.ends_with('-')
}

/// What is wrong with the values of flags.
#[derive(Debug, Default)]
pub struct Faults(Vec<String>);

impl Faults {
    /// One more.
    pub fn push(&mut self, fault: String) {
        self.0.push(fault);
    }

    /// The value, or none, with the fault kept.
    pub fn keep<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|fault| self.0.push(fault)).ok()
    }

    /// The plan that was made of the flags, if there were no faults.
    ///
    /// # Errors
    /// All faults.
    pub fn unless_any<T>(self, plan: Option<T>) -> Result<T, Refusal> {
        match plan {
            Some(plan) if self.0.is_empty() => Ok(plan),
            _ => Err(Refusal::Values(self.0)),
        }
    }
}

/// Why nothing is looked at.
#[derive(Debug)]
pub enum Refusal {
    /// clap's, which also stands for `--help` and `--version`.
    Flags(clap::Error),
    /// What is wrong with the values, all of it.
    Values(Vec<String>),
}

impl Refusal {
    /// Writes it, and returns what to end with.
    #[must_use]
    pub fn tell(&self) -> ExitCode {
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
