//! What a client says in one frame: its JSON, read and checked.

use ros_name::is_topic_name;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::excerpt::excerpt;
use crate::fault::Fault;
use crate::frame::trim_nul;
use crate::qos_request::QosRequest;
use crate::session::Call;
use crate::type_name::Interface;

/// The longest payload of a command that is read. Unity's have 200 bytes.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// Where Unity's own queue of a topic begins to drop, and the Python endpoint's default.
const QUEUE_SIZE: u32 = 10;

/// What a client wants of the endpoint.
///
/// Names of topics and services are just as the client gave them, which is how it wants to hear them again, and are names that ROS allows,
/// be they full or not. Types are full: `std_msgs/msg/String`, `std_srvs/srv/SetBool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Wants the messages of a topic.
    Subscribe {
        /// The topic.
        topic: String,
        /// The type of its messages.
        message_type: String,
        /// How many messages may wait for the client; our extension.
        queue_size: Option<u32>,
        /// The quality of service that is wanted; our extension.
        qos: QosRequest,
    },
    /// Will send messages to a topic.
    Publish {
        /// The topic.
        topic: String,
        /// The type of its messages.
        message_type: String,
        /// How many messages may wait for subscribers.
        queue_size: u32,
        /// Whether who subscribes later wants the last message.
        latch: bool,
    },
    /// Will call a service.
    RosService {
        /// The service.
        service: String,
        /// Its type.
        service_type: String,
    },
    /// Offers a service.
    UnityService {
        /// The service.
        service: String,
        /// Its type.
        service_type: String,
    },
    /// Wants to know all topics.
    TopicList,
    /// Wants no more messages of a topic.
    RemoveSubscriber {
        /// The topic.
        topic: String,
    },
    /// Will send no more messages to a topic.
    RemovePublisher {
        /// The topic.
        topic: String,
    },
    /// Will not call a service any more.
    RemoveRosService {
        /// The service.
        service: String,
    },
    /// Offers a service no longer.
    RemoveUnityService {
        /// The service.
        service: String,
    },
}

/// What a command frame says: something complete, or that a frame of a call follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    Command(Command),
    Announcement(Call),
}

/// The fields of every command that registers something.
#[derive(Deserialize)]
struct Registration {
    topic: String,
    message_name: String,
    queue_size: Option<u32>,
    latch: Option<bool>,
    qos: Option<QosRequest>,
}

#[derive(Deserialize)]
struct Removal {
    topic: String,
}

#[derive(Deserialize)]
struct ServiceId {
    srv_id: i64,
}

impl Command {
    /// What a client may send as a command.
    pub const DESTINATIONS: [&str; 11] = [
        "__subscribe",
        "__publish",
        "__ros_service",
        "__unity_service",
        "__request",
        "__response",
        "__topic_list",
        "__remove_subscriber",
        "__remove_publisher",
        "__remove_ros_service",
        "__remove_unity_service",
    ];
}

impl Statement {
    /// Reads the command that a frame for `destination` is, with its JSON, which may end in NULs. Fields that it does not have are ignored.
    pub(crate) fn read(destination: &str, payload: &[u8]) -> Result<Statement, Fault> {
        let payload = Payload { command: destination, json: trim_nul(payload) };
        Ok(Statement::Command(match destination {
            "__request" => return payload.announcement(Call::FromClient),
            "__response" => return payload.announcement(Call::ToClient),
            "__subscribe" => payload.subscribe()?,
            "__publish" => payload.publish()?,
            "__ros_service" => payload.ros_service()?,
            "__unity_service" => payload.unity_service()?,
            // It has nothing to say: its payload is not read.
            "__topic_list" => Command::TopicList,
            "__remove_subscriber" => Command::RemoveSubscriber { topic: payload.removed()? },
            "__remove_publisher" => Command::RemovePublisher { topic: payload.removed()? },
            "__remove_ros_service" => Command::RemoveRosService { service: payload.removed()? },
            "__remove_unity_service" => Command::RemoveUnityService { service: payload.removed()? },
            _ => return Err(Fault::UnknownCommand { command: excerpt(destination) }),
        }))
    }
}

/// The JSON of a command.
struct Payload<'a> {
    command: &'a str,
    json: &'a [u8],
}

impl Payload<'_> {
    fn announcement(&self, call: fn(i64) -> Call) -> Result<Statement, Fault> {
        let ServiceId { srv_id } = self.fields()?;
        Ok(Statement::Announcement(call(srv_id)))
    }

    fn subscribe(&self) -> Result<Command, Fault> {
        let fields: Registration = self.fields()?;
        Ok(Command::Subscribe {
            message_type: self.full_type_name(Interface::Message, &fields.message_name)?,
            topic: self.checked_name(fields.topic)?,
            queue_size: fields.queue_size,
            qos: fields.qos.unwrap_or_default(),
        })
    }

    fn publish(&self) -> Result<Command, Fault> {
        let fields: Registration = self.fields()?;
        Ok(Command::Publish {
            message_type: self.full_type_name(Interface::Message, &fields.message_name)?,
            topic: self.checked_name(fields.topic)?,
            queue_size: fields.queue_size.unwrap_or(QUEUE_SIZE),
            latch: fields.latch.unwrap_or(false),
        })
    }

    fn ros_service(&self) -> Result<Command, Fault> {
        let (service, service_type) = self.service()?;
        Ok(Command::RosService { service, service_type })
    }

    fn unity_service(&self) -> Result<Command, Fault> {
        let (service, service_type) = self.service()?;
        Ok(Command::UnityService { service, service_type })
    }

    fn service(&self) -> Result<(String, String), Fault> {
        let fields: Registration = self.fields()?;
        let service_type = self.full_type_name(Interface::Service, &fields.message_name)?;
        Ok((self.checked_name(fields.topic)?, service_type))
    }

    fn removed(&self) -> Result<String, Fault> {
        let Removal { topic } = self.fields()?;
        self.checked_name(topic)
    }

    fn fields<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let command = self.command.to_owned();
        if self.json.len() > PAYLOAD_BYTES_MAX {
            return Err(Fault::CommandTooLong { command, bytes: self.json.len(), max: PAYLOAD_BYTES_MAX });
        }
        // An array would be read too, as the fields in the order in which they stand here.
        if !self.json.trim_ascii_start().starts_with(b"{") {
            return Err(Fault::BadJson { command, reason: "expected an object".into() });
        }
        serde_json::from_slice(self.json).map_err(|error| {
            let reason = excerpt(&error.to_string());
            match error.classify() {
                Category::Data => Fault::BadField { command, reason },
                Category::Syntax | Category::Eof | Category::Io => Fault::BadJson { command, reason },
            }
        })
    }

    fn checked_name(&self, name: String) -> Result<String, Fault> {
        match is_topic_name(&name) {
            true => Ok(name),
            false => Err(Fault::BadName { command: self.command.into(), name: excerpt(&name) }),
        }
    }

    fn full_type_name(&self, interface: Interface, name: &str) -> Result<String, Fault> {
        interface.full_type_name(name).ok_or_else(|| Fault::BadType {
            command: self.command.into(),
            name: excerpt(name),
            part: interface.part(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qos_request::Reliability;

    fn read(destination: &str, json: &str) -> Result<Command, Fault> {
        Statement::read(destination, json.as_bytes()).map(|statement| match statement {
            Statement::Command(command) => command,
            Statement::Announcement(call) => panic!("{call:?}"),
        })
    }

    #[test]
    fn every_command_is_understood() {
        let json = r#"{"topic":"a","message_name":"b/C","srv_id":1}"#;
        for destination in Command::DESTINATIONS {
            assert!(Statement::read(destination, json.as_bytes()).is_ok(), "{destination}");
        }
    }

    #[test]
    fn a_subscription_may_ask_for_a_queue_and_a_quality_of_service() {
        let plain = r#"{"topic":"scan","message_name":"sensor_msgs/LaserScan"}"#;
        let (topic, message_type) = ("scan".to_owned(), "sensor_msgs/msg/LaserScan".to_owned());
        let subscribe = |queue_size, qos| {
            Ok(Command::Subscribe { topic: topic.clone(), message_type: message_type.clone(), queue_size, qos })
        };
        assert_eq!(read("__subscribe", plain), subscribe(None, QosRequest::default()));
        let extended = plain.replace('}', r#","queue_size":3,"qos":"best_effort"}"#);
        let qos = QosRequest { reliability: Some(Reliability::BestEffort), durability: None };
        assert_eq!(read("__subscribe", &extended), subscribe(Some(3), qos));
    }

    #[test]
    fn a_publisher_has_the_defaults_of_the_python_endpoint() {
        let plain = r#"{"topic":"/cmd","message_name":"geometry_msgs/msg/Twist"}"#;
        let publish = |queue_size, latch| {
            let (topic, message_type) = ("/cmd".to_owned(), "geometry_msgs/msg/Twist".to_owned());
            Ok(Command::Publish { topic, message_type, queue_size, latch })
        };
        assert_eq!(read("__publish", plain), publish(10, false));
        assert_eq!(read("__publish", &plain.replace('}', r#","queue_size":1,"latch":true}"#)), publish(1, true));
    }

    #[test]
    fn services_have_types_of_services() {
        let json = r#"{"topic":"/set","message_name":"std_srvs/SetBool"}"#;
        let (service, service_type) = ("/set".to_owned(), "std_srvs/srv/SetBool".to_owned());
        let registered = Command::RosService { service: service.clone(), service_type: service_type.clone() };
        assert_eq!(read("__ros_service", json), Ok(registered));
        assert_eq!(read("__unity_service", json), Ok(Command::UnityService { service, service_type }));
    }

    #[test]
    fn each_removal_is_of_its_own_kind() {
        let removed = |destination| read(destination, r#"{"topic":"/a"}"#);
        let name = || "/a".to_owned();
        assert_eq!(removed("__remove_subscriber"), Ok(Command::RemoveSubscriber { topic: name() }));
        assert_eq!(removed("__remove_publisher"), Ok(Command::RemovePublisher { topic: name() }));
        assert_eq!(removed("__remove_ros_service"), Ok(Command::RemoveRosService { service: name() }));
        assert_eq!(removed("__remove_unity_service"), Ok(Command::RemoveUnityService { service: name() }));
    }

    #[test]
    fn announcements_tell_whose_call_it_is() {
        let announced = |destination| Statement::read(destination, br#"{"srv_id":101}"#);
        assert_eq!(announced("__request"), Ok(Statement::Announcement(Call::FromClient(101))));
        assert_eq!(announced("__response"), Ok(Statement::Announcement(Call::ToClient(101))));
    }

    #[test]
    fn nuls_at_the_end_and_fields_of_others_are_ignored() {
        let removed = Ok(Command::RemoveSubscriber { topic: "/a".into() });
        assert_eq!(read("__remove_subscriber", "{\"topic\":\"/a\"}\0"), removed);
        assert_eq!(read("__remove_subscriber", r#"{"topic":"/a","since":{"unity":[6]}}"#), removed);
        assert_eq!(read("__topic_list", "{}\0"), Ok(Command::TopicList));
    }

    #[test]
    fn faults_tell_what_is_wrong_in_which_command() {
        for (destination, json, kind, words) in [
            ("__tf", "{}", "unknown_command", "unknown command \"__tf\""),
            ("__publish", "{\"topic\"", "bad_json", "__publish is no JSON: EOF"),
            ("__publish", "", "bad_json", "expected an object"),
            ("__request", "[101]", "bad_json", "expected an object"),
            ("__publish", r#"{"topic":"/a"}"#, "bad_field", "missing field `message_name`"),
            ("__request", r#"{"srv_id":"101"}"#, "bad_field", "invalid type: string \"101\", expected i64"),
            ("__subscribe", r#"{"topic":"/a","message_name":"a/B","queue_size":-1}"#, "bad_field", "expected u32"),
            ("__subscribe", r#"{"topic":"/a b","message_name":"a/B"}"#, "bad_name", "\"/a b\" cannot be the name"),
            ("__remove_publisher", r#"{"topic":""}"#, "bad_name", "__remove_publisher"),
            ("__subscribe", r#"{"topic":"/a","message_name":"Twist"}"#, "bad_type", "package/Type or package/msg/Type"),
            ("__ros_service", r#"{"topic":"/a","message_name":"a/msg/B"}"#, "bad_type", "package/srv/Type"),
        ] {
            let fault = read(destination, json).expect_err(json);
            assert_eq!(fault.kind(), kind, "{fault}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
    }

    #[test]
    fn a_command_that_is_too_long_is_not_read() {
        let json = |padding: usize| format!(r#"{{"topic":"/a"{}}}"#, " ".repeat(padding));
        let padding = PAYLOAD_BYTES_MAX - json(0).len();
        assert!(read("__remove_publisher", &json(padding)).is_ok());
        let fault = read("__remove_publisher", &json(padding + 1)).expect_err("too long");
        assert_eq!(fault.kind(), "command_too_long");
    }
}
