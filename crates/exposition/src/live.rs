//! A page of the exporter's own that follows its events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, IF_NONE_MATCH};
use ring::digest;

use crate::endpoint::Endpoint;
use crate::events::{EventSource, Events};
use crate::limits::Limits;
use crate::metrics::EventMetrics;
use crate::reply::{self, Reply};

/// Where the page is; its files and its events are below.
pub(crate) const PAGE: &str = "/live";
const EVENTS: &str = "/live/events";

/// What a page may do: load its own files and follow its own events, nothing else.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A page at `/live` that follows the events at `/live/events`.
#[derive(Clone)]
pub struct Live {
    /// What the landing page says of it, in a sentence.
    pub description: String,
    /// The page, in HTML without scripts or styles of its own: these are files.
    pub page: &'static str,
    /// What the page loads.
    pub files: Vec<LiveFile>,
    /// What the page is told.
    pub source: Arc<dyn EventSource>,
    /// Time from one event to the next.
    pub period: Duration,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("files", &self.files).field("period", &self.period).finish_non_exhaustive()
    }
}

/// A file of the page, at `/live/NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveFile {
    /// The last part of its path.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
    pub body: &'static str,
}

/// What there is below [`PAGE`].
pub(crate) struct LivePages {
    files: Vec<(String, LiveFile, HeaderValue)>,
    pub(crate) events: Arc<Events>,
}

impl LivePages {
    pub(crate) fn new(live: Live, limits: &Limits, metrics: EventMetrics) -> Self {
        let page = LiveFile { name: "", content_type: "text/html; charset=utf-8", body: live.page };
        let files = live.files.into_iter().map(|file| (format!("{PAGE}/{}", file.name), file));
        let files = files.chain([(PAGE.to_owned(), page)]);
        let (lifetime, clients_max) = (limits.event_stream_lifetime, limits.max_live_clients);
        Self {
            files: files.map(|(path, file)| (path, file, entity_tag(file.body))).collect(),
            events: Arc::new(Events::new(live.source, live.period, lifetime, clients_max, metrics)),
        }
    }

    pub(crate) fn endpoint(&self, path: &str) -> Option<Endpoint> {
        if path == EVENTS {
            return Some(Endpoint::LiveEvents);
        }
        self.files.iter().position(|(known, ..)| known == path).map(Endpoint::Live)
    }

    /// The file, or that it is what the client has.
    pub(crate) fn file(&self, index: usize, request: &HeaderMap) -> Reply {
        let (_, file, tag) = &self.files[index];
        let is_known = request.get(IF_NONE_MATCH).is_some_and(|known| known == tag);
        if is_known { reply::not_modified(tag) } else { reply::file(file, tag, &CONTENT_SECURITY_POLICY) }
    }
}

/// The same for equal contents alone (RFC 9110, 8.8.3).
fn entity_tag(body: &str) -> HeaderValue {
    let hash = BASE64.encode(digest::digest(&digest::SHA256, body.as_bytes()));
    HeaderValue::try_from(format!("\"{hash}\"")).expect("base64 is visible ASCII")
}
