//! The quality of service that a client asks for: an extension of `__subscribe`, which Unity's own connector does not send.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

/// What a client asks for; what it leaves open is chosen from the publishers.
///
/// In JSON the reliability alone, `"best_effort"`, or an object, `{"reliability": "reliable", "durability": "transient_local"}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QosRequest {
    /// Whether what was lost is sent again.
    pub reliability: Option<Reliability>,
    /// Whether what was sent before is wanted too.
    pub durability: Option<Durability>,
}

/// DDS's reliability.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Reliability {
    /// What was lost is sent again.
    Reliable,
    /// What was lost is lost.
    BestEffort,
}

/// DDS's durability.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Only what comes from now on.
    Volatile,
    /// What the publishers keep, too.
    TransientLocal,
}

/// Other fields of a command are ignored for the sake of what clients may send one day; this object is ours, and a word that is spelled
/// wrong in it should not go unseen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    reliability: Option<Reliability>,
    durability: Option<Durability>,
}

impl<'de> Deserialize<'de> for QosRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrObject)
    }
}

struct WordOrObject;

impl<'de> Visitor<'de> for WordOrObject {
    type Value = QosRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"reliable\", \"best_effort\" or an object with \"reliability\" and \"durability\"")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<QosRequest, E> {
        let reliability = Reliability::deserialize(word.into_deserializer())?;
        Ok(QosRequest { reliability: Some(reliability), durability: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<QosRequest, A::Error> {
        let Fields { reliability, durability } = Fields::deserialize(MapAccessDeserializer::new(object))?;
        Ok(QosRequest { reliability, durability })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<QosRequest, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_word_is_the_reliability() {
        let best_effort = QosRequest { reliability: Some(Reliability::BestEffort), durability: None };
        assert_eq!(read(r#""best_effort""#), Ok(best_effort));
        assert_eq!(read(r#"{"reliability": "best_effort"}"#), Ok(best_effort));
    }

    #[test]
    fn an_object_may_have_both_or_neither() {
        let both =
            QosRequest { reliability: Some(Reliability::Reliable), durability: Some(Durability::TransientLocal) };
        assert_eq!(read(r#"{"durability": "transient_local", "reliability": "reliable"}"#), Ok(both));
        assert_eq!(read(r#"{"durability": null}"#), Ok(QosRequest::default()));
        assert_eq!(read("{}"), Ok(QosRequest::default()));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (json, words) in [
            (r#""fast""#, "unknown variant `fast`, expected `reliable` or `best_effort`"),
            (r#"{"durability": "always"}"#, "unknown variant `always`, expected `volatile` or `transient_local`"),
            (r#"{"reliabilty": "reliable"}"#, "unknown field `reliabilty`, expected `reliability` or `durability`"),
            ("7", r#"expected "reliable", "best_effort" or an object"#),
        ] {
            let error = read(json).expect_err("bad");
            assert!(error.contains(words), "{error}");
        }
    }
}
