//! What is left out because there is too much of it.

use std::collections::BTreeSet;

use prometheus::{IntCounter, IntCounterVec};

/// Things of one kind in one domain that are left out, by name: each is counted once for as long as it lasts, and the first
/// is told of in the log. Whoever invents names without end fills no memory: what is not there any more is let go.
pub(crate) struct Refusals {
    names: BTreeSet<String>,
    counter: IntCounter,
    /// What the log says.
    told: String,
}

impl Refusals {
    /// Counts into the family, by the label domain, from now on; the log says `told`.
    pub(crate) fn new(family: &IntCounterVec, domain: &str, told: impl Into<String>) -> Self {
        Self { names: BTreeSet::new(), counter: family.with_label_values(&[domain]), told: told.into() }
    }

    pub(crate) fn refuse(&mut self, name: &str) {
        if self.names.contains(name) {
            return;
        }
        if self.names.is_empty() {
            tracing::warn!(name, "{}", self.told);
        }
        self.names.insert(name.to_owned());
        self.counter.inc();
    }

    /// These and no others are left out.
    pub(crate) fn refuse_only(&mut self, names: &BTreeSet<String>) {
        // The first is told of anew only where none was left out before.
        names.iter().for_each(|name| self.refuse(name));
        self.keep(|name| names.contains(name));
    }

    /// Lets go of those that are not there any more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.names.retain(|name| is_there(name));
    }

    /// Lets go of one that is not left out any more.
    pub(crate) fn admit(&mut self, name: &str) {
        self.names.remove(name);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    #[test]
    fn each_is_counted_once_for_as_long_as_it_lasts() {
        let family = IntCounterVec::new(Opts::new("refused_total", "Help."), &["domain"]).expect("a legal family");
        let mut refusals = Refusals::new(&family, "0", "left out");
        let mut count_after = |names: &[&str]| {
            refusals.refuse_only(&names.iter().map(|name| (*name).to_owned()).collect());
            family.with_label_values(&["0"]).get()
        };
        assert_eq!([count_after(&["/a", "/b"]), count_after(&["/b"]), count_after(&["/a", "/b"])], [2, 2, 3]);
        refusals.admit("/b");
        assert_eq!([refusals.contains("/a"), refusals.contains("/b")], [true, false]);
    }
}
