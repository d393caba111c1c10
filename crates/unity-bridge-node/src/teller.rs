//! Tells a client what went wrong, and the log; not more often than both can bear.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::time::Instant;
use unity_protocol::encode;

use crate::lock::lock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::rate::Rate;

/// A client at fault is so with every frame, and Unity shows each text on its console.
const TEXTS_PER_SECOND: f64 = 10.0;

pub(crate) struct Teller {
    peer: SocketAddr,
    outbox: Arc<Outbox>,
    rate: Mutex<Rate>,
    metrics: Metrics,
}

impl Teller {
    pub(crate) fn new(peer: SocketAddr, outbox: Arc<Outbox>, metrics: Metrics) -> Self {
        Self { peer, outbox, rate: Mutex::new(Rate::new(TEXTS_PER_SECOND, Instant::now())), metrics }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Says that the client did not get what it wanted.
    pub(crate) fn error(&self, text: impl Display) {
        self.tell(&text.to_string(), encode::error);
    }

    /// Says what the client may want to know.
    pub(crate) fn warn(&self, text: impl Display) {
        self.tell(&text.to_string(), encode::warn);
    }

    fn tell(&self, text: &str, encode: impl FnOnce(&str) -> Bytes) {
        let may_tell = lock(&self.rate).take(Instant::now()).is_ok();
        if may_tell {
            tracing::warn!(client = %self.peer, "{text}");
            self.outbox.push_control(encode(text));
        } else {
            self.metrics.untold_errors.inc();
        }
    }
}
