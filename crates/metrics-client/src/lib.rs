//! The metrics pages of the nodes, for programs that look at them: where they are (hosts, or pods of a cluster), the way
//! there, and what stands in them.
//!
//! Every question is bounded in time and every answer in size, and who cannot be asked is told with why. What a page means is
//! for those who ask.

mod access;
mod client;
mod cluster;
mod endpoint;
pub mod flags;
mod page;
mod place;
mod samples;
mod status;
mod text;

pub use access::Access;
pub use client::{Answer, Client, Fault};
pub use cluster::{Cluster, ClusterTarget, Unreachable, explain, port_number};
pub use endpoint::Endpoint;
pub use page::{Node, NotOurs, Page};
pub use place::Place;
pub use samples::{Sample, Samples};
pub use status::Status;
pub use text::one_line;
