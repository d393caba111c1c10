//! What is tried over and over, and told of only when there is something new to tell.

/// A warning of something that is tried at every reading of the graph: given once, and again for another reason.
#[derive(Default)]
pub(crate) struct Warning {
    reason: Option<String>,
}

impl Warning {
    /// Says that a topic's `what` is not to be had.
    pub(crate) fn give(&mut self, what: &str, topic: &str, reason: &impl ToString) {
        if self.is_news(reason.to_string()) {
            tracing::warn!(topic, error = self.reason, "{what} are not followed");
        }
    }

    /// Forgets the reason: it works now.
    pub(crate) fn clear(&mut self) {
        self.reason = None;
    }

    fn is_news(&mut self, reason: String) -> bool {
        let reason = Some(reason);
        let is_news = self.reason != reason;
        self.reason = reason;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_when_it_is_another_than_before() {
        let mut warning = Warning::default();
        let mut is_news = |reason: &str| warning.is_news(reason.to_owned());
        assert_eq!(["a", "a", "b", "b", "a"].map(&mut is_news), [true, false, true, false, true]);
        warning.clear();
        assert!(warning.is_news("a".to_owned()));
    }
}
