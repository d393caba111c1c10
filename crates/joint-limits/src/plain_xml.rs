//! XML of nothing but elements and attributes with plain names, and of these no more than a description needs.
//!
//! Invariant: what comes out is what this one reader understood, written anew. So whatever reads it next, and calls itself
//! for each level, meets no more levels than were counted here, and nothing that two readers take for different things.
//! Not for: texts whose comments, characters or namespaces matter. A URDF says everything of a joint in attributes.

use xml::attribute::OwnedAttribute;
use xml::name::OwnedName;
use xml::namespace::Namespace;
use xml::reader::{EventReader, ParserConfig2, XmlEvent as Read};
use xml::writer::{EmitterConfig, EventWriter, XmlEvent as Write};

use crate::BadDescription;

/// The longest text that is read.
pub(crate) const BYTES_MAX: usize = 4 << 20;

/// The most elements, and elements in one another, that are read.
pub(crate) const ELEMENTS_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

/// The most prefixes that are read: the reader copies all of them for each element.
const PREFIXES_MAX: usize = 64;

/// Reads a text, and writes it anew. Elements with a prefix (`<xacro:property/>`) are another language's: they are left out
/// with all that is in them. Their attributes alike.
pub(crate) fn rewrite(text: &str) -> Result<String, BadDescription> {
    if text.len() > BYTES_MAX {
        return Err(BadDescription(format!("{} bytes, of which at most {BYTES_MAX} are read", text.len())));
    }
    // A declared entity may be longer than the text that names it: without this, without end.
    let mut reader = ParserConfig2::new().max_data_length(BYTES_MAX).create_reader(text.as_bytes());
    let mut copy = Copy::new();
    loop {
        let event = reader.next().map_err(bad)?;
        refuse_document_type(&reader)?;
        match event {
            Read::StartElement { name, attributes, namespace } => copy.start(&name, &attributes, &namespace)?,
            Read::EndElement { .. } => copy.end()?,
            Read::EndDocument => return String::from_utf8(copy.writer.into_inner()).map_err(bad),
            _ => {}
        }
    }
}

/// No URDF needs one, and what it declares would have to be bounded too.
fn refuse_document_type(reader: &EventReader<&[u8]>) -> Result<(), BadDescription> {
    match reader.doctype() {
        Some(_) => Err(BadDescription("it has a document type (DOCTYPE), which is not read".to_owned())),
        None => Ok(()),
    }
}

/// What was read so far, written anew.
struct Copy {
    writer: EventWriter<Vec<u8>>,
    elements: usize,
    depth: usize,
    /// How deep the element is that is left out, if one is.
    left_out_from: Option<usize>,
}

impl Copy {
    fn new() -> Self {
        let config = EmitterConfig::new().write_document_declaration(false);
        Self { writer: config.create_writer(Vec::new()), elements: 0, depth: 0, left_out_from: None }
    }

    fn start(
        &mut self,
        name: &OwnedName,
        attributes: &[OwnedAttribute],
        namespace: &Namespace,
    ) -> Result<(), BadDescription> {
        (self.depth, self.elements) = (self.depth + 1, self.elements + 1);
        if self.depth > DEPTH_MAX || self.elements > ELEMENTS_MAX {
            return Err(BadDescription(format!("more than {ELEMENTS_MAX} elements, or {DEPTH_MAX} in one another")));
        }
        if namespace.0.len() > PREFIXES_MAX {
            return Err(BadDescription(format!("more than {PREFIXES_MAX} prefixes")));
        }
        if name.prefix.is_some() {
            self.left_out_from.get_or_insert(self.depth);
        }
        if self.left_out_from.is_some() {
            return Ok(());
        }
        let plain = attributes.iter().filter(|attribute| attribute.name.prefix.is_none());
        let element = plain.fold(Write::start_element(&*name.local_name), |element, attribute| {
            element.attr(&*attribute.name.local_name, &attribute.value)
        });
        self.writer.write(element).map_err(bad)
    }

    fn end(&mut self) -> Result<(), BadDescription> {
        if self.left_out_from.is_none() {
            self.writer.write(Write::end_element()).map_err(bad)?;
        } else if self.left_out_from == Some(self.depth) {
            self.left_out_from = None;
        }
        self.depth -= 1;
        Ok(())
    }
}

fn bad(error: impl std::fmt::Display) -> BadDescription {
    BadDescription(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_attributes_with_plain_names_are_left() {
        let text = r#"<?xml version="1.0" encoding="utf-8"?><!-- <b> --><?pi a ? > <b> ?>
            <a xmlns="q" xmlns:x="r" x:one="1" two="&lt;&amp;&#34;'&#10;ä">
                text <![CDATA[<b>]]> <x:b><c><x:b/></c></x:b> <d/><e><f three=""/></e>
            </a>"#;
        let plain = r#"<a two="&lt;&amp;&quot;&apos;&#xA;ä"><d /><e><f three="" /></e></a>"#;
        assert_eq!(rewrite(text), Ok(plain.to_owned()));
        assert_eq!(rewrite(plain), Ok(plain.to_owned()));
    }

    #[test]
    fn what_would_take_long_is_refused() {
        let prefixes: String = (0..50_000).map(|number| format!(" xmlns:a{number}='q'")).collect();
        let told = rewrite(&format!("<a{prefixes}>{}</a>", "<b/>".repeat(ELEMENTS_MAX - 1))).unwrap_err();
        assert_eq!(told.to_string(), "no URDF: more than 64 prefixes");
        let laughs: String =
            (1..9).map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(99))).collect();
        let told =
            rewrite(&format!("<!DOCTYPE a [<!ENTITY l0 'ha'>{laughs}]><a>{}</a>", "&l8;".repeat(99))).unwrap_err();
        assert!(told.to_string().contains("DOCTYPE"), "{told}");
    }
}
