//! The order in which a node starts: arguments, ROS arguments, log, parameters and files, and only then endpoints and
//! listeners.

use std::ffi::OsString;
use std::io::Write;
use std::iter;
use std::process::ExitCode;

use ros_observer::{Context, Node};

use crate::arguments::{Arguments, Format, NodeInfo};
use crate::deadline::NodeNeeded;
use crate::serve::WebSettings;
use crate::{Declaration, Failure, Parameters, discovery_servers, telemetry};

/// A node that is configured and has joined the graph.
pub struct Startup {
    /// What the node says of itself.
    pub info: NodeInfo,
    /// The web server's flags and file, checked.
    pub(crate) web: WebSettings,
    /// Goes before the node.
    pub(crate) _needed: NodeNeeded,
    /// The node.
    pub node: Node,
    /// Its parameters, checked.
    pub parameters: Parameters,
}

/// Runs a node from its command line to its exit code: 0 when asked to stop, 64 for bad usage or configuration, 1 for
/// anything else.
pub fn run(
    info: &NodeInfo,
    declarations: Vec<Declaration>,
    node: impl FnOnce(Startup) -> Result<(), Failure>,
) -> ExitCode {
    let arguments: Vec<String> = match std::env::args_os().map(OsString::into_string).collect() {
        Ok(arguments) => arguments,
        Err(argument) => {
            let failure = Failure::Configuration(vec![format!("argument {argument:?} is not UTF-8")]);
            return report(info, &failure, Format::Text);
        }
    };
    let arguments = match Arguments::parse(info, &declarations, arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let log = arguments.log;
    match start(info, declarations, arguments).and_then(node) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Too early a failure finds no log yet.
            telemetry::init(log, None);
            report(info, &failure, log.format)
        }
    }
}

/// Tells why the node ends: plainly to a person, as events of the log to a program.
fn report(info: &NodeInfo, failure: &Failure, format: Format) -> ExitCode {
    match format {
        // Where nobody reads it, the exit code has to do.
        Format::Text => drop(writeln!(std::io::stderr(), "{}", prefixed(info.name, failure))),
        Format::Json => failure.to_string().lines().for_each(|line| tracing::error!(node = info.name, "{line}")),
    }
    failure.exit_code()
}

fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.use_stderr(), printed) {
        (false, Ok(())) => ExitCode::SUCCESS,
        (true, _) => Failure::Configuration(Vec::new()).exit_code(),
        (false, Err(_)) => ExitCode::FAILURE,
    }
}

/// Each line begins with the node's name, so that it can be told in the log of a launch.
fn prefixed(name: &str, failure: &Failure) -> String {
    failure.to_string().lines().map(|line| format!("{name}: {line}")).collect::<Vec<_>>().join("\n")
}

fn start(info: &NodeInfo, declarations: Vec<Declaration>, arguments: Arguments) -> Result<Startup, Failure> {
    let context = Context::new(&arguments.ros, None).map_err(|error| {
        // Of parameters that ROS has not read nothing can be told.
        let web = WebSettings::check(&arguments.web).err().into_iter().flatten();
        Failure::Configuration(iter::once(error.to_string()).chain(web).collect())
    })?;
    telemetry::init(arguments.log, context.log_level());
    discovery_servers::check()?;
    // Only the node knows its name after remapping, by which parameter files address it.
    let node = Node::new(&context, info.name, "/")?;
    let needed = NodeNeeded;
    let name = node.fully_qualified_name();
    let overrides = context.parameter_overrides(&name)?;
    let given = overrides.values.len();
    if given == 0 && !overrides.other_nodes.is_empty() {
        let others = overrides.other_nodes.join(" ");
        tracing::warn!(node = name, others, "the parameters that were given are for nodes of other names");
    }
    match (Parameters::load(declarations, overrides.values), WebSettings::check(&arguments.web)) {
        (Ok(parameters), Ok(web)) => {
            tracing::info!(node = name, domain = context.domain_id(), parameters_given = given, "configured");
            Ok(Startup { info: *info, web, _needed: needed, node, parameters })
        }
        (parameters, web) => {
            let faults = parameters.err().into_iter().chain(web.err()).flatten();
            Err(Failure::Configuration(faults.collect()))
        }
    }
}
