//! Which names of the graph are meant, and which robot a name belongs to.

use glob::{MatchOptions, Pattern};
use node_runtime::is_name_token;

/// `*` stands for any characters of one part of a name, `**` for any parts.
const WITHIN_PARTS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// A list of patterns for full names of topics or nodes.
#[derive(Debug, Clone)]
pub(crate) struct Patterns(Vec<Pattern>);

impl Patterns {
    /// # Errors
    /// Every pattern that is none, with its fault.
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, String> {
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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches_with(name, WITHIN_PARTS))
    }
}

fn parse(pattern: &str) -> Result<Pattern, String> {
    if !pattern.starts_with('/') {
        return Err("must begin with /, as every full name does".to_owned());
    }
    Pattern::new(pattern).map_err(|error| error.msg.to_owned())
}

/// Where in a name the robot stands: `/{robot}`, or `/fleet/{robot}`, each part before it a word or `*`.
#[derive(Debug, Clone)]
pub(crate) struct RobotPattern {
    before: Vec<String>,
}

const ROBOT: &str = "{robot}";

impl RobotPattern {
    /// The pattern, or none for an empty text.
    ///
    /// # Errors
    /// When the text is no pattern.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let parts: Vec<_> = text.strip_prefix('/').unwrap_or_default().split('/').collect();
        match parts.split_last() {
            Some((&ROBOT, before)) if before.iter().all(|part| is_name_token(part) || *part == "*") => {
                Ok(Some(Self { before: before.iter().map(|part| (*part).to_owned()).collect() }))
            }
            _ => Err(format!("is {text:?}, must be as in /{ROBOT} or /fleet/{ROBOT}: words or * before {ROBOT}")),
        }
    }

    /// The robot that a topic or a node of this full name belongs to; none for a name that is not longer than the pattern.
    pub(crate) fn robot<'a>(&self, name: &'a str) -> Option<&'a str> {
        let mut parts = name.strip_prefix('/')?.split('/');
        for expected in &self.before {
            parts.next().filter(|part| expected == "*" || part == expected)?;
        }
        let robot = parts.next()?;
        parts.next().map(|_| robot)
    }
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

    #[test]
    fn a_robot_is_a_part_of_the_name_before_others() {
        let robot = |pattern, name| RobotPattern::parse(pattern).expect("a pattern").expect("one").robot(name);
        assert_eq!(robot("/{robot}", "/robot1/scan"), Some("robot1"));
        assert_eq!(robot("/{robot}", "/scan"), None);
        assert_eq!(robot("/fleet/{robot}", "/fleet/robot1/front/scan"), Some("robot1"));
        assert_eq!(robot("/*/{robot}", "/site7/robot1/scan"), Some("robot1"));
        assert_eq!(robot("/fleet/{robot}", "/robots/robot1/scan"), None);
        assert!(RobotPattern::parse("").expect("none").is_none());
        for bad in ["{robot}", "/robot", "/{robot}/scan", "/a//{robot}", "/a-b/{robot}"] {
            assert!(RobotPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
