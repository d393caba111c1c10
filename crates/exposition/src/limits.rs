//! What a client may take from the server.

use std::time::Duration;

/// A bound on everything that a client controls. What a limit costs a client is counted, under a `reason` named after the limit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests answered at one time, counted until the client has taken the whole response; one more gets 503 at once.
    /// 0 means no limit, as in node_exporter's `--web.max-requests`.
    pub max_requests: usize,
    /// Connections open at one time; one more is closed at once.
    pub max_connections: usize,
    /// Password checks waiting or running at one time (one check takes tens of milliseconds of processor time); one more gets 503 at once.
    /// A password that was right before is remembered and does not count.
    pub max_pending_logins: usize,
    /// Clients that follow the events of a live page at one time; one more gets 503 at once. They do not count as requests.
    pub max_live_clients: usize,
    /// Size of a request's header in bytes, the request line included; more gets 431.
    pub max_header_bytes: usize,
    /// Size of a request's body in bytes, which nothing here reads; more gets 413.
    pub max_body_bytes: usize,
    /// Time that a TLS handshake may take; then the connection is closed.
    pub tls_handshake_timeout: Duration,
    /// Time that a request's header may take, from its first byte (or, for the first request, from the connection's start) to its last;
    /// then the connection is closed. The body has the same time; then the answer is 408.
    pub header_timeout: Duration,
    /// Time that a connection may stay open between two requests. Longer than the scrape interval, or every scrape connects anew.
    pub idle_timeout: Duration,
    /// Time that a client may take to read a response, or one event of a response that goes on, from the moment that the socket's buffer is
    /// full; then the connection is dropped.
    pub write_timeout: Duration,
    /// Time after which a response of events ends. A browser then asks again, and whoever may no longer see them is refused.
    pub event_stream_lifetime: Duration,
    /// Time that running requests get at shutdown; then their connections are dropped.
    pub shutdown_grace: Duration,
    /// How often, at most, the files behind the web configuration are looked at for change.
    pub web_config_check_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_requests: 40,
            max_connections: 256,
            max_pending_logins: 8,
            max_live_clients: 8,
            max_header_bytes: 16 << 10,
            max_body_bytes: 4 << 10,
            tls_handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(150),
            write_timeout: Duration::from_secs(10),
            event_stream_lifetime: Duration::from_secs(3600),
            shutdown_grace: Duration::from_millis(500),
            web_config_check_interval: Duration::from_secs(1),
        }
    }
}
