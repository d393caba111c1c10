//! YAML as a tree that is taken apart key by key, so that one fault does not hide the next.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::fault::Faults;

/// A value as the file has it.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    /// A string, or a number as text: `X-XSS-Protection: 0` means the string.
    Scalar(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, node)) = map.next_entry()? {
            entries.insert(key, node);
        }
        Ok(Node::Map(entries))
    }
}

/// A document's root. Empty text is an empty document.
///
/// # Errors
/// What the parser found, in one line and without an excerpt: the text can hold a private key.
pub(super) fn parse(text: &str) -> Result<Section, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    let node = serde_saphyr::from_str_with_options::<Node>(text, options)
        .map_err(|error| error.without_snippet().to_string().replace('\n', " "))?;
    match node {
        Node::Null => Ok(Section { path: String::new(), entries: BTreeMap::new() }),
        Node::Map(entries) => Ok(Section { path: String::new(), entries }),
        _ => Err("must be a mapping of keys to values".to_owned()),
    }
}

/// A mapping whose keys are taken one by one; what is left over at the end is unknown. An empty value counts as absent.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    entries: BTreeMap<String, Node>,
}

impl Section {
    /// `key` with those above it.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    pub(super) fn text(&mut self, key: &str, faults: &mut Faults) -> Option<String> {
        match self.entries.remove(key)? {
            Node::Null => None,
            Node::Scalar(text) => Some(text).filter(|text| !text.is_empty()),
            _ => self.refuse(key, "must be a string", faults),
        }
    }

    pub(super) fn boolean(&mut self, key: &str, faults: &mut Faults) -> Option<bool> {
        match self.entries.remove(key)? {
            Node::Null => None,
            Node::Boolean(value) => Some(value),
            _ => self.refuse(key, "must be true or false", faults),
        }
    }

    pub(super) fn texts(&mut self, key: &str, faults: &mut Faults) -> Vec<String> {
        let list = match self.entries.remove(key) {
            None | Some(Node::Null) => return Vec::new(),
            Some(Node::List(list)) => list,
            Some(_) => return self.refuse(key, "must be a list of strings", faults).unwrap_or_default(),
        };
        let texts = list.into_iter().map(|node| match node {
            Node::Scalar(text) => Some(text),
            _ => self.refuse(key, "must be a list of strings", faults),
        });
        texts.collect::<Option<_>>().unwrap_or_default()
    }

    pub(super) fn section(&mut self, key: &str, faults: &mut Faults) -> Option<Section> {
        match self.entries.remove(key)? {
            Node::Null => None,
            Node::Map(entries) => Some(Section { path: self.path_of(key), entries }),
            _ => self.refuse(key, "must be a mapping of keys to values", faults),
        }
    }

    pub(super) fn refuse_unknown_keys(self, faults: &mut Faults) {
        for key in self.entries.keys() {
            faults.add(self.path_of(key), "is no key of this format");
        }
    }

    fn refuse<T>(&self, key: &str, message: &str, faults: &mut Faults) -> Option<T> {
        faults.add(self.path_of(key), message);
        None
    }
}
