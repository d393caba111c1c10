//! The server's metrics on itself.

use hyper::StatusCode;
use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::endpoint::Endpoint;

/// From half a millisecond (tens of series) to a second (a tenth of Prometheus's default time-out).
const SCRAPE_SECONDS_BUCKETS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Why a request was turned away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rejection {
    MaxRequests,
    RateLimit,
    Unauthorized,
    MaxPendingLogins,
    MaxLiveClients,
    MaxBodyBytes,
    BodyTimeout,
}

impl Rejection {
    const ALL: [Self; 7] = [
        Self::MaxRequests,
        Self::RateLimit,
        Self::Unauthorized,
        Self::MaxPendingLogins,
        Self::MaxLiveClients,
        Self::MaxBodyBytes,
        Self::BodyTimeout,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::MaxRequests => "max_requests",
            Self::RateLimit => "rate_limit",
            Self::Unauthorized => "unauthorized",
            Self::MaxPendingLogins => "max_pending_logins",
            Self::MaxLiveClients => "max_live_clients",
            Self::MaxBodyBytes => "max_body_bytes",
            Self::BodyTimeout => "body_timeout",
        }
    }
}

/// Why the server closed a connection that its client had not asked it to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    MaxConnections,
    TlsHandshakeFailed,
    TlsHandshakeTimeout,
    HeaderTimeout,
    MaxHeaderBytes,
    MalformedRequest,
    IdleTimeout,
    WriteTimeout,
    ShutdownGrace,
}

impl Closed {
    const ALL: [Self; 9] = [
        Self::MaxConnections,
        Self::TlsHandshakeFailed,
        Self::TlsHandshakeTimeout,
        Self::HeaderTimeout,
        Self::MaxHeaderBytes,
        Self::MalformedRequest,
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::ShutdownGrace,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::MaxConnections => "max_connections",
            Self::TlsHandshakeFailed => "tls_handshake_failed",
            Self::TlsHandshakeTimeout => "tls_handshake_timeout",
            Self::HeaderTimeout => "header_timeout",
            Self::MaxHeaderBytes => "max_header_bytes",
            Self::MalformedRequest => "malformed_request",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::ShutdownGrace => "shutdown_grace",
        }
    }
}

/// One field per family; name and help stand together in [`Metrics::register`].
pub(crate) struct Metrics {
    pub(crate) scrape_duration_seconds: Histogram,
    pub(crate) last_scrape_series: IntGauge,
    pub(crate) last_scrape_size_bytes: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) connections_accepted_total: IntCounter,
    pub(crate) accept_errors_total: IntCounter,
    requests_total: IntCounterVec,
    requests_rejected_total: IntCounterVec,
    connections_closed_total: IntCounterVec,
    web_config_reloads_total: IntCounterVec,
    web_config_last_reload_successful: IntGauge,
    web_config_last_reload_success_timestamp_seconds: Gauge,
}

impl Metrics {
    /// Registers every family under `namespace`, each label value that is known beforehand at 0.
    pub(crate) fn register(namespace: &str, registry: &Registry) -> prometheus::Result<Self> {
        let family = Families { namespace, registry };
        let metrics = Self {
            scrape_duration_seconds: family.add(Histogram::with_opts(
                HistogramOpts::from(family.opts(
                    "scrape_duration_seconds",
                    "Time to write the exposition and, where asked for, to compress it. \
                     A scrape shows the scrapes before it, not itself.",
                ))
                .buckets(SCRAPE_SECONDS_BUCKETS.to_vec()),
            )?)?,
            last_scrape_series: family.gauge("last_scrape_series", "Series in the scrape before this one.")?,
            last_scrape_size_bytes: family
                .gauge("last_scrape_size_bytes", "Size of the scrape before this one, uncompressed.")?,
            connections: family.gauge("http_connections", "Connections open now.")?,
            connections_accepted_total: family
                .counter("http_connections_accepted_total", "Connections accepted, those closed at once included.")?,
            accept_errors_total: family.counter(
                "http_accept_errors_total",
                "Connections that the kernel could not hand over, such as for want of file descriptors.",
            )?,
            requests_total: family.counters(
                "http_requests_total",
                "Requests answered, by endpoint and status code.",
                &["endpoint", "code"],
            )?,
            requests_rejected_total: family.counters(
                "http_requests_rejected_total",
                "Requests turned away, by the limit or check that they met.",
                &["reason"],
            )?,
            connections_closed_total: family.counters(
                "http_connections_closed_total",
                "Connections that the server closed unasked, by the limit or fault that they met.",
                &["reason"],
            )?,
            web_config_reloads_total: family.counters(
                "web_config_reloads_total",
                "Readings of a changed web configuration, by result.",
                &["result"],
            )?,
            web_config_last_reload_successful: family.gauge(
                "web_config_last_reload_successful",
                "Whether the web configuration was good when it was last read (1); at 0, the one before it is in use.",
            )?,
            web_config_last_reload_success_timestamp_seconds: family.add(Gauge::with_opts(family.opts(
                "web_config_last_reload_success_timestamp_seconds",
                "Unix time at which the web configuration in use was read.",
            ))?)?,
        };
        metrics.initialize();
        Ok(metrics)
    }

    fn initialize(&self) {
        Endpoint::ALWAYS.iter().for_each(|endpoint| self.show_endpoint(*endpoint));
        for rejection in Rejection::ALL {
            self.requests_rejected_total.with_label_values(&[rejection.label()]);
        }
        for closed in Closed::ALL {
            self.connections_closed_total.with_label_values(&[closed.label()]);
        }
        for result in ["success", "failure"] {
            self.web_config_reloads_total.with_label_values(&[result]);
        }
        self.show_web_config_read();
    }

    fn show_endpoint(&self, endpoint: Endpoint) {
        let usual = if endpoint == Endpoint::Unknown { StatusCode::NOT_FOUND } else { StatusCode::OK };
        self.requests_total.with_label_values(&[endpoint.label(), usual.as_str()]);
    }

    /// Registers what a live page has beside.
    pub(crate) fn register_events(&self, namespace: &str, registry: &Registry) -> prometheus::Result<EventMetrics> {
        let family = Families { namespace, registry };
        Endpoint::OF_LIVE.iter().for_each(|endpoint| self.show_endpoint(*endpoint));
        Ok(EventMetrics {
            clients: family.gauge("live_clients", "Clients that follow the events of the live page now.")?,
            skipped_total: family.counter(
                "live_events_skipped_total",
                "Events that clients were not sent, since they were still reading the one before.",
            )?,
        })
    }

    pub(crate) fn count_request(&self, endpoint: Endpoint, code: StatusCode) {
        self.requests_total.with_label_values(&[endpoint.label(), code.as_str()]).inc();
    }

    pub(crate) fn count_rejection(&self, rejection: Rejection) {
        self.requests_rejected_total.with_label_values(&[rejection.label()]).inc();
    }

    pub(crate) fn count_closed(&self, closed: Closed, connections: u64) {
        self.connections_closed_total.with_label_values(&[closed.label()]).inc_by(connections);
    }

    pub(crate) fn count_reload(&self, successful: bool) {
        self.web_config_reloads_total.with_label_values(&[if successful { "success" } else { "failure" }]).inc();
        if successful {
            self.show_web_config_read();
        } else {
            self.web_config_last_reload_successful.set(0);
        }
    }

    fn show_web_config_read(&self) {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0.0, |since_epoch| since_epoch.as_secs_f64());
        self.web_config_last_reload_success_timestamp_seconds.set(now);
        self.web_config_last_reload_successful.set(1);
    }
}

/// The metrics of a stream of events.
pub(crate) struct EventMetrics {
    pub(crate) clients: IntGauge,
    pub(crate) skipped_total: IntCounter,
}

/// Builds and registers families in one step.
struct Families<'a> {
    namespace: &'a str,
    registry: &'a Registry,
}

impl Families<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace(self.namespace)
    }

    fn add<C: Collector + Clone + 'static>(&self, family: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::with_opts(self.opts(name, help))?)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::with_opts(self.opts(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(self.opts(name, help), labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_series_is_there_from_the_start() {
        let registry = Registry::new();
        Metrics::register("x", &registry).expect("valid names");
        let mut out = Vec::new();
        crate::encode_registry(&registry, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        for series in [
            "x_http_requests_total{code=\"200\",endpoint=\"metrics\"} 0",
            "x_http_requests_total{code=\"404\",endpoint=\"unknown\"} 0",
            "x_http_requests_rejected_total{reason=\"max_requests\"} 0",
            "x_http_connections_closed_total{reason=\"write_timeout\"} 0",
            "x_web_config_reloads_total{result=\"failure\"} 0",
            "x_web_config_last_reload_successful 1",
        ] {
            assert!(text.contains(series), "{series} is not in\n{text}");
        }
    }

    #[test]
    fn a_namespace_that_is_no_name_and_a_second_server_are_refused() {
        let registry = Registry::new();
        assert!(Metrics::register("not a name", &registry).is_err());
        Metrics::register("x", &registry).expect("new");
        assert!(Metrics::register("x", &registry).is_err());
    }
}
