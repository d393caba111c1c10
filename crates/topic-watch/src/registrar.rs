//! How families of metrics come into a registry, and how their series go.

use std::fmt::Debug;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result,
};

/// Registers families that have labels in common: those come before the ones that a family has beside them. Each function
/// fails when a family of this name is registered already.
#[derive(Clone, Copy)]
pub struct Registrar<'a> {
    registry: &'a Registry,
    labels: &'a [&'a str],
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "all of these are alike, and told of above")]
impl<'a> Registrar<'a> {
    pub fn new(registry: &'a Registry, labels: &'a [&'a str]) -> Self {
        Self { registry, labels }
    }

    pub fn counter(&self, name: &str, help: &str, more: &[&str]) -> Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), &self.labels(more))?)
    }

    /// A counter of what is no whole number, as seconds are.
    pub fn fractional_counter(&self, name: &str, help: &str, more: &[&str]) -> Result<CounterVec> {
        self.add(CounterVec::new(Opts::new(name, help), &self.labels(more))?)
    }

    pub fn gauge(&self, name: &str, help: &str, more: &[&str]) -> Result<GaugeVec> {
        self.add(GaugeVec::new(Opts::new(name, help), &self.labels(more))?)
    }

    /// A gauge of whole numbers: of states, of how many there are.
    pub fn integer_gauge(&self, name: &str, help: &str, more: &[&str]) -> Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), &self.labels(more))?)
    }

    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<HistogramVec> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), self.labels)?)
    }

    /// The labels in common and these.
    pub fn labels<'b>(&self, more: &[&'b str]) -> Vec<&'b str>
    where
        'a: 'b,
    {
        [self.labels, more].concat()
    }

    /// Registers a family of another kind.
    pub fn add<F: Collector + Clone + 'static>(&self, family: F) -> Result<F> {
        self.registry.register(Box::new(family.clone())).map(|()| family)
    }
}

/// A family whose series can go.
pub trait Forget {
    /// Takes away the series with the values of these labels, if it is there.
    fn forget<V: AsRef<str> + Debug>(&self, labels: &[V]);
}

impl<B: MetricVecBuilder> Forget for MetricVec<B> {
    fn forget<V: AsRef<str> + Debug>(&self, labels: &[V]) {
        // The result says no more than whether it was there.
        drop(self.remove_label_values(labels));
    }
}
