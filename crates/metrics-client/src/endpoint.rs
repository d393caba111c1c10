//! Where the metrics page of a node is.

use crate::place::Place;

/// Metrics ports of the nodes on one host.
const LOCAL_PORTS: std::ops::RangeInclusive<u16> = 8000..=8003;

/// Of a page, unless it is elsewhere.
const METRICS_PATH: &str = "/metrics";

/// Where the page is.
#[derive(Clone)]
pub struct Endpoint {
    /// Of the node.
    pub place: Place,
    /// Path of the page, `/metrics`; the probes are at the root.
    pub path: String,
}

impl Endpoint {
    /// With the page where all nodes have it.
    #[must_use]
    pub fn at(place: Place) -> Self {
        Self { place, path: METRICS_PATH.to_owned() }
    }

    /// Of a URL; the page is at `/metrics` unless that has a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (place, path) = Place::parse(url)?;
        Ok(if path.is_empty() { Self::at(place) } else { Self { place, path } })
    }

    /// Whether the page is where all nodes have it.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        self.path == METRICS_PATH
    }

    /// The four nodes of this host, by this name of it.
    #[must_use]
    pub fn local(host: &str) -> Vec<Self> {
        LOCAL_PORTS.map(|port| Self::at(Place::Host { tls: false, host: host.to_owned(), port })).collect()
    }
}
