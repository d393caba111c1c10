//! Which paths there are.

use std::fmt;
use std::str::FromStr;

use crate::live;

/// One of the server's endpoints; also the `endpoint` label of its metrics, so that a client cannot make up label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Metrics,
    Liveness,
    Readiness,
    Landing,
    /// A file of the live page, by its index.
    Live(usize),
    LiveEvents,
    Unknown,
}

impl Endpoint {
    /// Those that every exporter has.
    pub(crate) const ALWAYS: [Self; 5] = [Self::Metrics, Self::Liveness, Self::Readiness, Self::Landing, Self::Unknown];
    /// Those of a live page.
    pub(crate) const OF_LIVE: [Self; 2] = [Self::Live(0), Self::LiveEvents];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Liveness => "livez",
            Self::Readiness => "readyz",
            Self::Landing => "landing",
            Self::Live(_) => "live",
            Self::LiveEvents => "live_events",
            Self::Unknown => "unknown",
        }
    }

    /// Asked by an orchestrator, which takes an answer that does not come for a failure.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Self::Liveness | Self::Readiness)
    }

    /// But for those of a live page.
    pub(crate) fn of_path(path: &str, telemetry_path: &TelemetryPath) -> Self {
        match path {
            "/" => Self::Landing,
            "/livez" => Self::Liveness,
            "/readyz" => Self::Readiness,
            _ if path == telemetry_path.0 => Self::Metrics,
            _ => Self::Unknown,
        }
    }
}

/// The path of the exposition (`--web.telemetry-path`): starts with `/` and is none of the server's other paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// Text that is no [`TelemetryPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryPathError {
    /// It does not start with `/`.
    #[error("the telemetry path '{0}' must start with '/'")]
    NotAbsolute(String),
    /// It is the path of something else.
    #[error("the telemetry path must not be '{0}': that path is taken; choose another, such as /metrics")]
    Taken(String),
    /// It holds something that a request's path cannot.
    #[error("the telemetry path '{0}' must hold only visible ASCII without '?', '#', '%', '\"', '<' and '>'")]
    Character(String),
}

impl Default for TelemetryPath {
    /// `/metrics`.
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl FromStr for TelemetryPath {
    type Err = TelemetryPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err(TelemetryPathError::NotAbsolute(text.to_owned()));
        }
        let is_live = text.strip_prefix(live::PAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_live || matches!(text, "/" | "/livez" | "/readyz") {
            return Err(TelemetryPathError::Taken(text.to_owned()));
        }
        if text.chars().any(|c| !c.is_ascii_graphic() || "?#%\"<>".contains(c)) {
            return Err(TelemetryPathError::Character(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TelemetryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telemetry_path_is_absolute_and_its_own() {
        assert_eq!("/a/b".parse::<TelemetryPath>().map(|path| path.to_string()), Ok("/a/b".to_owned()));
        for (text, error) in [
            ("metrics", "must start with '/'"),
            ("", "must start with '/'"),
            ("/", "that path is taken"),
            ("/livez", "that path is taken"),
            ("/readyz", "that path is taken"),
            ("/live", "that path is taken"),
            ("/live/a", "that path is taken"),
            ("/a b", "visible ASCII"),
            ("/a?b", "visible ASCII"),
            ("/ä", "visible ASCII"),
        ] {
            let message = text.parse::<TelemetryPath>().expect_err(text).to_string();
            assert!(message.contains(error), "{message}");
        }
    }

    #[test]
    fn paths_are_matched_whole() {
        let telemetry_path = TelemetryPath::default();
        for (path, endpoint) in [
            ("/metrics", Endpoint::Metrics),
            ("/", Endpoint::Landing),
            ("/livez", Endpoint::Liveness),
            ("/readyz", Endpoint::Readiness),
            ("/metrics/", Endpoint::Unknown),
            ("/Metrics", Endpoint::Unknown),
            ("*", Endpoint::Unknown),
        ] {
            assert_eq!(Endpoint::of_path(path, &telemetry_path), endpoint, "{path}");
        }
    }
}
