//! `synchronization_node`: mirrors a robot into its twin and measures how far they diverge, and how late.

mod command_output;
mod deadline;
mod description;
mod diagnostics;
mod forwarding;
mod gauges;
mod heard;
mod inputs;
mod intake;
mod known;
mod node;
mod outputs;
mod parameters;
mod report;
mod requests;
mod selection;
mod shown;
mod tables;
mod tick_metrics;
mod ticker;
mod topics;
mod transitions;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    node_runtime::run(&parameters::NODE, parameters::declarations(), node::run)
}
