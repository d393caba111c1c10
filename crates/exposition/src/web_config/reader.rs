//! Reading one web configuration: its file, the files that it names, the faults on the way.

use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::sources::Sources;
use super::yaml::{self, Section};

pub(super) struct Reader<'a> {
    path: PathBuf,
    sources: &'a mut Sources,
    pub(super) faults: Faults,
}

/// What a key gave: its path for faults, and the bytes.
pub(super) struct Content {
    pub(super) key: String,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &Path, sources: &'a mut Sources) -> Self {
        Self { path: path.to_owned(), sources, faults: Faults::new(path) }
    }

    pub(super) fn read_document(&mut self) -> Option<Section> {
        let bytes = self.sources.read(&self.path).map_err(|error| format!("cannot be read: {error}"));
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()));
        text.and_then(|text| yaml::parse(&text)).map_err(|message| self.faults.add("", message)).ok()
    }

    /// What stands at `inline_key`, or in the file that `file_key` names; a fault when it is both.
    pub(super) fn inline_or_file(
        &mut self,
        section: &mut Section,
        inline_key: &str,
        file_key: &str,
    ) -> Option<Content> {
        let inline = section.text(inline_key, &mut self.faults);
        let file = section.text(file_key, &mut self.faults);
        match (inline, file) {
            (Some(_), Some(_)) => {
                self.faults
                    .add(section.path_of(inline_key), format!("{file_key} is given as well: give one of the two"));
                None
            }
            (Some(text), None) => Some(Content { key: section.path_of(inline_key), bytes: text.into_bytes() }),
            (None, Some(file)) => self.file(section.path_of(file_key), &file),
            (None, None) => None,
        }
    }

    /// A relative path starts at the configuration file's directory.
    fn file(&mut self, key: String, file: &str) -> Option<Content> {
        let path = self.path.parent().unwrap_or(Path::new("")).join(file);
        match self.sources.read(&path) {
            Ok(bytes) => Some(Content { key, bytes }),
            Err(error) => {
                self.faults.add(key, format!("{} cannot be read: {error}", path.display()));
                None
            }
        }
    }
}
