//! Events for browsers: a response that does not end, of server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! One event a period, made once for all clients, and only while there is one. A client that reads slowly skips events: nothing waits for it
//! but the one that it is reading, and it is given the newest when it has read that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use crate::metrics::EventMetrics;

/// After so long without an event a client gets a comment, so that nobody in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";

/// Where events come from.
pub trait EventSource: Send + Sync + 'static {
    /// Appends what is to be told now to `out`: text without line ends, such as JSON.
    ///
    /// Called on the server's thread, once a period, only while somebody is told: it must not wait for anything.
    fn write_event(&self, out: &mut Vec<u8>);
}

/// The body of a response that does not end by itself.
pub(crate) type EventBody = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// The newest event, and all who are told of it.
pub(crate) struct Events {
    source: Arc<dyn EventSource>,
    period: Duration,
    lifetime: Duration,
    newest: watch::Sender<Newest>,
    places: Arc<Semaphore>,
    joined: Notify,
    metrics: EventMetrics,
}

#[derive(Clone, Default)]
struct Newest {
    number: u64,
    event: Bytes,
    is_last: bool,
}

impl Events {
    pub(crate) fn new(
        source: Arc<dyn EventSource>,
        period: Duration,
        lifetime: Duration,
        clients_max: usize,
        metrics: EventMetrics,
    ) -> Self {
        Self {
            source,
            period,
            lifetime,
            newest: watch::Sender::default(),
            places: Arc::new(Semaphore::new(clients_max.min(Semaphore::MAX_PERMITS))),
            joined: Notify::new(),
            metrics,
        }
    }

    /// Makes the events, for ever.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while self.newest.receiver_count() == 0 {
                self.joined.notified().await;
            }
            ticks.tick().await;
            self.tell();
        }
    }

    fn tell(&self) {
        let mut event = b"data: ".to_vec();
        self.source.write_event(&mut event);
        event.extend_from_slice(b"\n\n");
        self.newest.send_modify(|newest| {
            newest.number += 1;
            newest.event = event.into();
        });
    }

    /// Ends every response.
    pub(crate) fn end(&self) {
        self.newest.send_modify(|newest| newest.is_last = true);
    }

    /// A response for one more client; none when there are too many.
    pub(crate) fn follow(self: &Arc<Self>) -> Option<EventBody> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let newest = self.newest.subscribe();
        let told = newest.borrow().number;
        self.metrics.clients.inc();
        self.joined.notify_one();
        let client = Client {
            events: Arc::clone(self),
            newest,
            told,
            until: Instant::now() + self.lifetime,
            reading: Arc::new(Semaphore::new(1)),
            _place: place,
        };
        let frames = stream::unfold(client, |mut client| async {
            let bytes = client.next().await?;
            Some((Ok(Frame::data(bytes)), client))
        });
        Some(StreamBody::new(frames.boxed()))
    }
}

/// Who is told.
struct Client {
    events: Arc<Events>,
    newest: watch::Receiver<Newest>,
    /// The number of the last event that it was given.
    told: u64,
    until: Instant,
    /// Its one permit is tied to the event that is being sent.
    reading: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    /// What it is sent next; nothing at the end. Waits until what it was sent before has been written.
    async fn next(&mut self) -> Option<Bytes> {
        let reading = Arc::clone(&self.reading).acquire_owned().await.ok()?;
        match timeout_at(self.until, timeout(KEEP_ALIVE, self.newest.changed())).await.ok()? {
            Ok(Ok(())) => self.take_newest(reading),
            Ok(Err(_)) => None,
            Err(_) => Some(Bytes::from_static(COMMENT)),
        }
    }

    fn take_newest(&mut self, reading: OwnedSemaphorePermit) -> Option<Bytes> {
        let Newest { number, event, is_last } = self.newest.borrow_and_update().clone();
        if is_last {
            return None;
        }
        self.events.metrics.skipped_total.inc_by((number - self.told).saturating_sub(1));
        self.told = number;
        Some(held_until_sent(event, reading))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.events.metrics.clients.dec();
    }
}

/// Ties `permit` to the memory of `body`: hyper drops that when the last of it is written.
pub(crate) fn held_until_sent(body: Bytes, permit: OwnedSemaphorePermit) -> Bytes {
    Bytes::from_owner(Held { body, _permit: permit })
}

struct Held {
    body: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::BodyExt;
    use prometheus::Registry;

    use super::*;
    use crate::metrics::Metrics;

    struct Nothing;

    impl EventSource for Nothing {
        fn write_event(&self, _: &mut Vec<u8>) {}
    }

    fn events() -> Arc<Events> {
        let registry = Registry::new();
        let metrics = Metrics::register("x", &registry).and_then(|metrics| metrics.register_events("x", &registry));
        let hour = Duration::from_secs(3600);
        Arc::new(Events::new(Arc::new(Nothing), hour, hour, 1, metrics.expect("valid names")))
    }

    async fn next(body: &mut EventBody) -> Bytes {
        body.frame().await.expect("no end").expect("no error").into_data().expect("data")
    }

    #[tokio::test]
    async fn the_next_event_waits_until_the_one_before_has_been_written() {
        let events = events();
        let mut body = events.follow().expect("a place");
        events.tell();
        let being_written = next(&mut body).await;
        (0..3).for_each(|_| events.tell());
        assert!(next(&mut body).now_or_never().is_none());
        drop(being_written);
        next(&mut body).await;
        assert_eq!(events.metrics.skipped_total.get(), 2);
        assert!(next(&mut body).now_or_never().is_none(), "there is no newer one");
    }
}
