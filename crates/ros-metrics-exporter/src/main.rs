//! `ros_metrics_exporter`: sensor_msgs/JointState topics as Prometheus metrics.

mod intake;
mod joint_series;
mod metrics;
mod node;
mod parameters;
mod topic;

use std::process::ExitCode;

fn main() -> ExitCode {
    node_runtime::run(&parameters::NODE, parameters::declarations(), node::run)
}
