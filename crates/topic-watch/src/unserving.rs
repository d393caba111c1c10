//! Publishers that do not serve a subscription, where nothing else is to be known of its publishers: a description has to
//! be latched, say, and is not.

use ros_observer::{Error, QosPolicy, Subscription};

/// How many of them are known.
#[derive(Debug, Default)]
pub struct Unserving {
    known: u64,
}

impl Unserving {
    /// How many were found since the last time, and why the last of them does not serve, in words.
    ///
    /// # Errors
    /// When the middleware does not tell of them.
    pub fn found(&mut self, subscription: &Subscription) -> Result<(u64, String), Error> {
        let events = subscription.qos_events()?;
        let policy = events.last_policy.map_or("another policy", QosPolicy::name);
        let found = events.incompatible.saturating_sub(self.known);
        self.known = events.incompatible;
        Ok((found, format!("a publisher does not serve this node, by its {policy}")))
    }
}
