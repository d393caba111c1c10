//! Names of topics, services and nodes, by the rules of
//! <https://design.ros2.org/articles/topic_and_service_names.html>.
//!
//! Not for: what ROS makes of a name, by its namespace or by remapping.

mod patterns;

pub use patterns::Patterns;

/// The longest full name.
const BYTES_MAX: usize = 255;

/// Whether a text is the full name of a topic, a service or a node, as `/robot1/joint_states` is.
#[must_use]
pub fn is_full_name(name: &str) -> bool {
    name.len() <= BYTES_MAX && name.strip_prefix('/').is_some_and(|below| below.split('/').all(is_name_token))
}

/// Whether a text is a full name, or one that becomes full by what ROS puts before it; without substitutions.
#[must_use]
pub fn is_topic_name(name: &str) -> bool {
    let relative = name.strip_prefix("~/").or_else(|| name.strip_prefix('/')).unwrap_or(name);
    is_full_name(&format!("/{relative}"))
}

/// Whether a text is one part of such a name.
#[must_use]
pub fn is_name_token(token: &str) -> bool {
    !token.is_empty()
        && !token.starts_with(|first: char| first.is_ascii_digit())
        && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_are_those_of_ros() {
        for name in ["/joint_states", "joint_states", "/robot1/joint_states", "~/states", "/a/b_2/C"] {
            assert!(is_topic_name(name), "{name}");
        }
        for name in ["", "/", "/a/", "//a", "/1robot/a", "/a b", "/a-b", "/ä", "~states"] {
            assert!(!is_topic_name(name), "{name}");
        }
    }

    #[test]
    fn full_names_are_those_of_ros() {
        for name in ["/joint_states", "/robot1/joint_states", "/a/b_2/C", "/_hidden"] {
            assert!(is_full_name(name), "{name}");
        }
        for name in ["", "/", "a", "/a/", "//a", "/1robot/a", "/a b", "/a-b", "/ä", "~/a", "/a.b"] {
            assert!(!is_full_name(name), "{name}");
        }
        assert!(is_full_name(&format!("/{}", "a".repeat(254))) && !is_full_name(&format!("/{}", "a".repeat(255))));
    }
}
