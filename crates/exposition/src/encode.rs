//! From a `prometheus::Registry` to text.

use prometheus::{Encoder, Registry, TextEncoder};

/// Appends all of `registry` to `out` in the text format 0.0.4 and returns the number of series (sample lines) appended.
///
/// A family that cannot be encoded ends the output there; that is logged. (The encoder refuses only families without a name or without a
/// metric, which a registry does not hand out.)
pub fn encode_registry(registry: &Registry, out: &mut Vec<u8>) -> u64 {
    let start = out.len();
    if let Err(error) = TextEncoder::new().encode(&registry.gather(), out) {
        tracing::error!(%error, "a metric cannot be encoded");
    }
    count_samples(&out[start..])
}

/// Lines that are neither empty nor a comment. A line feed inside a label's value is escaped, so a line is a sample.
fn count_samples(text: &[u8]) -> u64 {
    text.split(|&byte| byte == b'\n').filter(|line| line.first().is_some_and(|&first| first != b'#')).count() as u64
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, IntGaugeVec, Opts};

    use super::*;

    #[test]
    fn appends_and_counts_every_sample_line() {
        let registry = Registry::new();
        let gauge = IntGaugeVec::new(Opts::new("g", "help"), &["label"]).expect("valid");
        gauge.with_label_values(&["a\nb"]).set(1);
        gauge.with_label_values(&["c"]).set(2);
        let histogram = Histogram::with_opts(HistogramOpts::new("h", "help").buckets(vec![1.0])).expect("valid");
        registry.register(Box::new(gauge)).expect("new");
        registry.register(Box::new(histogram)).expect("new");

        let mut out = b"already 1\n".to_vec();
        let series = encode_registry(&registry, &mut out);

        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.starts_with("already 1\n# HELP g help\n# TYPE g gauge\ng{label=\"a\\nb\"} 1\n"), "{text}");
        assert_eq!(series, 2 + 4, "two gauges; le=1, le=+Inf, sum and count\n{text}");
    }
}
