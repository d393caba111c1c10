//! What the two programs of the benchmark share: the message, the pace, signals and the cost of a process.
//!
//! Invariant: nothing here allocates or computes per message more than it must, so that a measurement shows the
//! receiver's limit and not the load's. Not for: anything that a node ships with.

pub mod cost;
pub mod message;
pub mod pace;
pub mod signals;

/// Reliability offered or requested, as the command lines spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Reliability {
    Reliable,
    BestEffort,
}
