//! Why a node ends, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// `EX_USAGE` of sysexits.h: the invocation or the configuration is wrong; starting again will not help.
const EXIT_USAGE: u8 = 64;

/// Why a node did not start or had to end.
#[derive(Debug)]
pub enum Failure {
    /// The flags, the parameters or a configuration file: every fault found, each with where it is.
    Configuration(Vec<String>),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// 64 for bad usage or configuration, 1 for anything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(EXIT_USAGE),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(faults) => write!(f, "{}", faults.join("\n")),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}
