//! The command line: Prometheus's flags for the process, everything after `--ros-args` for ROS.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::Declaration;

/// What a node says of itself.
#[derive(Debug, Clone, Copy)]
pub struct NodeInfo {
    /// Name of the node and of its executable.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Where it listens unless told otherwise.
    pub listen_address: &'static str,
}

/// The flags of a node, checked, and the arguments that go to ROS.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The web server's flags.
    pub(crate) web: WebFlags,
    /// The log's flags.
    pub(crate) log: LogFlags,
    /// The whole command line as rcl wants it: it takes what stands after `--ros-args`.
    pub(crate) ros: Vec<String>,
}

/// Flags of the web server, named as in Prometheus's exporter-toolkit.
#[derive(Debug, Clone, Args)]
pub(crate) struct WebFlags {
    /// Address to listen on; may be given several times; `:8000` means every interface
    #[arg(long = "web.listen-address", value_name = "HOST:PORT")]
    pub(crate) listen_addresses: Vec<String>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub(crate) telemetry_path: String,
    /// File with TLS, users and headers, in the format of Prometheus's exporter-toolkit
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Requests served at the same time; more are refused with 503; 0 means no limit
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    pub(crate) max_requests: usize,
    /// Clients that may follow a live page at the same time, where the node has one; more are refused with 503; 0 means no such page
    #[arg(long = "web.live-clients", value_name = "N", default_value_t = 8)]
    pub(crate) live_clients: usize,
    /// Where the landing page of a node without one finds a live page: a URL, or a port of this host; empty for none
    #[arg(long = "web.live-url", value_name = "URL", default_value = ":8002/live")]
    pub(crate) live_url: String,
}

/// Flags of the log, which goes to standard error.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogFlags {
    /// Least severity that is logged; unless given, that of `--ros-args --log-level`, else info
    #[arg(long = "log.level", value_name = "LEVEL")]
    pub(crate) level: Option<Level>,
    /// Form of a log line
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Parser)]
#[command(disable_help_subcommand = true)]
struct Flags {
    #[command(flatten)]
    web: WebFlags,
    #[command(flatten)]
    log: LogFlags,
}

impl Arguments {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// clap's, which also stand for `--help` and `--version`.
    pub(crate) fn parse(
        info: &NodeInfo,
        parameters: &[Declaration],
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, clap::Error> {
        let all: Vec<String> = arguments.into_iter().collect();
        let matches = command(info, parameters).try_get_matches_from(without_ros_arguments(&all))?;
        let flags = Flags::from_arg_matches(&matches)?;
        Ok(Self { web: flags.web, log: flags.log, ros: all })
    }
}

fn command(info: &NodeInfo, parameters: &[Declaration]) -> clap::Command {
    Flags::command()
        .name(info.name)
        .about(info.about)
        .version(concat!(env!("CARGO_PKG_VERSION")))
        .after_help(format!(
            "Arguments after --ros-args go to ROS: -p NAME:=VALUE, --params-file FILE, -r FROM:=TO, …\n\n\
             Parameters:\n{}",
            parameters.iter().map(Declaration::help).collect::<String>().trim_end()
        ))
        .mut_arg("listen_addresses", |argument| argument.default_value(info.listen_address))
}

/// What stands before `--ros-args` and after the `--` that ends them, any number of times, as rcl reads it.
fn without_ros_arguments(all: &[String]) -> Vec<&str> {
    let mut for_ros = false;
    let mut own = Vec::new();
    for argument in all {
        match (argument.as_str(), for_ros) {
            ("--ros-args", _) => for_ros = true,
            ("--", true) => for_ros = false,
            (argument, false) => own.push(argument),
            (_, true) => {}
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: NodeInfo = NodeInfo { name: "a_node", about: "A node.", listen_address: "0.0.0.0:8000" };

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::parse(&INFO, &[], line.split(' ').map(str::to_owned))
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let arguments = parse("a_node").unwrap();
        assert_eq!(arguments.web.listen_addresses, ["0.0.0.0:8000"]);
        assert_eq!(arguments.web.telemetry_path, "/metrics");
        assert_eq!(arguments.web.max_requests, 40);
        assert_eq!((arguments.web.live_clients, &*arguments.web.live_url), (8, ":8002/live"));
        assert_eq!((arguments.log.level, arguments.log.format), (None, Format::Text));
    }

    #[test]
    fn ros_arguments_are_hidden_from_the_flags_and_kept_for_ros() {
        let line = "a_node --log.level debug --ros-args -p x:=1 -- --web.max-requests 2 --ros-args -r __ns:=/a";
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.log.level, Some(Level::Debug));
        assert_eq!(arguments.web.max_requests, 2);
        assert_eq!(arguments.ros.join(" "), line);
    }

    #[test]
    fn listen_addresses_add_up_and_replace_the_default() {
        let arguments = parse("a_node --web.listen-address :1 --web.listen-address [::1]:2").unwrap();
        assert_eq!(arguments.web.listen_addresses, [":1", "[::1]:2"]);
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert!(parse("a_node --web.listen-adress :1").is_err());
        assert!(parse("a_node stray").is_err());
    }
}
