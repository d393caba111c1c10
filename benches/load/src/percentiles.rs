//! How long things took, as a report says it.

use std::time::Duration;

/// The fields of a JSON object that say it, in seconds; null where there are none.
pub fn json_fields(mut durations: Vec<Duration>) -> String {
    durations.sort_unstable();
    let [p50, p99, max] = [50, 99, 100].map(|percent| match percentile(&durations, percent) {
        Some(duration) => format!("{:.9}", duration.as_secs_f64()),
        None => "null".to_owned(),
    });
    format!(r#""p50_seconds": {p50}, "p99_seconds": {p99}, "max_seconds": {max}"#)
}

/// The smallest value that at least this share of them does not exceed; `None` where there are none.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_time_of_one_of_them() {
        let durations = (1..=200).rev().map(Duration::from_millis).collect();
        let expected = r#""p50_seconds": 0.100000000, "p99_seconds": 0.198000000, "max_seconds": 0.200000000"#;
        assert_eq!(json_fields(durations), expected);
    }

    #[test]
    fn of_nothing_there_is_no_time() {
        assert_eq!(json_fields(vec![]), r#""p50_seconds": null, "p99_seconds": null, "max_seconds": null"#);
    }

    #[test]
    fn a_single_time_is_every_percentile() {
        let sorted = [Duration::from_millis(3)];
        assert_eq!([50, 99, 100].map(|percent| percentile(&sorted, percent)), [Some(sorted[0]); 3]);
    }
}
