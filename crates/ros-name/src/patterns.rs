//! Which names are meant.

use glob::{MatchOptions, Pattern};

/// `*` stands for any characters of one part of a name, `**` for any parts.
const WITHIN_PARTS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// A list of patterns for full names of topics, services or nodes: `/**/scan`, `/robot1/*`.
#[derive(Debug, Clone)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Patterns as they are written.
    ///
    /// # Errors
    /// Every pattern that is none, with its fault.
    pub fn parse(patterns: &[String]) -> Result<Self, String> {
        let parsed: Vec<_> = patterns.iter().map(|pattern| (pattern, parse(pattern))).collect();
        let fault = |(pattern, parsed): &(&String, Result<Pattern, String>)| {
            parsed.as_ref().err().map(|error| format!("{pattern:?}: {error}"))
        };
        let faults: Vec<_> = parsed.iter().filter_map(fault).collect();
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        Ok(Self(parsed.into_iter().filter_map(|(_, parsed)| parsed.ok()).collect()))
    }

    /// Whether there is no pattern, so that none matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the patterns means this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches_with(name, WITHIN_PARTS))
    }
}

fn parse(pattern: &str) -> Result<Pattern, String> {
    if !pattern.starts_with('/') {
        return Err("must begin with /, as every full name does".to_owned());
    }
    Pattern::new(pattern).map_err(|error| error.msg.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Result<Patterns, String> {
        Patterns::parse(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_stands_for_part_of_a_name_and_two_for_any_parts() {
        for (pattern, name, expected) in [
            ("/**", "/a/b", true),
            ("/scan", "/scan", true),
            ("/scan", "/robot1/scan", false),
            ("/*/scan", "/robot1/scan", true),
            ("/*/scan", "/fleet/robot1/scan", false),
            ("/**/scan", "/fleet/robot1/scan", true),
            ("/camera*/**", "/camera2/image/raw", true),
            ("/_ros2cli_*", "/_ros2cli_1234", true),
        ] {
            assert_eq!(patterns(&[pattern]).expect("a pattern").matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_pattern_that_is_none_is_told() {
        let told = patterns(&["scan", "/a", "/b**"]).unwrap_err();
        assert!(told.contains("\"scan\"") && told.contains("\"/b**\"") && !told.contains("\"/a\""), "{told}");
    }
}
