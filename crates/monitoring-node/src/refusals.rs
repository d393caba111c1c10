//! What is left out because there is too much of it.

use std::collections::BTreeSet;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};
use topic_watch::Registrar;

/// Of one kind of things, by domain.
pub(crate) struct RefusalFamilies {
    /// How many were ever left out.
    refused: IntCounterVec,
    /// How many are left out now.
    left_out: IntGaugeVec,
}

impl RefusalFamilies {
    /// `things` are as in the names of their other families; `help` says of both what is not done with them and why.
    pub(crate) fn register(registry: &Registry, things: &str, help: &str) -> Result<Self> {
        let of_domain = Registrar::new(registry, &["domain"]);
        Ok(Self {
            refused: of_domain.counter(&format!("{things}_refused_total"), help, &[])?,
            left_out: of_domain.integer_gauge(&format!("{things}_left_out"), &format!("{help} Those of now."), &[])?,
        })
    }
}

/// Things of one kind in one domain that are left out, by name: each is counted once for as long as it lasts, and the first
/// is told of in the log. Whoever invents names without end fills no memory: what is not there any more is let go.
pub(crate) struct Refusals {
    names: BTreeSet<String>,
    counter: IntCounter,
    gauge: IntGauge,
    /// What the log says.
    told: String,
}

impl Refusals {
    /// Tells the families of those of a domain, from now on; the log says `told`.
    pub(crate) fn new(families: &RefusalFamilies, domain: &str, told: impl Into<String>) -> Self {
        Self {
            names: BTreeSet::new(),
            counter: families.refused.with_label_values(&[domain]),
            gauge: families.left_out.with_label_values(&[domain]),
            told: told.into(),
        }
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
        self.tell_how_many();
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
        self.tell_how_many();
    }

    /// Lets go of one that is not left out any more.
    pub(crate) fn admit(&mut self, name: &str) {
        self.names.remove(name);
        self.tell_how_many();
    }

    fn tell_how_many(&self) {
        self.gauge.set(self.names.len() as i64);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_once_for_as_long_as_it_lasts() {
        let families = RefusalFamilies::register(&Registry::new(), "things", "Help.").expect("legal families");
        let mut refusals = Refusals::new(&families, "0", "left out");
        let told =
            || (families.refused.with_label_values(&["0"]).get(), families.left_out.with_label_values(&["0"]).get());
        let mut told_after = |names: &[&str]| {
            refusals.refuse_only(&names.iter().map(|name| (*name).to_owned()).collect());
            told()
        };
        let after = [told_after(&["/a", "/b"]), told_after(&["/b"]), told_after(&["/a", "/b"])];
        assert_eq!(after, [(2, 2), (2, 1), (3, 2)]);
        refusals.admit("/b");
        assert_eq!([refusals.contains("/a"), refusals.contains("/b")], [true, false]);
        assert_eq!(told(), (3, 1));
    }
}
