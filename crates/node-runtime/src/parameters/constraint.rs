//! What values a parameter takes.

use r2r::ParameterValue;
use r2r::rcl_interfaces::msg::{FloatingPointRange, IntegerRange, ParameterDescriptor};
use ros_name::Patterns;

/// The values that a parameter takes, beside its type.
#[derive(Debug, Clone)]
pub enum Constraint {
    /// Every value of the type.
    Any,
    /// A finite number within bounds, both included.
    #[allow(missing_docs)]
    Double { min: f64, max: f64 },
    /// An integer within bounds, both included.
    #[allow(missing_docs)]
    Integer { min: i64, max: i64 },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Patterns of full names, as [`Patterns`] reads them.
    NamePatterns,
    /// Whatever the function takes; it says why it refuses. The text says what is taken.
    Checked(&'static str, fn(&ParameterValue) -> Result<(), String>),
}

impl Constraint {
    /// Why the value, which has the right type, is refused.
    pub(super) fn check(&self, value: &ParameterValue) -> Result<(), String> {
        let taken = match (self, value) {
            (Self::Double { min, max }, ParameterValue::Double(value)) => (min..=max).contains(&value),
            (Self::Integer { min, max }, ParameterValue::Integer(value)) => (min..=max).contains(&value),
            (Self::OneOf(words), ParameterValue::String(value)) => words.contains(&value.as_str()),
            (Self::NamePatterns, ParameterValue::StringArray(patterns)) => return Patterns::parse(patterns).map(drop),
            (Self::Checked(_, check), value) => return check(value),
            _ => true,
        };
        if taken { Ok(()) } else { Err(format!("is {}, must be {}", shown(value), self.text())) }
    }

    /// What is taken; empty where that is everything.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Any => String::new(),
            Self::Double { min, max } => format!("from {min} to {max}"),
            Self::Integer { min, max } => format!("from {min} to {max}"),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::NamePatterns => "patterns of full names".to_owned(),
            Self::Checked(text, _) => (*text).to_owned(),
        }
    }

    /// Fills in what `describe_parameters` tells of the constraint.
    pub(super) fn describe(&self, descriptor: &mut ParameterDescriptor) {
        match self {
            Self::Double { min, max } => {
                descriptor.floating_point_range =
                    vec![FloatingPointRange { from_value: *min, to_value: *max, step: 0.0 }];
            }
            Self::Integer { min, max } => {
                descriptor.integer_range = vec![IntegerRange { from_value: *min, to_value: *max, step: 1 }];
            }
            _ => descriptor.additional_constraints = self.text(),
        }
    }
}

fn shown(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Double(value) => value.to_string(),
        ParameterValue::Integer(value) => value.to_string(),
        ParameterValue::String(value) => format!("\"{}\"", shortened(value)),
        other => shortened(&format!("{other:?}")),
    }
}

/// Text that somebody else has chosen, as the log shows it: on one line, and not longer than 100 characters or so.
pub(super) fn shortened(text: &str) -> String {
    let mut rest = text.chars();
    let mut shown: String = rest.by_ref().take(100).flat_map(char::escape_debug).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}
