//! A node's ROS parameters: declared once, checked at the start and at every change.

mod constraint;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use constraint::Constraint;
use constraint::shortened;
use r2r::ParameterValue;
use ros_observer::{Error, Node, Spinner};

use crate::is_full_name;

/// Values of a node's parameters: those of a kind have whatever names somebody chooses.
const VALUES_MAX: usize = 4096;

/// One parameter, or many of one kind: all that is known of it stands here and nowhere else.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The name. With a part `/*`, as in `topics./*.rate`, it stands for the parameters of everything that has a full name in
    /// ROS, as of all topics; each of them is there only once it has a value.
    pub name: &'static str,
    /// The value unless another is given, but for a name with `*`; its type is the parameter's type.
    pub default: ParameterValue,
    /// What it does, its unit.
    pub description: &'static str,
    /// Whether it may be set while the node runs.
    pub settable: bool,
    /// The values that are taken.
    pub constraint: Constraint,
}

/// The declared parameters and their values. Cheap to clone; clones share the values.
#[derive(Clone)]
pub struct Parameters {
    declarations: Arc<[Declaration]>,
    values: Arc<Mutex<BTreeMap<String, ParameterValue>>>,
}

/// Seconds of a parameter as nanoseconds.
pub fn nanoseconds(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |duration| duration.as_nanos() as u64)
}

/// Why a parameter was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("parameter {name}: not known; known are {known}")]
    Unknown { name: String, known: String },
    #[error("parameter {name}: is {actual}, must be {expected}")]
    WrongType { name: String, actual: &'static str, expected: &'static str },
    #[error("parameter {name}: {reason}")]
    BadValue { name: String, reason: String },
    #[error("parameter {name}: can only be given at the start")]
    ReadOnly { name: String },
    #[error(
        "parameter {name}: has no value, and ROS reads an empty list, of a file or after :=, as none: leave it out, then it \
         is {default}"
    )]
    EmptyList { name: String, default: String },
    #[error("parameter {name}: {which:?} is no full name: letters, digits, _ and /, as in /robot1/scan")]
    BadName { name: String, which: String },
    #[error("parameter {name}: there are {VALUES_MAX} parameters already")]
    TooMany { name: String },
}

impl Parameters {
    /// The declared parameters with the values given at the start.
    ///
    /// # Errors
    /// Every fault: unknown names, wrong types, values that a constraint refuses.
    pub fn load(declarations: Vec<Declaration>, overrides: Vec<(String, ParameterValue)>) -> Result<Self, Vec<String>> {
        let single = declarations.iter().filter(|declared| declared.around().is_none());
        let values = single.map(|declared| (declared.name.to_owned(), declared.default.clone())).collect();
        let parameters = Self { declarations: declarations.into(), values: Arc::new(Mutex::new(values)) };
        let mut faults = Vec::new();
        for (name, value) in overrides {
            match parameters.given(&name, value) {
                Ok(value) => drop(parameters.values().insert(name, value)),
                Err(refusal) => faults.push(refusal.to_string()),
            }
        }
        if faults.is_empty() { Ok(parameters) } else { Err(faults) }
    }

    /// The value of a declared parameter.
    ///
    /// # Panics
    /// When it is not declared or has another type: a fault of the node's own code.
    pub fn get<T>(&self, name: &str) -> T
    where
        ParameterValue: TryInto<T>,
        <ParameterValue as TryInto<T>>::Error: Debug,
    {
        let value = self.values().get(name).cloned().expect("the parameter is declared");
        value.try_into().expect("the parameter is declared with this type")
    }

    /// What stands in the place of `/*` in the names of the parameters of this kind that have a value, and the value.
    ///
    /// # Panics
    /// When no such kind is declared, or has another type: a fault of the node's own code.
    pub fn all<T>(&self, kind: &str) -> Vec<(String, T)>
    where
        ParameterValue: TryInto<T>,
        <ParameterValue as TryInto<T>>::Error: Debug,
    {
        let declared = self.declarations.iter().find(|declared| declared.name == kind).expect("the kind is declared");
        let of_kind = |(name, value): (&String, &ParameterValue)| {
            let which = declared.which(name)?.to_owned();
            Some((which, value.clone().try_into().expect("the kind is declared with this type")))
        };
        self.values().iter().filter_map(of_kind).collect()
    }

    /// Offers the standard parameter services of a node, which run on the spinner's thread. `on_change` hears of each
    /// value that was set.
    pub fn offer(
        &self,
        node: &Node,
        spinner: &mut Spinner,
        on_change: impl FnMut(&str, &ParameterValue) + Send + 'static,
    ) -> Result<(), Error> {
        services::offer(self, node, spinner, Box::new(on_change))
    }

    /// Stores a value, or takes it away; returns the one before.
    fn replace(&self, name: &str, value: &ParameterValue) -> Option<ParameterValue> {
        match value {
            ParameterValue::NotSet => self.values().remove(name),
            value => self.values().insert(name.to_owned(), value.clone()),
        }
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<String, ParameterValue>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn declaration(&self, name: &str) -> Option<&Declaration> {
        self.declarations.iter().find(|declared| match declared.around() {
            None => declared.name == name,
            Some(_) => declared.which(name).is_some(),
        })
    }

    /// A value as it would be stored. An integer will do where a double is asked for: `stale_after:=5`; and an empty list of
    /// bytes for any list, since that is what rclpy takes `[]` for.
    fn checked(&self, name: &str, value: ParameterValue) -> Result<(&Declaration, ParameterValue), Refusal> {
        let declared = self.declaration(name).ok_or_else(|| Refusal::Unknown {
            name: shortened(name),
            known: self.declarations.iter().map(|declared| declared.name).collect::<Vec<_>>().join(", "),
        })?;
        let value = match (&declared.default, value) {
            (ParameterValue::Double(_), ParameterValue::Integer(integer)) => ParameterValue::Double(integer as f64),
            (default, ParameterValue::ByteArray(bytes)) if bytes.is_empty() => {
                emptied(default).unwrap_or(ParameterValue::ByteArray(bytes))
            }
            (_, value) => value,
        };
        let (actual, expected) = (value.type_name(), declared.default.type_name());
        if actual != expected {
            return Err(Refusal::WrongType { name: shortened(name), actual, expected });
        }
        let verdict = declared.constraint.check(&value);
        verdict.map_err(|reason| Refusal::BadValue { name: shortened(name), reason })?;
        if let Some(which) = declared.which(name).filter(|which| !is_full_name(which)) {
            return Err(Refusal::BadName { name: shortened(name), which: shortened(which) });
        }
        Ok((declared, value))
    }

    /// As `checked`, for a value that is given at the start.
    fn given(&self, name: &str, value: ParameterValue) -> Result<ParameterValue, Refusal> {
        let declared = self.declaration(name).filter(|declared| declared.is_list());
        if let Some(declared) = declared.filter(|_| value == ParameterValue::NotSet) {
            return Err(Refusal::EmptyList { name: shortened(name), default: text(&declared.default) });
        }
        let (_, value) = self.checked(name, value)?;
        self.check_room(&[name]).map(|()| value)
    }

    /// Whether these may all have values.
    fn check_room(&self, names: &[&str]) -> Result<(), Refusal> {
        let values = self.values();
        let new: BTreeSet<&str> = names.iter().filter(|name| !values.contains_key(**name)).copied().collect();
        match new.last() {
            Some(name) if values.len() + new.len() > VALUES_MAX => Err(Refusal::TooMany { name: shortened(name) }),
            _ => Ok(()),
        }
    }

    /// As `checked`, and that the parameter may be set now. One of a kind may also be set to nothing, as `ros2 param delete` does.
    fn settable(&self, name: &str, value: ParameterValue) -> Result<ParameterValue, Refusal> {
        let is_of_kind = |declared: &Declaration| declared.settable && declared.around().is_some();
        if value == ParameterValue::NotSet && self.declaration(name).is_some_and(is_of_kind) {
            return Ok(value);
        }
        let (declared, value) = self.checked(name, value)?;
        if declared.settable { Ok(value) } else { Err(Refusal::ReadOnly { name: shortened(name) }) }
    }
}

impl Declaration {
    /// One that is read at the start only.
    #[must_use]
    pub const fn fixed(
        name: &'static str,
        default: ParameterValue,
        description: &'static str,
        constraint: Constraint,
    ) -> Self {
        Self { name, default, description, settable: false, constraint }
    }

    /// What `--help` says of it, in the form of clap's options.
    pub(crate) fn help(&self) -> String {
        let default = match (self.around(), &self.default) {
            (Some(_), _) => String::new(),
            (None, default) => format!(" [default: {}]", text(default)),
        };
        let taken = match self.constraint.text() {
            text if text.is_empty() => text,
            text => format!(" [{text}]"),
        };
        format!("  {}\n          {}{default}{taken}\n", self.name, self.description)
    }

    /// What stands before and after the `/*` of the name, if it has one.
    fn around(&self) -> Option<(&'static str, &'static str)> {
        self.name.split_once("/*")
    }

    /// What stands in the place of the `/*`, if `name` is of this kind.
    fn which<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (before, after) = self.around()?;
        name.strip_prefix(before)?.strip_suffix(after).filter(|which| which.starts_with('/'))
    }

    fn is_list(&self) -> bool {
        emptied(&self.default).is_some()
    }
}

/// A list of the same type with nothing in it, if the value is a list.
fn emptied(value: &ParameterValue) -> Option<ParameterValue> {
    use ParameterValue::{BoolArray, ByteArray, DoubleArray, IntegerArray, StringArray};
    match value {
        BoolArray(_) => Some(BoolArray(Vec::new())),
        ByteArray(_) => Some(ByteArray(Vec::new())),
        IntegerArray(_) => Some(IntegerArray(Vec::new())),
        DoubleArray(_) => Some(DoubleArray(Vec::new())),
        StringArray(_) => Some(StringArray(Vec::new())),
        _ => None,
    }
}

/// A value as it is written after `:=`.
fn text(value: &ParameterValue) -> String {
    match value {
        ParameterValue::NotSet => String::new(),
        ParameterValue::Bool(value) => value.to_string(),
        ParameterValue::Integer(value) => value.to_string(),
        ParameterValue::Double(value) => format!("{value:?}"),
        ParameterValue::String(value) => format!("{value:?}"),
        ParameterValue::BoolArray(values) => format!("{values:?}"),
        ParameterValue::ByteArray(values) => format!("{values:?}"),
        ParameterValue::IntegerArray(values) => format!("{values:?}"),
        ParameterValue::DoubleArray(values) => format!("{values:?}"),
        ParameterValue::StringArray(values) => format!("{values:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declarations() -> Vec<Declaration> {
        vec![
            Declaration {
                name: "stale_after",
                default: ParameterValue::Double(5.0),
                description: "Seconds.",
                settable: true,
                constraint: Constraint::Double { min: 0.001, max: 86_400.0 },
            },
            Declaration {
                name: "qos",
                default: ParameterValue::String("auto".into()),
                description: "Reliability.",
                settable: false,
                constraint: Constraint::OneOf(&["auto", "reliable"]),
            },
            Declaration {
                name: "topics./*.rate",
                default: ParameterValue::Double(0.0),
                description: "Hertz.",
                settable: true,
                constraint: Constraint::Double { min: 0.0, max: 1e6 },
            },
        ]
    }

    #[test]
    fn a_kind_of_parameters_has_those_that_were_given() {
        let overrides = vec![
            ("topics./scan.rate".to_owned(), ParameterValue::Integer(10)),
            ("topics./odom.rate".to_owned(), ParameterValue::Double(50.0)),
        ];
        let parameters = Parameters::load(declarations(), overrides).expect("good values");
        let rates = parameters.all::<f64>("topics./*.rate");
        assert_eq!(rates, [("/odom".to_owned(), 50.0), ("/scan".to_owned(), 10.0)]);
        assert!(parameters.settable("topics./imu.rate", ParameterValue::Double(1.0)).is_ok());
        for (name, value) in [
            ("topics..rate", 1.0),
            ("topics./imu.rates", 1.0),
            ("topics./imu.rate", -1.0),
            ("topics./.rate", 1.0),
            ("topics./a b.rate", 1.0),
        ] {
            assert!(parameters.settable(name, ParameterValue::Double(value)).is_err(), "{name}");
        }
        assert_eq!(parameters.settable("topics./scan.rate", ParameterValue::NotSet), Ok(ParameterValue::NotSet));
        assert!(parameters.settable("stale_after", ParameterValue::NotSet).is_err());
    }

    #[test]
    fn help_tells_the_default_and_what_is_taken_in_its_place() {
        let told: Vec<_> = declarations().iter().map(Declaration::help).collect();
        assert_eq!(told[0], "  stale_after\n          Seconds. [default: 5.0] [from 0.001 to 86400]\n");
        assert_eq!(told[1], "  qos\n          Reliability. [default: \"auto\"] [one of auto, reliable]\n");
        assert_eq!(told[2], "  topics./*.rate\n          Hertz. [from 0 to 1000000]\n");
    }

    #[test]
    fn a_name_that_ros_does_not_have_is_told_with_what_is_wrong() {
        let fault = |name: &str| {
            let overrides = vec![(name.to_owned(), ParameterValue::Double(1.0))];
            Parameters::load(declarations(), overrides).err().expect("a fault").remove(0)
        };
        assert!(fault("topics./a b.rate").contains("\"/a b\" is no full name"), "{}", fault("topics./a b.rate"));
        assert!(fault("topics.a.rate").contains("not known"), "{}", fault("topics.a.rate"));
    }

    #[test]
    fn parameters_of_a_kind_have_a_limit() {
        let value = ParameterValue::Double(1.0);
        let named = |number| format!("topics./t{number}.rate");
        // Those that have one name each are values too.
        let room = VALUES_MAX - 2;
        let overrides = |count| (0..count).map(|number| (named(number), value.clone())).collect();
        let faults = Parameters::load(declarations(), overrides(room + 1)).err().expect("a fault");
        assert!(faults.len() == 1 && faults[0].contains("4096"), "{faults:?}");
        let parameters = Parameters::load(declarations(), overrides(room - 1)).expect("fewer than there is room for");
        assert_eq!(parameters.check_room(&[&named(0), &named(0), "qos"]), Ok(()));
        assert_eq!(parameters.check_room(&[&named(room), &named(room)]), Ok(()));
        let refusal = Refusal::TooMany { name: named(room + 1) };
        assert_eq!(parameters.check_room(&[&named(room), &named(room + 1)]), Err(refusal));
    }

    #[test]
    fn an_empty_list_is_told_of_as_what_ros_makes_of_it() {
        let names = Declaration {
            name: "names",
            default: ParameterValue::StringArray(vec!["a".into()]),
            constraint: Constraint::Any,
            ..declarations().remove(1)
        };
        let fault = |name: &str| {
            let overrides = vec![(name.to_owned(), ParameterValue::NotSet)];
            let declarations = declarations().into_iter().chain([names.clone()]).collect();
            Parameters::load(declarations, overrides).err().expect("a fault").remove(0)
        };
        assert!(fault("names").contains("empty list") && fault("names").ends_with("is [\"a\"]"), "{}", fault("names"));
        assert!(fault("qos").contains("is not set, must be string"), "{}", fault("qos"));
    }

    #[test]
    fn a_list_is_emptied_by_what_rclpy_takes_for_an_empty_list() {
        let names = Declaration { default: ParameterValue::StringArray(vec!["a".into()]), ..declarations().remove(1) };
        let list = Declaration { name: "names", constraint: Constraint::Any, ..names };
        let parameters =
            Parameters::load(declarations().into_iter().chain([list]).collect(), Vec::new()).expect("good");
        let (_, value) = parameters.checked("names", ParameterValue::ByteArray(Vec::new())).expect("an empty list");
        assert_eq!(value, ParameterValue::StringArray(Vec::new()));
        assert!(parameters.checked("names", ParameterValue::ByteArray(vec![1])).is_err());
        assert!(parameters.checked("qos", ParameterValue::ByteArray(Vec::new())).is_err());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let overrides = vec![
            ("stale_afer".to_owned(), ParameterValue::Double(1.0)),
            ("stale_after".to_owned(), ParameterValue::Double(-1.0)),
            ("qos".to_owned(), ParameterValue::Integer(1)),
        ];
        let faults = Parameters::load(declarations(), overrides).err().unwrap();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            faults[0].contains("stale_afer") && faults[0].contains("known are stale_after, qos, topics./*.rate"),
            "{faults:?}"
        );
        assert!(faults[1].contains("stale_after") && faults[1].contains("0.001"), "{faults:?}");
        assert!(faults[2].contains("is integer, must be string"), "{faults:?}");
    }

    #[test]
    fn an_integer_will_do_for_a_double_and_the_last_override_wins() {
        let overrides = vec![
            ("stale_after".to_owned(), ParameterValue::Double(1.0)),
            ("stale_after".to_owned(), ParameterValue::Integer(2)),
        ];
        let parameters = Parameters::load(declarations(), overrides).unwrap();
        assert_eq!(parameters.get::<f64>("stale_after"), 2.0);
        assert_eq!(parameters.get::<String>("qos"), "auto");
    }

    #[test]
    fn a_name_of_any_length_is_told_on_a_line() {
        let parameters = Parameters::load(declarations(), Vec::new()).expect("the defaults");
        let refusal =
            parameters.settable(&format!("a\nb{}", "c".repeat(70_000)), ParameterValue::Integer(1)).unwrap_err();
        let text = refusal.to_string();
        assert!(text.starts_with("parameter a\\nbccc") && text.len() < 300, "{text}");
    }

    #[test]
    fn what_is_fixed_at_the_start_cannot_be_set_later() {
        let parameters = Parameters::load(declarations(), Vec::new()).unwrap();
        let refusal = parameters.settable("qos", ParameterValue::String("reliable".into())).unwrap_err();
        assert_eq!(refusal, Refusal::ReadOnly { name: "qos".to_owned() });
        assert!(parameters.settable("stale_after", ParameterValue::Double(1.0)).is_ok());
    }
}
