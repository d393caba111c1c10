//! Which robot a name belongs to.

use node_runtime::is_name_token;

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
