//! HTTP for Prometheus exporters: one small server that any exporter can put in front of its metrics.
//!
//! | path | answer |
//! |---|---|
//! | the telemetry path, `/metrics` unless told otherwise | the exposition, text format 0.0.4, compressed where the client allows it |
//! | `/livez` | 200, or 503 with the reason: restart me |
//! | `/readyz` | 200, or 503 with the reason: send me no traffic yet |
//! | `/` | a page for people: name, version, links, what the exporter watches |
//! | `/live`, `/live/…` | where the exporter brings one: a page of its own, its files, and the events that it follows, at `/live/events` |
//!
//! What the exporter brings: a [`Scrape`] that writes the exposition, a [`Health`] that answers the probes, and a [`Landing`] page; if it likes, a [`Live`] page
//! too, with an [`EventSource`].
//! What this crate brings: the addresses ([`ListenAddress`], [`bind`]), the web configuration file of Prometheus's
//! exporter-toolkit ([`WebConfigFile`]: TLS, client certificates, users, headers, a rate limit; re-read without a restart), a limit on
//! everything that a client controls ([`Limits`]), and metrics on itself.
//!
//! ```no_run
//! use std::sync::Arc;
//! use exposition::{Exporter, Health, Landing, Options, Scrape, Server, bind, encode_registry};
//!
//! struct App { registry: prometheus::Registry }
//! impl Scrape for App {
//!     fn scrape(&self, out: &mut Vec<u8>) -> u64 { encode_registry(&self.registry, out) }
//! }
//! impl Health for App {
//!     fn readiness(&self) -> Result<(), String> { Ok(()) }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = prometheus::Registry::new();
//! let app = Arc::new(App { registry: registry.clone() });
//! let landing = Landing::new("example_exporter", "1.0.0", "Metrics of an example.");
//! let exporter = Exporter { scrape: app.clone(), health: app, landing, live: None };
//! let server = Server::new(exporter, Options::new("example_exporter"), &registry)?;
//! let listeners = bind(&[":9999".parse()?])?;
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! runtime.block_on(server.serve(listeners, std::future::pending()))?;
//! # Ok(())
//! # }
//! ```
//!
//! The server is made for a current-thread runtime on a thread of its own, so that a scrape never takes time from the exporter's own work.
//! It is not a web framework: there are no other routes, no HTTP/2 and no OpenMetrics.

mod accept_encoding;
mod accept_loop;
mod buffers;
mod connection;
mod encode;
mod endpoint;
mod events;
mod exporter;
mod landing;
mod limits;
mod listen;
mod live;
mod metrics;
mod phase;
mod reply;
mod request;
mod scraper;
mod server;
mod timed_stream;
mod web_config;

pub use encode::encode_registry;
pub use endpoint::{TelemetryPath, TelemetryPathError};
pub use events::EventSource;
pub use exporter::{Exporter, Health, Scrape};
pub use landing::{Landing, Link, Table};
pub use limits::Limits;
pub use listen::{BindError, ListenAddress, ListenAddressError, bind};
pub use live::{Live, LiveFile};
pub use server::{Options, Server};
pub use web_config::{Fault, WebConfigError, WebConfigFile};
