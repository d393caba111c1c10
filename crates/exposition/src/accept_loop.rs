//! From listening sockets to connections, until the server stops.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::connection::{self, Stopping};
use crate::events::Events;
use crate::metrics::Closed;
use crate::request::Responder;

/// After a failed accept: file descriptors do not come back sooner for being asked for all the time.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// After a panic of what makes the events: what fails each time is not tried and told of all the time.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// Accepts until `shutdown`, then lets what runs finish for as long as the limits say.
pub(crate) async fn run(listeners: Vec<TcpListener>, responder: Arc<Responder>, shutdown: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let stopping = Stopping(stopping);
    let mut connections = JoinSet::new();
    // Ends when it is dropped.
    let mut event_maker = JoinSet::new();
    let events = responder.events();
    event_maker.spawn(make_events(events.clone(), Duration::ZERO));
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listeners) => match accepted {
                Ok(stream) => {
                    responder.metrics.connections_accepted_total.inc();
                    if connections.len() >= responder.limits.max_connections {
                        responder.metrics.count_closed(Closed::MaxConnections, 1);
                    } else {
                        connections.spawn(connection::serve(stream, Arc::clone(&responder), stopping.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    responder.metrics.accept_errors_total.inc();
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            },
            Some(ended) = connections.join_next() => report_panic(ended),
            Some(Err(error)) = event_maker.join_next() => {
                tracing::error!(%error, "what makes the events of the live page panicked; it is started again");
                event_maker.spawn(make_events(events.clone(), PAUSE_AFTER_PANIC));
            }
        }
        show_count(&connections, &responder);
    }
    drop(listeners);
    stop.send_replace(true);
    if let Some(events) = events {
        events.end();
    }
    drain(connections, &responder).await;
}

/// Makes events for ever, after a pause; nothing where there is no live page.
async fn make_events(events: Option<Arc<Events>>, pause: Duration) {
    let Some(events) = events else { return };
    sleep(pause).await;
    events.run().await;
}

/// The next connection of whichever listener has one.
async fn accept(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    poll_fn(|cx| {
        let ready = listeners.iter().find_map(|listener| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Some(accepted.map(|(stream, _)| stream)),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

async fn drain(mut connections: JoinSet<()>, responder: &Responder) {
    let finished = async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    };
    if timeout(responder.limits.shutdown_grace, finished).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections are dropped, their time to finish is over");
        responder.metrics.count_closed(Closed::ShutdownGrace, connections.len() as u64);
        connections.shutdown().await;
    }
    show_count(&connections, responder);
}

fn show_count(connections: &JoinSet<()>, responder: &Responder) {
    responder.metrics.connections.set(i64::try_from(connections.len()).unwrap_or(i64::MAX));
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a request's handler panicked; its connection is lost");
    }
}
