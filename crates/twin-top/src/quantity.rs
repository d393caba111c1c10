//! Numbers as people read them in a narrow column. What is absent is a dash.

/// Three significant digits, as far as they are behind the point.
pub(crate) fn plain(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(crate) fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// Of angles and lengths: a thousandth is about what encoders tell.
pub(crate) fn fine(value: f64) -> String {
    format!("{value:+.3}")
}

/// Seconds, in the unit that suits.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds.abs() {
        size if size < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        size if size < 120.0 => format!("{seconds:.1} s"),
        size if size < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3_600.0),
    }
}

pub(crate) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_column() {
        assert_eq!(
            [0.0, 9.99, 9.999, 99.9, 99.96, 12_345.6].map(plain),
            ["0.00", "9.99", "10.0", "99.9", "100", "12346"]
        );
        assert_eq!([-0.5, f64::NAN, f64::INFINITY].map(fine), ["-0.500", "NaN", "+inf"]);
        assert_eq!(whole(7.0), "7");
        assert_eq!(percent(0.876), "88 %");
    }

    #[test]
    fn durations_have_the_unit_that_suits() {
        let told = [0.0, 0.0821, 0.9996, 12.34, 119.9, 120.0, 7_200.0].map(duration);
        assert_eq!(told, ["0 ms", "82 ms", "1.0 s", "12.3 s", "119.9 s", "2 min", "2 h"]);
    }
}
