//! `monitoring_node`: every topic and node of a ROS graph as Prometheus metrics and as diagnostics, with the reason when
//! data is missing.

mod arrival_count;
mod diagnostic_array;
mod diagnostics;
mod expectation;
mod foreign_diagnostics;
mod gpu;
mod host;
mod intake;
mod joints;
mod live;
mod losses;
mod metrics;
mod node;
mod nodes;
mod parameters;
mod processes;
mod publisher_counts;
mod publishers;
mod refusals;
mod robot_pattern;
mod services;
mod topic;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    node_runtime::run(&parameters::NODE, parameters::declarations(), node::run)
}
