//! The parameter services that every ROS node has (rcl_interfaces), and the event that tells of changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use r2r::ParameterValue;
use r2r::rcl_interfaces::{msg, srv};
use ros_observer::{Error, Node, Publisher, Qos, Service, Spinner};

use super::{Declaration, Parameters, Refusal};
use crate::system_time;

type OnChange = Box<dyn FnMut(&str, &ParameterValue) + Send>;

/// Depth that rclcpp and rclpy use for `/parameter_events`.
const EVENTS_DEPTH: usize = 1000;

pub(super) fn offer(
    parameters: &Parameters,
    node: &Node,
    spinner: &mut Spinner,
    on_change: OnChange,
) -> Result<(), Error> {
    let setter = Arc::new(Setter {
        parameters: parameters.clone(),
        node: node.fully_qualified_name(),
        events: Publisher::new(node, "/parameter_events", Qos::reliable(EVENTS_DEPTH))?,
        on_change: Mutex::new(on_change),
    });
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::GetParameters::Service>::new(node, "~/get_parameters", move |request| {
        shared.answer_get(&request)
    })?)?;
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::GetParameterTypes::Service>::new(
        node,
        "~/get_parameter_types",
        move |request| shared.answer_types(&request),
    )?)?;
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::ListParameters::Service>::new(node, "~/list_parameters", move |request| {
        shared.answer_list(&request)
    })?)?;
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::DescribeParameters::Service>::new(
        node,
        "~/describe_parameters",
        move |request| shared.answer_describe(&request),
    )?)?;
    let shared = Arc::clone(&setter);
    spinner.add_service(Service::<srv::SetParameters::Service>::new(node, "~/set_parameters", move |request| {
        shared.answer_set(request)
    })?)?;
    spinner.add_service(Service::<srv::SetParametersAtomically::Service>::new(
        node,
        "~/set_parameters_atomically",
        move |request| setter.answer_set_atomically(request),
    )?)?;
    Ok(())
}

impl Parameters {
    fn answer_get(&self, request: &srv::GetParameters::Request) -> srv::GetParameters::Response {
        let values = self.values();
        let value = |name: &String| values.get(name.as_str()).map_or_else(Default::default, to_message);
        srv::GetParameters::Response { values: request.names.iter().map(value).collect() }
    }

    fn answer_types(&self, request: &srv::GetParameterTypes::Request) -> srv::GetParameterTypes::Response {
        let values = self.values();
        let type_of = |name: &String| values.get(name.as_str()).map_or(NOT_SET, |value| to_message(value).type_);
        srv::GetParameterTypes::Response { types: request.names.iter().map(type_of).collect() }
    }

    fn answer_describe(&self, request: &srv::DescribeParameters::Request) -> srv::DescribeParameters::Response {
        let describe = |name: &String| match self.declaration(name) {
            Some(declared) => descriptor(name, declared),
            None => msg::ParameterDescriptor { name: name.clone(), ..Default::default() },
        };
        srv::DescribeParameters::Response { descriptors: request.names.iter().map(describe).collect() }
    }

    /// The values as they would be stored, if all of them may be set now.
    fn all_settable(&self, parameters: Vec<msg::Parameter>) -> Result<Vec<(String, ParameterValue)>, Refusal> {
        let settable = |parameter: msg::Parameter| {
            let value = self.settable(&parameter.name, from_message(parameter.value))?;
            Ok((parameter.name, value))
        };
        let settable = parameters.into_iter().map(settable).collect::<Result<Vec<_>, Refusal>>()?;
        let given = settable.iter().filter(|(_, value)| *value != ParameterValue::NotSet);
        self.check_room(&given.map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
        Ok(settable)
    }

    fn answer_list(&self, request: &srv::ListParameters::Request) -> srv::ListParameters::Response {
        let names: Vec<_> = self.values().keys().filter(|name| is_listed(name, request)).cloned().collect();
        let prefixes: BTreeSet<_> =
            names.iter().filter_map(|name| Some(name.rsplit_once(SEPARATOR)?.0.to_owned())).collect();
        let prefixes = prefixes.into_iter().collect();
        srv::ListParameters::Response { result: msg::ListParametersResult { names, prefixes } }
    }
}

/// Between the parts of a parameter's name.
const SEPARATOR: char = '.';

/// As `rcl_interfaces/srv/ListParameters` has it: below one of the prefixes, if there are any, and not more than `depth`
/// parts below it, if that is not 0.
fn is_listed(name: &str, request: &srv::ListParameters::Request) -> bool {
    let is_near = |below: &str| request.depth == 0 || (below.split(SEPARATOR).count() as u64) <= request.depth;
    let is_below = |prefix: &String| match name.strip_prefix(prefix.as_str()) {
        Some("") => true,
        Some(below) => below.strip_prefix(SEPARATOR).is_some_and(is_near),
        None => false,
    };
    if request.prefixes.is_empty() { is_near(name) } else { request.prefixes.iter().any(is_below) }
}

/// What setting takes beside the values: whom to tell.
struct Setter {
    parameters: Parameters,
    node: String,
    events: Publisher<msg::ParameterEvent>,
    on_change: Mutex<OnChange>,
}

impl Setter {
    fn answer_set(&self, request: srv::SetParameters::Request) -> srv::SetParameters::Response {
        let set_one = |parameter| result_of(self.check(vec![parameter]).map(|checked| self.apply(checked)));
        srv::SetParameters::Response { results: request.parameters.into_iter().map(set_one).collect() }
    }

    fn answer_set_atomically(
        &self,
        request: srv::SetParametersAtomically::Request,
    ) -> srv::SetParametersAtomically::Response {
        let checked = self.check(request.parameters);
        srv::SetParametersAtomically::Response { result: result_of(checked.map(|checked| self.apply(checked))) }
    }

    fn check(&self, parameters: Vec<msg::Parameter>) -> Result<Vec<(String, ParameterValue)>, Refusal> {
        let checked = self.parameters.all_settable(parameters);
        checked.inspect_err(|refusal| tracing::warn!(%refusal, "a parameter was not set"))
    }

    fn apply(&self, changes: Vec<(String, ParameterValue)>) {
        let mut on_change = self.on_change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut event = msg::ParameterEvent { stamp: system_time(), node: self.node.clone(), ..Default::default() };
        for (name, value) in changes {
            let message = msg::Parameter { name: name.clone(), value: to_message(&value) };
            let told = match (self.parameters.replace(&name, &value), &value) {
                (_, ParameterValue::NotSet) => &mut event.deleted_parameters,
                (None, _) => &mut event.new_parameters,
                (Some(_), _) => &mut event.changed_parameters,
            };
            told.push(message);
            on_change(&name, &value);
            tracing::info!(parameter = name, ?value, "a parameter was set");
        }
        if let Err(error) = self.events.publish(&event) {
            tracing::warn!(%error, "nobody was told of a changed parameter");
        }
    }
}

fn result_of(outcome: Result<(), Refusal>) -> msg::SetParametersResult {
    match outcome {
        Ok(()) => msg::SetParametersResult { successful: true, reason: String::new() },
        Err(refusal) => msg::SetParametersResult { successful: false, reason: refusal.to_string() },
    }
}

fn descriptor(name: &str, declared: &Declaration) -> msg::ParameterDescriptor {
    let mut descriptor = msg::ParameterDescriptor {
        name: name.to_owned(),
        type_: to_message(&declared.default).type_,
        description: declared.description.to_owned(),
        read_only: !declared.settable,
        ..Default::default()
    };
    declared.constraint.describe(&mut descriptor);
    descriptor
}

// The numbers of rcl_interfaces/msg/ParameterType.
const NOT_SET: u8 = 0;

fn to_message(value: &ParameterValue) -> msg::ParameterValue {
    let mut message = msg::ParameterValue::default();
    match value.clone() {
        ParameterValue::NotSet => {}
        ParameterValue::Bool(value) => (message.type_, message.bool_value) = (1, value),
        ParameterValue::Integer(value) => (message.type_, message.integer_value) = (2, value),
        ParameterValue::Double(value) => (message.type_, message.double_value) = (3, value),
        ParameterValue::String(value) => (message.type_, message.string_value) = (4, value),
        ParameterValue::ByteArray(value) => (message.type_, message.byte_array_value) = (5, value),
        ParameterValue::BoolArray(value) => (message.type_, message.bool_array_value) = (6, value),
        ParameterValue::IntegerArray(value) => (message.type_, message.integer_array_value) = (7, value),
        ParameterValue::DoubleArray(value) => (message.type_, message.double_array_value) = (8, value),
        ParameterValue::StringArray(value) => (message.type_, message.string_array_value) = (9, value),
    }
    message
}

fn from_message(message: msg::ParameterValue) -> ParameterValue {
    match message.type_ {
        1 => ParameterValue::Bool(message.bool_value),
        2 => ParameterValue::Integer(message.integer_value),
        3 => ParameterValue::Double(message.double_value),
        4 => ParameterValue::String(message.string_value),
        5 => ParameterValue::ByteArray(message.byte_array_value),
        6 => ParameterValue::BoolArray(message.bool_array_value),
        7 => ParameterValue::IntegerArray(message.integer_array_value),
        8 => ParameterValue::DoubleArray(message.double_array_value),
        9 => ParameterValue::StringArray(message.string_array_value),
        _ => ParameterValue::NotSet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_listed_by_prefix_and_depth() {
        let listed = |prefixes: &[&str], depth| {
            let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
            let request = srv::ListParameters::Request { prefixes, depth };
            let all = ["qos", "topics./scan.rate", "topics./scan.class", "topicsy"];
            all.into_iter().filter(|name| is_listed(name, &request)).collect::<Vec<_>>()
        };
        assert_eq!(listed(&[], 0).len(), 4);
        assert_eq!(listed(&[], 1), ["qos", "topicsy"]);
        assert_eq!(listed(&["topics"], 0), ["topics./scan.rate", "topics./scan.class"]);
        assert_eq!(listed(&["topics"], 1), Vec::<&str>::new());
        assert_eq!(listed(&["topics"], 2), ["topics./scan.rate", "topics./scan.class"]);
        assert_eq!(listed(&["qos", "topics./scan.rate"], 1), ["qos", "topics./scan.rate"]);
        assert_eq!(listed(&["nothing"], 0), Vec::<&str>::new());
    }
}
