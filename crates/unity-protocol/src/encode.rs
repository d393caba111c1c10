//! What the endpoint says. It ends nothing with NUL: Unity looks topics up by the exact text.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

/// What is sent first on a connection. Unity wants the version to begin with `v0.7.`; the metadata is JSON in a string.
const HANDSHAKE: &[u8] = br#"{"version": "v0.7.0", "metadata": "{\"protocol\": \"ROS2\"}"}"#;

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct ServiceId {
    srv_id: i64,
}

#[derive(Serialize)]
struct TopicList<'a> {
    topics: Vec<&'a str>,
    types: Vec<String>,
}

/// All that goes before a payload of `payload_bytes` for `destination`, so that the payload can be written from where it lies.
///
/// # Panics
/// When `destination` has 4 GiB or more.
pub fn message_prefix(destination: &str, payload_bytes: u32, out: &mut impl BufMut) {
    out.put_u32_le(length(destination.as_bytes()));
    out.put_slice(destination.as_bytes());
    out.put_u32_le(payload_bytes);
}

/// A whole frame.
///
/// # Panics
/// When one of its parts has 4 GiB or more.
#[must_use]
pub fn frame(destination: &str, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(2 * size_of::<u32>() + destination.len() + payload.len());
    message_prefix(destination, length(payload), &mut frame);
    frame.put_slice(payload);
    frame.freeze()
}

/// The endpoint's first frame.
#[must_use]
pub fn handshake() -> Bytes {
    frame("__handshake", HANDSHAKE)
}

/// A text for Unity's console.
#[must_use]
pub fn log(text: &str) -> Bytes {
    command("__log", &Text { text })
}

/// A warning for Unity's console.
#[must_use]
pub fn warn(text: &str) -> Bytes {
    command("__warn", &Text { text })
}

/// An error for Unity's console.
#[must_use]
pub fn error(text: &str) -> Bytes {
    command("__error", &Text { text })
}

/// Announces a call of one of Unity's services. The frame with the request has to follow directly.
#[must_use]
pub fn request_header(id: i64) -> Bytes {
    command("__request", &ServiceId { srv_id: id })
}

/// Announces the response to a call of Unity's. The frame with the response has to follow directly.
#[must_use]
pub fn response_header(id: i64) -> Bytes {
    command("__response", &ServiceId { srv_id: id })
}

/// The answer to a [`Command::TopicList`](crate::Command::TopicList): topics with their types, which are given as `package/msg/Type`.
#[must_use]
pub fn topic_list<'a>(topics: impl IntoIterator<Item = (&'a str, &'a str)>) -> Bytes {
    let unity_type = |message_type: &str| message_type.replacen("/msg/", "/", 1);
    let (topics, types) = topics.into_iter().map(|(topic, message_type)| (topic, unity_type(message_type))).unzip();
    command("__topic_list", &TopicList { topics, types })
}

fn command(name: &str, fields: &impl Serialize) -> Bytes {
    frame(name, &serde_json::to_vec(fields).expect("texts and numbers"))
}

fn length(part: &[u8]) -> u32 {
    u32::try_from(part.len()).expect("less than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, Limits};

    /// Destination and payload of a frame that has to be whole.
    fn parts(frame: Bytes) -> (String, String) {
        let frame = Decoder::new(Limits::default()).decode(&mut BytesMut::from(frame)).expect("good").expect("whole");
        (frame.destination().to_owned(), String::from_utf8(frame.payload.to_vec()).expect("JSON"))
    }

    #[test]
    fn the_handshake_is_the_one_that_unity_accepts() {
        let (destination, payload) = parts(handshake());
        assert_eq!(destination, "__handshake");
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        assert_eq!(payload["version"], "v0.7.0");
        assert_eq!(payload["metadata"], r#"{"protocol": "ROS2"}"#, "a string that holds JSON");
    }

    #[test]
    fn commands_are_compact_json_without_nul() {
        let text = "line\n\"quoted\"";
        let json = r#"{"text":"line\n\"quoted\""}"#;
        for (frame, destination) in [(log(text), "__log"), (warn(text), "__warn"), (error(text), "__error")] {
            assert_eq!(parts(frame), (destination.into(), json.into()));
        }
        assert_eq!(parts(request_header(1001)), ("__request".into(), r#"{"srv_id":1001}"#.into()));
        assert_eq!(parts(response_header(101)), ("__response".into(), r#"{"srv_id":101}"#.into()));
    }

    #[test]
    fn a_topic_list_has_parallel_arrays_and_the_types_of_unity() {
        let topics = [("/chatter", "std_msgs/msg/String"), ("/msg/x", "sensor_msgs/msg/Image")];
        let json = r#"{"topics":["/chatter","/msg/x"],"types":["std_msgs/String","sensor_msgs/Image"]}"#;
        assert_eq!(parts(topic_list(topics)), ("__topic_list".into(), json.into()));
        assert_eq!(parts(topic_list([])).1, r#"{"topics":[],"types":[]}"#);
    }

    #[test]
    fn a_prefix_and_a_payload_are_a_frame() {
        let mut written = BytesMut::new();
        message_prefix("/chatter", 3, &mut written);
        written.put_slice(b"abc");
        assert_eq!(written, frame("/chatter", b"abc"));
        assert_eq!(written[..], *b"\x08\0\0\0/chatter\x03\0\0\0abc");
    }
}
