//! `unity_bridge_node`: the ROS-TCP endpoint that Unity's ROS-TCP-Connector speaks to.

mod accept;
mod access;
mod blocking;
mod bridge;
mod budget;
mod called_service;
mod client;
mod connection;
mod deadlines;
mod faults;
mod followed_topic;
mod lock;
mod metrics;
mod node;
mod offered_service;
mod outbox;
mod outgoing_call;
mod parameters;
mod rate;
mod registrations;
mod subscription_qos;
mod tables;
mod teller;
mod tls;
mod topic_queue;
mod writer;

use std::process::ExitCode;

fn main() -> ExitCode {
    node_runtime::run(&parameters::NODE, parameters::declarations(), node::run)
}
