//! Names of types: Unity says `std_msgs/String` and `std_srvs/SetBool`, ROS 2 `std_msgs/msg/String` and `std_srvs/srv/SetBool`.

use ros_name::is_name_token;

/// What a type is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    Message,
    Service,
}

impl Interface {
    /// As the middle part of a type's name.
    pub(crate) const fn part(self) -> &'static str {
        match self {
            Interface::Message => "msg",
            Interface::Service => "srv",
        }
    }

    /// The full name of a type that is given in two parts or in three; `None` when it cannot be one.
    pub(crate) fn full_type_name(self, name: &str) -> Option<String> {
        let parts: Vec<&str> = name.splitn(4, '/').collect();
        let (package, type_name) = match parts[..] {
            [package, type_name] => (package, type_name),
            [package, part, type_name] if part == self.part() => (package, type_name),
            _ => return None,
        };
        let is_good = is_name_token(package) && is_name_token(type_name);
        is_good.then(|| format!("{package}/{}/{type_name}", self.part()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_and_three_are_the_same_type() {
        for name in ["std_srvs/SetBool", "std_srvs/srv/SetBool"] {
            assert_eq!(Interface::Service.full_type_name(name).as_deref(), Some("std_srvs/srv/SetBool"));
        }
        for name in ["std_msgs/String", "std_msgs/msg/String"] {
            assert_eq!(Interface::Message.full_type_name(name).as_deref(), Some("std_msgs/msg/String"));
        }
    }

    #[test]
    fn what_cannot_be_a_type_is_none() {
        for name in
            ["", "String", "std_msgs/", "/String", "std_msgs/srv/String", "std_msgs/msg/", "a/msg/b/c", "../msg/a"]
        {
            assert_eq!(Interface::Message.full_type_name(name), None, "{name}");
        }
        assert_eq!(Interface::Service.full_type_name("std_srvs/msg/SetBool"), None);
    }
}
