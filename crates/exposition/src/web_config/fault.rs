//! What is wrong with a web configuration, all of it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong, and where. Never shows a value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The web configuration file.
    pub file: PathBuf,
    /// The key, with those above it: `tls_server_config.cert_file`; empty when it is about the file as a whole.
    pub key: String,
    /// What is wrong with it, for a person to read, in one line.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, key, message } = self;
        if key.is_empty() {
            write!(f, "{}: {message}", file.display())
        } else {
            write!(f, "{}: {key}: {message}", file.display())
        }
    }
}

/// All that is wrong with a web configuration: at least one [`Fault`]. Displayed with one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfigError {
    faults: Vec<Fault>,
}

impl WebConfigError {
    /// The faults, in the order in which they were found.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for WebConfigError {}

/// The faults found so far in one file.
pub(super) struct Faults {
    file: PathBuf,
    found: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    pub(super) fn add(&mut self, key: impl AsRef<str>, message: impl fmt::Display) {
        let (key, message) = (one_line(key.as_ref()), one_line(&message.to_string()));
        self.found.push(Fault { file: self.file.clone(), key, message });
    }

    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, WebConfigError> {
        if self.found.is_empty() { Ok(value) } else { Err(WebConfigError { faults: self.found }) }
    }
}

/// Both can quote the file, in which a string can hold any character.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }
    line
}
