//! A family of metrics whose labels others fill in freely.
//!
//! The vectors of the crate prometheus find a series by a hash of the values of its labels one right after the other, and
//! compare nothing: `("motor1", "2")` and `("motor", "12")` are one series there. Whoever may choose two labels that follow
//! each other could so hide what somebody else tells. Here a series is found by the values themselves.
//!
//! Not for the hot path: there is a lock, and a look-up for every value.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::Result;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A family of gauges or counters. Cheap to clone; clones share the series.
#[derive(Clone)]
pub(crate) struct OpenFamily {
    desc: Desc,
    metric_type: MetricType,
    series: Arc<Mutex<Series>>,
}

/// The values, by those of the labels in the order of their names in the description.
type Series = BTreeMap<Vec<String>, f64>;

impl OpenFamily {
    pub(crate) fn gauge(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(name, help, labels, MetricType::GAUGE)
    }

    pub(crate) fn counter(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(name, help, labels, MetricType::COUNTER)
    }

    fn new(name: &str, help: &str, labels: &[&str], metric_type: MetricType) -> Result<Self> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?;
        Ok(Self { desc, metric_type, series: Arc::default() })
    }

    /// Sets the series of these labels; from now on it shows.
    pub(crate) fn set<V: AsRef<str>>(&self, labels: &[V], value: f64) {
        self.series().insert(self.key(labels), value);
    }

    /// Adds to the series of these labels; from now on it shows.
    pub(crate) fn add<V: AsRef<str>>(&self, labels: &[V], more: f64) {
        *self.series().entry(self.key(labels)).or_default() += more;
    }

    /// Takes away the series of these labels, if it is there.
    pub(crate) fn forget<V: AsRef<str>>(&self, labels: &[V]) {
        self.series().remove(&self.key(labels));
    }

    fn key<V: AsRef<str>>(&self, labels: &[V]) -> Vec<String> {
        debug_assert_eq!(labels.len(), self.desc.variable_labels.len(), "{}", self.desc.fq_name);
        labels.iter().map(|label| label.as_ref().to_owned()).collect()
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metric(&self, labels: &[String], value: f64) -> Metric {
        let mut pairs: Vec<_> = self.desc.variable_labels.iter().zip(labels).map(pair).collect();
        // As in all other families.
        pairs.sort_by(|a, b| a.name().cmp(b.name()));
        let mut metric = Metric::from_label(pairs);
        if self.metric_type == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    }
}

impl Collector for OpenFamily {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(self.metric_type);
        family.set_metric(self.series().iter().map(|(labels, value)| self.metric(labels, *value)).collect());
        vec![family]
    }
}

fn pair((name, value): (&String, &String)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.clone());
    pair.set_value(value.clone());
    pair
}

#[cfg(test)]
mod tests {
    use exposition::encode_registry;
    use prometheus::Registry;

    use super::*;
    use crate::metrics::registered;

    fn text(registry: &Registry) -> String {
        let mut out = Vec::new();
        encode_registry(registry, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn labels_that_run_together_alike_are_series_of_their_own() {
        let registry = Registry::new();
        let family = OpenFamily::gauge("level", "Help.", &["name", "hardware_id"]).expect("a legal family");
        let family = registered(&registry, family).expect("a new name");
        family.set(&["motor1", "2"], 1.0);
        family.set(&["motor", "12"], 2.5);
        assert_eq!(
            text(&registry),
            "# HELP level Help.\n# TYPE level gauge\nlevel{hardware_id=\"12\",name=\"motor\"} 2.5\n\
             level{hardware_id=\"2\",name=\"motor1\"} 1\n"
        );
        family.forget(&["motor1", "2"]);
        family.forget(&["never", "there"]);
        assert!(text(&registry).ends_with("gauge\nlevel{hardware_id=\"12\",name=\"motor\"} 2.5\n"));
        family.forget(&["motor", "12"]);
        assert_eq!(text(&registry), "", "a family without series");
    }

    #[test]
    fn a_counter_shows_from_the_first_time_on() {
        let registry = Registry::new();
        let family = OpenFamily::counter("words_total", "Help.", &["topic_name", "node_name"]).expect("a legal family");
        let family = registered(&registry, family).expect("a new name");
        family.add(&["/camera", "/left/driver"], 0.0);
        family.add(&["/camera/left", "/driver"], 3.0);
        family.add(&["/camera/left", "/driver"], 4.0);
        assert_eq!(
            text(&registry),
            "# HELP words_total Help.\n# TYPE words_total counter\n\
             words_total{node_name=\"/driver\",topic_name=\"/camera/left\"} 7\n\
             words_total{node_name=\"/left/driver\",topic_name=\"/camera\"} 0\n"
        );
    }
}
