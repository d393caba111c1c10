//! The web configuration file, in the format of [Prometheus's exporter-toolkit].
//!
//! Reading collects every fault instead of stopping at the first one. What the format has and this server has not is refused, never
//! passed over: `RequestClientCert` and `RequireAnyClientCert` (they verify nothing), e-mail addresses in `client_allowed_sans`, TLS
//! before 1.2, cipher suites and curves that rustls does not have, and an explicit `http2: true`.
//!
//! [Prometheus's exporter-toolkit]: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md

mod client_auth;
mod duration;
mod fault;
mod headers;
mod rate_limit;
mod reader;
mod reload;
mod sources;
mod tls;
mod users;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use hyper::HeaderMap;

pub use fault::{Fault, WebConfigError};
pub(crate) use rate_limit::RateLimit;
use reader::Reader;
pub use reload::WebConfigFile;
use sources::Sources;
use tls::Tls;
pub(crate) use users::{Login, Users};
use yaml::Section;

/// A web configuration without a fault. The default is that of no file: plain HTTP for everyone.
#[derive(Debug, Default)]
pub(crate) struct WebConfig {
    /// Absent: plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// Set on every response, over the server's own.
    pub(crate) headers: HeaderMap,
    /// Absent: no user is asked for.
    pub(crate) users: Option<Arc<Users>>,
    /// Absent: no limit.
    pub(crate) rate_limit: Option<RateLimit>,
}

/// Reads the file and all that it names; `sources` will know what was read, of a faulty configuration too.
fn load(path: &Path, sources: &mut Sources) -> Result<WebConfig, WebConfigError> {
    let mut reader = Reader::new(path, sources);
    let config = match reader.read_document() {
        Some(mut document) => {
            let config = read_sections(&mut document, &mut reader);
            document.refuse_unknown_keys(&mut reader.faults);
            config
        }
        None => WebConfig::default(),
    };
    reader.faults.into_result(config)
}

fn read_sections(document: &mut Section, reader: &mut Reader<'_>) -> WebConfig {
    WebConfig {
        tls: document.section("tls_server_config", &mut reader.faults).and_then(|section| tls::read(section, reader)),
        headers: document
            .section("http_server_config", &mut reader.faults)
            .map(|section| headers::read(section, &mut reader.faults))
            .unwrap_or_default(),
        users: document
            .section("basic_auth_users", &mut reader.faults)
            .and_then(|section| users::read(section, &mut reader.faults)),
        rate_limit: document
            .section("rate_limit", &mut reader.faults)
            .and_then(|section| rate_limit::read(section, &mut reader.faults)),
    }
}

#[cfg(test)]
mod tests;
