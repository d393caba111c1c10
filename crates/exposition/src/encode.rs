//! From a `prometheus::Registry` to text.

use prometheus::{Encoder, Registry, TextEncoder};

/// Lines of a family that are no samples: its help, which a registry insists on, and its type.
const COMMENTS: usize = 2;

/// Appends all of `registry` to `out` in the text format 0.0.4 and returns the number of series (sample lines) appended.
///
/// A family that cannot be encoded ends the output there; that is logged. (The encoder refuses only families without a name or without a
/// metric, which a registry does not hand out.)
pub fn encode_registry(registry: &Registry, out: &mut Vec<u8>) -> u64 {
    let start = out.len();
    let families = registry.gather();
    if let Err(error) = TextEncoder::new().encode(&families, out) {
        tracing::error!(%error, "a metric cannot be encoded");
    }
    // A line feed in a help text or a label's value is escaped.
    let lines = out[start..].iter().filter(|&&byte| byte == b'\n').count();
    lines.saturating_sub(families.len() * COMMENTS) as u64
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, IntGaugeVec, Opts};

    use super::*;

    #[test]
    fn appends_and_counts_every_sample_line() {
        let registry = Registry::new();
        let gauge = IntGaugeVec::new(Opts::new("g", "help\nof two lines"), &["label"]).expect("valid");
        gauge.with_label_values(&["a\nb"]).set(1);
        gauge.with_label_values(&["c"]).set(2);
        let histogram = Histogram::with_opts(HistogramOpts::new("h", "help").buckets(vec![1.0])).expect("valid");
        registry.register(Box::new(gauge)).expect("new");
        registry.register(Box::new(histogram)).expect("new");

        let mut out = b"already 1\n".to_vec();
        let series = encode_registry(&registry, &mut out);

        let text = String::from_utf8(out).expect("UTF-8");
        assert!(
            text.starts_with("already 1\n# HELP g help\\nof two lines\n# TYPE g gauge\ng{label=\"a\\nb\"} 1\n"),
            "{text}"
        );
        assert_eq!(series, 2 + 4, "two gauges; le=1, le=+Inf, sum and count\n{text}");
    }
}
