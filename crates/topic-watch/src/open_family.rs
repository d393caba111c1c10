//! A family of metrics whose labels others fill in freely.
//!
//! The vectors of the crate prometheus find a series by a hash of the values of its labels one right after the other, and
//! compare nothing: `("motor1", "2")` and `("motor", "12")` are one series there. Whoever may choose two labels that follow
//! each other could so hide what somebody else tells. Here a series is found by the values themselves.
//!
//! Not for the hot path: there is a lock, and a look-up for every value. Only a series that is new allocates.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::Result;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A family of gauges or counters. Cheap to clone; clones share the series.
#[derive(Clone)]
pub struct OpenFamily {
    desc: Desc,
    metric_type: MetricType,
    known: Arc<Mutex<Known>>,
}

/// The series, by the values of their labels, each with its length before it: so no two lists of values read alike.
#[derive(Default)]
struct Known {
    series: HashMap<String, Series>,
    /// Kept for the key of the series that is looked for.
    key: String,
}

struct Series {
    /// In the order of their names in the description.
    labels: Vec<String>,
    value: f64,
}

impl Known {
    fn write_key<V: AsRef<str>>(&mut self, labels: &[V]) {
        self.key.clear();
        for label in labels {
            let label = label.as_ref();
            // To write into a string does not fail.
            let _ = write!(self.key, "{}:{label}", label.len());
        }
    }

    /// The value of a series, which is there from now on.
    fn value<V: AsRef<str>>(&mut self, labels: &[V]) -> &mut f64 {
        self.write_key(labels);
        if !self.series.contains_key(&self.key) {
            let labels = labels.iter().map(|label| label.as_ref().to_owned()).collect();
            self.series.insert(self.key.clone(), Series { labels, value: 0.0 });
        }
        &mut self.series.get_mut(&self.key).expect("it is there now").value
    }
}

impl OpenFamily {
    /// A family of gauges with these labels.
    ///
    /// # Errors
    /// When a name is not legal.
    pub fn gauge(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(name, help, labels, MetricType::GAUGE)
    }

    /// A family of counters with these labels.
    ///
    /// # Errors
    /// When a name is not legal.
    pub fn counter(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(name, help, labels, MetricType::COUNTER)
    }

    fn new(name: &str, help: &str, labels: &[&str], metric_type: MetricType) -> Result<Self> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?;
        Ok(Self { desc, metric_type, known: Arc::default() })
    }

    /// Sets the series of these labels; from now on it shows.
    pub fn set<V: AsRef<str>>(&self, labels: &[V], value: f64) {
        *self.known(labels).value(labels) = value;
    }

    /// Adds to the series of these labels; from now on it shows.
    pub fn add<V: AsRef<str>>(&self, labels: &[V], more: f64) {
        *self.known(labels).value(labels) += more;
    }

    /// Brings the series of these labels up to what was counted elsewhere; from now on it shows.
    pub fn raise_to<V: AsRef<str>>(&self, labels: &[V], total: f64) {
        let mut known = self.known(labels);
        let value = known.value(labels);
        *value = value.max(total);
    }

    /// Takes away the series of these labels, if it is there.
    pub fn forget<V: AsRef<str>>(&self, labels: &[V]) {
        let mut known = self.known(labels);
        known.write_key(labels);
        let Known { series, key } = &mut *known;
        series.remove(key);
    }

    /// Sets these series, by the values of their labels, and takes away all others.
    pub fn replace(&self, series: impl IntoIterator<Item = (Vec<String>, f64)>) {
        let mut known = self.lock();
        known.series.clear();
        for (labels, value) in series {
            *known.value(&labels) = value;
        }
    }

    /// To look for a series of these labels.
    fn known<V>(&self, labels: &[V]) -> MutexGuard<'_, Known> {
        debug_assert_eq!(labels.len(), self.desc.variable_labels.len(), "{}", self.desc.fq_name);
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
        family.set_metric(self.lock().series.values().map(|one| self.metric(&one.labels, one.value)).collect());
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
    use crate::Registrar;

    fn text(registry: &Registry) -> String {
        let mut out = Vec::new();
        encode_registry(registry, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn labels_that_run_together_alike_are_series_of_their_own() {
        let registry = Registry::new();
        let family = OpenFamily::gauge("level", "Help.", &["name", "hardware_id"]).expect("a legal family");
        let family = Registrar::new(&registry, &[]).add(family).expect("a new name");
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
        let family = Registrar::new(&registry, &[]).add(family).expect("a new name");
        family.add(&["/camera", "/left/driver"], 0.0);
        family.add(&["/camera/left", "/driver"], 3.0);
        family.add(&["/camera/left", "/driver"], 4.0);
        for total in [8.0, 8.0, 5.0] {
            family.raise_to(&["/camera/left", "/driver"], total);
        }
        assert_eq!(
            text(&registry),
            "# HELP words_total Help.\n# TYPE words_total counter\n\
             words_total{node_name=\"/driver\",topic_name=\"/camera/left\"} 8\n\
             words_total{node_name=\"/left/driver\",topic_name=\"/camera\"} 0\n"
        );
    }
}
