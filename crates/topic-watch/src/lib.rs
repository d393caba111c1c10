//! What can be told of a topic without knowing what its messages mean: that they arrive, how far apart, how late and
//! how old, which are missing, and why there are none.
//!
//! Every family of metrics that is about a topic has its name, help and buckets here and nowhere else, so that all nodes
//! say the same thing by the same name.
//!
//! Invariant: [`Arrivals`] takes no lock, allocates nothing and waits for nobody. Not for: making subscriptions, reading messages,
//! deciding what is expected of a topic.

mod arrivals;
mod followed;
mod metrics;
mod open_family;
mod progress;
mod publishers;
mod registrar;
mod rejections;
mod status;
mod unserving;

pub use arrivals::{Arrival, Arrivals, NEVER};
pub use followed::{FollowedTopic, TopicView};
pub use metrics::{Families, TopicMetrics};
pub use open_family::OpenFamily;
pub use progress::Progress;
pub use publishers::{Cause, Mismatch, Publishers, STATUSES};
pub use registrar::{Forget, Registrar};
pub use rejections::Rejections;
pub use status::TopicStatus;
pub use unserving::Unserving;
