//! The node's parameters.

use std::time::Duration;

use exposition::ListenAddress;
use node_runtime::{Constraint, Declaration, NodeInfo, Parameters};
use r2r::ParameterValue;
use unity_protocol::Limits;

use crate::subscription_qos::is_latched;
use crate::tls::{CERTIFICATE, CLIENT_CA, KEY};

pub(crate) const NODE: NodeInfo = NodeInfo {
    name: "unity_bridge_node",
    about: "The ROS-TCP endpoint that Unity's ROS-TCP-Connector speaks to.",
    listen_address: "0.0.0.0:8003",
};

/// The longest time that can be asked for: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// What of a payload's length the protocol can say, less what a frame has beside it.
const BYTES_MAX: i64 = (1 << 32) - (1 << 20);

const PORT: Constraint = Constraint::Integer { min: 0, max: u16::MAX as i64 };
const ADDRESS: &str = "tcp_address";
const PORT_NAME: &str = "tcp_port";
/// As the Python endpoint calls them.
const OTHER_ADDRESS: &str = "ROS_IP";
const OTHER_PORT: &str = "ROS_TCP_PORT";
const DEFAULT_ADDRESS: &str = "127.0.0.1";
const DEFAULT_PORT: i64 = 10_000;
const NOT_GIVEN: i64 = -1;

#[allow(clippy::too_many_lines, reason = "a list of parameters, each told in full")]
pub(crate) fn declarations() -> Vec<Declaration> {
    let text = |text: &str| ParameterValue::String(text.to_owned());
    let all_names = || ParameterValue::StringArray(vec!["/**".to_owned()]);
    let fixed = Declaration::fixed;
    let integer = |name, default, description, min, max| {
        fixed(name, ParameterValue::Integer(default), description, Constraint::Integer { min, max })
    };
    let seconds = |name, default, description| {
        fixed(name, ParameterValue::Double(default), description, Constraint::Double { min: 0.1, max: SECONDS_MAX })
    };
    vec![
        fixed(
            ADDRESS,
            text(DEFAULT_ADDRESS),
            "Address or host name to listen on for clients; 0.0.0.0 is every interface of IPv4. Whoever reaches it can do all \
             that the lists below allow.",
            Constraint::Any,
        ),
        fixed(
            PORT_NAME,
            ParameterValue::Integer(DEFAULT_PORT),
            "TCP port to listen on for clients; 0 lets the kernel choose.",
            PORT,
        ),
        fixed(OTHER_ADDRESS, text(""), "Another name of tcp_address, that of the Python endpoint.", Constraint::Any),
        fixed(
            OTHER_PORT,
            ParameterValue::Integer(NOT_GIVEN),
            "Another name of tcp_port, that of the Python endpoint; -1: not given.",
            Constraint::Integer { min: NOT_GIVEN, max: u16::MAX as i64 },
        ),
        fixed(
            CERTIFICATE,
            text(""),
            "File with the certificate chain, PEM: with it, clients speak TLS.",
            Constraint::Any,
        ),
        fixed(KEY, text(""), "File with the key of the certificate, PEM.", Constraint::Any),
        fixed(
            CLIENT_CA,
            text(""),
            "File with the authorities, PEM, of which clients need a certificate.",
            Constraint::Any,
        ),
        fixed(
            "subscribe_allow",
            all_names(),
            "Topics that clients may subscribe to: full names, in which * stands for any part and ** for any parts.",
            Constraint::NamePatterns,
        ),
        fixed("publish_allow", all_names(), "Topics that clients may publish.", Constraint::NamePatterns),
        fixed("call_allow", all_names(), "Services of ROS that clients may call.", Constraint::NamePatterns),
        fixed("offer_allow", all_names(), "Services that clients may offer to ROS.", Constraint::NamePatterns),
        integer("max_clients", 8, "Clients at a time; more are told so and closed.", 1, 1024),
        integer("max_registrations", 256, "Topics and services of one client.", 1, 65_536),
        integer("max_pending_calls", 64, "Service calls of one client that wait, in each direction.", 1, 4096),
        integer(
            "max_destination_bytes",
            1024,
            "Longest name in a frame; a client that sends more is closed.",
            64,
            65_536,
        ),
        integer(
            "max_payload_bytes",
            64 << 20,
            "Longest message in a frame from a client; a client that sends more is closed.",
            1024,
            BYTES_MAX,
        ),
        fixed(
            "max_frame_rate",
            ParameterValue::Double(20_000.0),
            "Frames per second that are read from one client; a faster one is slowed down by TCP.",
            Constraint::Double { min: 1.0, max: 1e9 },
        ),
        integer(
            "max_queued_bytes",
            64 << 20,
            "Bytes of messages that may wait for one client; beyond, the topic that has most of them loses its oldest.",
            1024,
            BYTES_MAX,
        ),
        integer(
            "queue_size",
            10,
            "Messages of a topic that wait for a client, unless it asks otherwise.",
            1,
            QUEUE_SIZE_MAX.into(),
        ),
        integer(
            "image_queue_size",
            1,
            "The same for sensor_msgs/msg/Image and CompressedImage.",
            1,
            QUEUE_SIZE_MAX.into(),
        ),
        seconds("service_timeout", 5.0, "Seconds within which a service, of ROS or of a client, has to answer."),
        fixed(
            "service_failure_mode",
            text("error"),
            "What a client gets for a call that failed, beside an error text: nothing more (error), or a response of \
             default values, since Unity waits for one for ever (default_response).",
            Constraint::OneOf(&["error", "default_response"]),
        ),
        seconds(
            "silence_timeout",
            30.0,
            "Seconds after which a client that sends nothing, not even keepalives, is closed.",
        ),
        fixed(
            "suppress_echo",
            ParameterValue::Bool(false),
            "Do not send a client the messages that it has published itself.",
            Constraint::Any,
        ),
        fixed(
            "use_sim_time",
            ParameterValue::Bool(false),
            "Taken, so that a file for all nodes can be given; the bridge has no use for the time of day.",
            Constraint::Any,
        ),
    ]
}

/// What is known of the parameters for good.
pub(crate) struct Settings {
    pub(crate) max_clients: usize,
    pub(crate) max_registrations: usize,
    pub(crate) max_pending_calls: usize,
    pub(crate) max_frame_rate: f64,
    pub(crate) max_queued_bytes: usize,
    pub(crate) limits: Limits,
    queue_size: usize,
    image_queue_size: usize,
    pub(crate) service_timeout: Duration,
    pub(crate) silence_timeout: Duration,
    /// Whether a call that failed is answered with default values.
    pub(crate) answers_failures: bool,
    pub(crate) suppress_echo: bool,
}

/// The longest queue that can be asked for; its places are made at once.
const QUEUE_SIZE_MAX: u32 = 1000;

/// Messages of a topic that is latched by convention: each of its publishers sends some at once, once for all.
const LATCHED_QUEUE_SIZE: usize = 100;

/// What the middleware keeps at most of what a client publishes, until subscribers have it: its bytes are not limited.
const PUBLISHER_DEPTH_MAX: u32 = 100;

/// Images are large, and only the newest is of use.
const IMAGE_TYPES: [&str; 2] = ["sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"];

/// The depth of a publisher whose client wants this one.
pub(crate) fn publisher_depth(wanted: u32) -> usize {
    wanted.clamp(1, PUBLISHER_DEPTH_MAX) as usize
}

impl Settings {
    pub(crate) fn of(parameters: &Parameters) -> Self {
        let count = |name| parameters.get::<i64>(name) as usize;
        let seconds = |name| Duration::from_secs_f64(parameters.get(name));
        Self {
            max_clients: count("max_clients"),
            max_registrations: count("max_registrations"),
            max_pending_calls: count("max_pending_calls"),
            max_frame_rate: parameters.get("max_frame_rate"),
            max_queued_bytes: count("max_queued_bytes"),
            limits: Limits {
                destination_bytes_max: count("max_destination_bytes"),
                payload_bytes_max: count("max_payload_bytes"),
            },
            queue_size: count("queue_size"),
            image_queue_size: count("image_queue_size"),
            service_timeout: seconds("service_timeout"),
            silence_timeout: seconds("silence_timeout"),
            answers_failures: parameters.get::<String>("service_failure_mode") == "default_response",
            suppress_echo: parameters.get("suppress_echo"),
        }
    }

    /// How many messages of a topic of this full name wait.
    pub(crate) fn queue_size(&self, wanted: Option<u32>, topic: &str, message_type: &str) -> usize {
        match wanted {
            Some(wanted) => wanted.clamp(1, QUEUE_SIZE_MAX) as usize,
            None if is_latched(topic) => LATCHED_QUEUE_SIZE.max(self.queue_size),
            None if IMAGE_TYPES.contains(&message_type) => self.image_queue_size,
            None => self.queue_size,
        }
    }
}

/// Where clients are listened for.
///
/// # Errors
/// When it is no address, or one is given twice by different names.
pub(crate) fn listen_address(parameters: &Parameters) -> Result<ListenAddress, Vec<String>> {
    let (host, other_host) = (parameters.get::<String>(ADDRESS), parameters.get::<String>(OTHER_ADDRESS));
    let other_host = Some(other_host).filter(|other| !other.is_empty());
    let host = one_of([ADDRESS, OTHER_ADDRESS], host, &DEFAULT_ADDRESS.to_owned(), other_host);
    let (port, other_port) = (parameters.get::<i64>(PORT_NAME), parameters.get::<i64>(OTHER_PORT));
    let other_port = Some(other_port).filter(|other| *other != NOT_GIVEN);
    let port = one_of([PORT_NAME, OTHER_PORT], port, &DEFAULT_PORT, other_port);
    match (host.and_then(host_text), port) {
        (Ok(host), Ok(port)) => format!("{host}:{port}")
            .parse()
            .map_err(|error| vec![format!("parameters {ADDRESS} and {PORT_NAME}: {error}")]),
        (host, port) => Err(host.err().into_iter().chain(port.err()).collect()),
    }
}

/// A host as it stands before a port.
fn host_text(host: String) -> Result<String, String> {
    match host.as_str() {
        // Nothing would stand for every interface.
        "" => Err(format!("parameter {ADDRESS}: is empty; 0.0.0.0 is every interface")),
        address if address.contains(':') && !address.starts_with('[') => Ok(format!("[{address}]")),
        _ => Ok(host),
    }
}

/// The value that is given by one of two names; nobody can tell a first one that is the default from one that is not given.
fn one_of<T: PartialEq>(names: [&str; 2], first: T, default: &T, second: Option<T>) -> Result<T, String> {
    match second {
        Some(second) if first == *default || first == second => Ok(second),
        Some(_) => Err(format!("parameters {} and {} mean the same and differ: give one", names[0], names[1])),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(given: &[(&str, ParameterValue)]) -> Result<String, String> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let address = listen_address(&Parameters::load(declarations(), given).expect("good"));
        address.map(|address| address.to_string()).map_err(|faults| faults.join("\n"))
    }

    #[test]
    fn the_address_has_two_names_of_which_one_is_enough() {
        let text = |text: &str| ParameterValue::String(text.to_owned());
        let number = ParameterValue::Integer;
        assert_eq!(address(&[]).as_deref(), Ok("127.0.0.1:10000"));
        assert_eq!(address(&[(OTHER_ADDRESS, text("0.0.0.0"))]).as_deref(), Ok("0.0.0.0:10000"));
        assert_eq!(address(&[(ADDRESS, text("::1")), (OTHER_PORT, number(7))]).as_deref(), Ok("[::1]:7"));
        assert_eq!(address(&[(PORT_NAME, number(7)), (OTHER_PORT, number(7))]).as_deref(), Ok("127.0.0.1:7"));
        let told = address(&[(PORT_NAME, number(7)), (OTHER_PORT, number(8))]).expect_err("two ports");
        assert!(told.contains("tcp_port") && told.contains("ROS_TCP_PORT"), "{told}");
        // The narrower one by the other name is not to be passed over.
        let two = [(ADDRESS, text("0.0.0.0")), (OTHER_ADDRESS, text("127.0.0.1"))];
        assert!(address(&two).expect_err("two addresses").contains("ROS_IP"));
        let both = [two.as_slice(), &[(PORT_NAME, number(7)), (OTHER_PORT, number(8))]].concat();
        assert_eq!(address(&both).expect_err("two of each").lines().count(), 2);
        assert!(address(&[(ADDRESS, text(""))]).expect_err("none").contains("every interface"));
        assert!(address(&[(ADDRESS, text("no host"))]).expect_err("no address").contains("tcp_address"));
    }

    #[test]
    fn the_defaults_pass_their_own_checks() {
        let defaults =
            declarations().into_iter().map(|declared| (declared.name.to_owned(), declared.default)).collect();
        assert!(Parameters::load(declarations(), defaults).is_ok());
    }
}
