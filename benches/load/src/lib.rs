//! What the programs of the benchmark share: messages, a load as it runs, its pace, what times say, signals
//! and the cost of a process.
//!
//! Invariant: nothing here allocates or computes per message more than it must, so that a measurement shows the
//! receiver's limit and not the load's. Not for: anything that a node ships with.

pub mod cost;
pub mod message;
pub mod pace;
pub mod percentiles;
pub mod publishing;
pub mod signals;

use r2r::QosProfile;

/// Reliability offered or requested, as the command lines spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Reliability {
    Reliable,
    BestEffort,
}

impl Reliability {
    /// The QoS that this and a history depth make.
    pub fn profile(self, depth: usize) -> QosProfile {
        let profile = QosProfile::default().keep_last(depth);
        match self {
            Self::Reliable => profile.reliable(),
            Self::BestEffort => profile.best_effort(),
        }
    }
}
