//! The parameter services that every ROS node has (rcl_interfaces), and the event that tells of changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use r2r::ParameterValue;
use r2r::builtin_interfaces::msg::Time;
use r2r::rcl_interfaces::{msg, srv};
use ros_observer::{Error, Node, Publisher, Qos, Service, Spinner};

use super::{Declaration, Parameters, Refusal};

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
    })?);
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::GetParameterTypes::Service>::new(
        node,
        "~/get_parameter_types",
        move |request| shared.answer_types(&request),
    )?);
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::ListParameters::Service>::new(node, "~/list_parameters", move |request| {
        shared.answer_list(&request)
    })?);
    let shared = parameters.clone();
    spinner.add_service(Service::<srv::DescribeParameters::Service>::new(
        node,
        "~/describe_parameters",
        move |request| shared.answer_describe(&request),
    )?);
    let shared = Arc::clone(&setter);
    spinner.add_service(Service::<srv::SetParameters::Service>::new(node, "~/set_parameters", move |request| {
        shared.answer_set(request)
    })?);
    spinner.add_service(Service::<srv::SetParametersAtomically::Service>::new(
        node,
        "~/set_parameters_atomically",
        move |request| setter.answer_set_atomically(request),
    )?);
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
            Some(declared) => descriptor(declared),
            None => msg::ParameterDescriptor { name: name.clone(), ..Default::default() },
        };
        srv::DescribeParameters::Response { descriptors: request.names.iter().map(describe).collect() }
    }

    /// Names are without separators, so that each is at depth 1 and has only itself as a prefix.
    fn answer_list(&self, request: &srv::ListParameters::Request) -> srv::ListParameters::Response {
        let asked = |name: &&str| request.prefixes.is_empty() || request.prefixes.iter().any(|prefix| prefix == name);
        let names = self.declarations.iter().map(|declared| declared.name).filter(asked).map(str::to_owned).collect();
        srv::ListParameters::Response { result: msg::ListParametersResult { names, prefixes: Vec::new() } }
    }
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
        let set_one = |parameter| result_of(self.check(parameter).map(|checked| self.apply(vec![checked])));
        srv::SetParameters::Response { results: request.parameters.into_iter().map(set_one).collect() }
    }

    fn answer_set_atomically(
        &self,
        request: srv::SetParametersAtomically::Request,
    ) -> srv::SetParametersAtomically::Response {
        let checked: Result<Vec<_>, _> =
            request.parameters.into_iter().map(|parameter| self.check(parameter)).collect();
        srv::SetParametersAtomically::Response { result: result_of(checked.map(|checked| self.apply(checked))) }
    }

    fn check(&self, parameter: msg::Parameter) -> Result<(&'static str, ParameterValue), Refusal> {
        let refused = self.parameters.settable(&parameter.name, from_message(parameter.value));
        refused.inspect_err(|refusal| tracing::warn!(%refusal, "a parameter was not set"))
    }

    fn apply(&self, changes: Vec<(&'static str, ParameterValue)>) {
        let mut on_change = self.on_change.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in &changes {
            self.parameters.values().insert(name, value.clone());
            on_change(name, value);
            tracing::info!(parameter = name, ?value, "a parameter was set");
        }
        let changed = |(name, value): &(&str, ParameterValue)| msg::Parameter {
            name: (*name).to_owned(),
            value: to_message(value),
        };
        let event = msg::ParameterEvent {
            stamp: now(),
            node: self.node.clone(),
            changed_parameters: changes.iter().map(changed).collect(),
            ..Default::default()
        };
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

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { sec: since.as_secs() as i32, nanosec: since.subsec_nanos() }
}

fn descriptor(declared: &Declaration) -> msg::ParameterDescriptor {
    let mut descriptor = msg::ParameterDescriptor {
        name: declared.name.to_owned(),
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
