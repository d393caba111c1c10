//! A node's ROS parameters: declared once, checked at the start and at every change.

mod constraint;
mod services;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use constraint::Constraint;
use constraint::shortened;
use r2r::ParameterValue;
use ros_observer::{Error, Node, Spinner};

/// One parameter: all that is known of it stands here and nowhere else.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The name.
    pub name: &'static str,
    /// The value unless another is given; its type is the parameter's type.
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
    values: Arc<Mutex<BTreeMap<&'static str, ParameterValue>>>,
}

/// Why a parameter was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("parameter {name}: not known; known are {known}")]
    Unknown { name: String, known: String },
    #[error("parameter {name}: is {actual}, must be {expected}")]
    WrongType { name: &'static str, actual: &'static str, expected: &'static str },
    #[error("parameter {name}: {reason}")]
    BadValue { name: &'static str, reason: String },
    #[error("parameter {name}: can only be given at the start")]
    ReadOnly { name: &'static str },
}

impl Parameters {
    /// The declared parameters with the values given at the start.
    ///
    /// # Errors
    /// Every fault: unknown names, wrong types, values that a constraint refuses.
    pub fn load(declarations: Vec<Declaration>, overrides: Vec<(String, ParameterValue)>) -> Result<Self, Vec<String>> {
        let values = declarations.iter().map(|declared| (declared.name, declared.default.clone())).collect();
        let parameters = Self { declarations: declarations.into(), values: Arc::new(Mutex::new(values)) };
        let mut faults = Vec::new();
        for (name, value) in overrides {
            match parameters.checked(&name, value) {
                Ok((declared, value)) => drop(parameters.values().insert(declared.name, value)),
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

    fn values(&self) -> MutexGuard<'_, BTreeMap<&'static str, ParameterValue>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn declaration(&self, name: &str) -> Option<&Declaration> {
        self.declarations.iter().find(|declared| declared.name == name)
    }

    /// A value as it would be stored. An integer will do where a double is asked for: `stale_after:=5`.
    fn checked(&self, name: &str, value: ParameterValue) -> Result<(&Declaration, ParameterValue), Refusal> {
        let declared = self.declaration(name).ok_or_else(|| Refusal::Unknown {
            name: shortened(name),
            known: self.declarations.iter().map(|declared| declared.name).collect::<Vec<_>>().join(", "),
        })?;
        let value = match (&declared.default, value) {
            (ParameterValue::Double(_), ParameterValue::Integer(integer)) => ParameterValue::Double(integer as f64),
            (_, value) => value,
        };
        let (actual, expected) = (value.type_name(), declared.default.type_name());
        if actual != expected {
            return Err(Refusal::WrongType { name: declared.name, actual, expected });
        }
        let verdict = declared.constraint.check(&value);
        verdict.map_err(|reason| Refusal::BadValue { name: declared.name, reason })?;
        Ok((declared, value))
    }

    /// As `checked`, and that the parameter may be set now.
    fn settable(&self, name: &str, value: ParameterValue) -> Result<(&'static str, ParameterValue), Refusal> {
        let (declared, value) = self.checked(name, value)?;
        if declared.settable { Ok((declared.name, value)) } else { Err(Refusal::ReadOnly { name: declared.name }) }
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
        ]
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
        assert!(faults[0].contains("stale_afer") && faults[0].contains("known are stale_after, qos"), "{faults:?}");
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
        assert_eq!(refusal, Refusal::ReadOnly { name: "qos" });
        assert!(parameters.settable("stale_after", ParameterValue::Double(1.0)).is_ok());
    }
}
