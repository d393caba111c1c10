//! What an exporter brings to the server.

use std::sync::Arc;

use crate::{Landing, Live};

/// Where the exposition comes from.
pub trait Scrape: Send + Sync + 'static {
    /// Appends the exposition to `out`, in the [text format 0.0.4], and returns the number of series (sample lines) appended.
    ///
    /// Called on the server's thread, once per scrape: it must not wait for anything. `out` comes empty but with the capacity of an earlier
    /// scrape. A panic costs the client its connection and nothing else.
    ///
    /// [text format 0.0.4]: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    fn scrape(&self, out: &mut Vec<u8>) -> u64;
}

/// What the probes are told. Called on the server's thread, once per probe: neither method may wait for anything.
pub trait Health: Send + Sync + 'static {
    /// Whether this process should be sent traffic (`/readyz`).
    ///
    /// # Errors
    /// The reason why not, for a person to read; it becomes the body of a 503.
    fn readiness(&self) -> Result<(), String>;

    /// Whether this process can still do its work (`/livez`); whoever is told that it cannot will restart it.
    ///
    /// # Errors
    /// The reason why not, for a person to read; it becomes the body of a 503.
    fn liveness(&self) -> Result<(), String> {
        Ok(())
    }
}

/// All that an exporter brings to the server.
#[derive(Clone)]
pub struct Exporter {
    /// Writes the exposition.
    pub scrape: Arc<dyn Scrape>,
    /// Answers the probes.
    pub health: Arc<dyn Health>,
    /// The page at `/`.
    pub landing: Landing,
    /// The page at `/live`, if there is to be one.
    pub live: Option<Live>,
}
