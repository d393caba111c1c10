//! What a client did wrong without harm to the connection.

use thiserror::Error;

use crate::command::Command;
use crate::session::Call;

/// Why a frame was not understood. It has no other effect; the texts are for whoever wrote the client.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// A destination that begins as commands do, but is none.
    #[error("unknown command \"{command}\"; there are: {}", Command::DESTINATIONS.join(", "))]
    UnknownCommand {
        /// Its beginning.
        command: String,
    },
    /// More than any command has to say.
    #[error("{command} of {bytes} bytes was not read: at most {max} are allowed")]
    CommandTooLong {
        /// The command.
        command: String,
        /// What its payload has.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// The payload of a command is no JSON.
    #[error("{command} is no JSON: {reason}; send one object, with a NUL behind it or without")]
    BadJson {
        /// The command.
        command: String,
        /// What the reader of JSON says.
        reason: String,
    },
    /// A field is missing, or is not what it should be.
    #[error("{command} has a field that is missing or wrong: {reason}")]
    BadField {
        /// The command.
        command: String,
        /// What the reader of JSON says.
        reason: String,
    },
    /// A name that ROS does not allow.
    #[error(
        "{command}: \"{name}\" cannot be the name of a topic or a service; use letters, digits and underscores between \
         slashes, no part beginning with a digit, and at most 255 characters"
    )]
    BadName {
        /// The command.
        command: String,
        /// Its beginning.
        name: String,
    },
    /// A type that ROS does not allow.
    #[error("{command}: \"{name}\" cannot be a type here; send package/Type or package/{part}/Type")]
    BadType {
        /// The command.
        command: String,
        /// Its beginning.
        name: String,
        /// `msg` or `srv`.
        part: &'static str,
    },
    /// A `__request` with the id of another one whose payload has not come.
    #[error("__request with id {id}, which waits for its payload already; count ids up")]
    DuplicateRequest {
        /// The id.
        id: i64,
    },
    /// A `__response` to what was not asked, or was answered.
    #[error("__response with id {id}, of which no request waits: it was never sent, is answered, or long timed out")]
    UnknownResponse {
        /// The id.
        id: i64,
    },
    /// The response to a request whose caller waits no longer.
    #[error("the response of \"{service}\" to request {id} came after its time-out and was dropped")]
    LateResponse {
        /// The id.
        id: i64,
        /// The service.
        service: String,
    },
    /// Too many `__request` and `__response` whose payloads have not come.
    #[error("{call} was refused: {max} ids wait for their payloads already; send the payload of each right behind it")]
    TooManyPending {
        /// The one that was refused.
        call: Call,
        /// What is allowed.
        max: usize,
    },
    /// Too many services that the client may call.
    #[error("__ros_service of \"{service}\" was refused: {max} are registered; remove some with __remove_ros_service")]
    TooManyServices {
        /// The one that was refused.
        service: String,
        /// What is allowed.
        max: usize,
    },
    /// A payload for nobody.
    #[error("a payload of {bytes} bytes without a destination; name a topic or a service")]
    NoDestination {
        /// What the payload has.
        bytes: usize,
    },
}

impl Fault {
    /// Every [`kind`](Fault::kind).
    pub const KINDS: [&str; 12] = [
        "unknown_command",
        "command_too_long",
        "bad_json",
        "bad_field",
        "bad_name",
        "bad_type",
        "duplicate_request",
        "unknown_response",
        "late_response",
        "too_many_pending",
        "too_many_services",
        "no_destination",
    ];

    /// The fault as the value of a metric's label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Fault::UnknownCommand { .. } => "unknown_command",
            Fault::CommandTooLong { .. } => "command_too_long",
            Fault::BadJson { .. } => "bad_json",
            Fault::BadField { .. } => "bad_field",
            Fault::BadName { .. } => "bad_name",
            Fault::BadType { .. } => "bad_type",
            Fault::DuplicateRequest { .. } => "duplicate_request",
            Fault::UnknownResponse { .. } => "unknown_response",
            Fault::LateResponse { .. } => "late_response",
            Fault::TooManyPending { .. } => "too_many_pending",
            Fault::TooManyServices { .. } => "too_many_services",
            Fault::NoDestination { .. } => "no_destination",
        }
    }
}
