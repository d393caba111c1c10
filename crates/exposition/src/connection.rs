//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::limits::Limits;
use crate::metrics::Closed;
use crate::phase::{Phase, Progress};
use crate::reply;
use crate::request::Responder;
use crate::timed_stream::TimedStream;

/// hyper refuses less.
const BUFFER_BYTES_MIN: usize = 8 << 10;

/// Tells a connection that the server stops.
#[derive(Clone)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

impl Stopping {
    async fn stopped(&mut self) {
        // An error says that the accept loop is gone, which is a stop as well.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// Serves `stream` until either side closes it, and counts why where it was this side.
pub(crate) async fn serve(stream: TcpStream, responder: Arc<Responder>, mut stopping: Stopping) {
    let opened = tokio::select! {
        opened = open(stream, &responder) => opened,
        // Nothing was asked yet.
        () = stopping.stopped() => return,
    };
    let closed = match opened {
        Ok(Opened::Plain(stream)) => speak_http(stream, &responder, stopping).await,
        Ok(Opened::Tls(stream)) => speak_http(stream, &responder, stopping).await,
        Err(closed) => Some(closed),
    };
    if let Some(closed) = closed {
        tracing::debug!(reason = closed.label(), "a connection was closed");
        responder.metrics.count_closed(closed, 1);
    }
}

enum Opened {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

async fn open(stream: TcpStream, responder: &Responder) -> Result<Opened, Closed> {
    let limits = &responder.limits;
    if let Err(error) = stream.set_nodelay(true) {
        // Only slower.
        tracing::debug!(%error, "a connection has no TCP_NODELAY");
    }
    let web_config = responder.web_config.current(limits.web_config_check_interval, &responder.metrics).await;
    let Some(tls) = &web_config.tls else { return Ok(Opened::Plain(stream)) };
    match timeout(limits.tls_handshake_timeout, TlsAcceptor::from(Arc::clone(&tls.server)).accept(stream)).await {
        Ok(Ok(stream)) => Ok(Opened::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            Err(Closed::TlsHandshakeFailed)
        }
        Err(_) => Err(Closed::TlsHandshakeTimeout),
    }
}

/// Why the server closed the connection, if it did.
async fn speak_http<S>(stream: S, responder: &Responder, mut stopping: Stopping) -> Option<Closed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let progress = Arc::new(Progress::new());
    let service = service_fn(|request| {
        progress.enter(Phase::Request);
        let progress = &progress;
        async move {
            let reply = responder.respond(request).await;
            progress.enter(if reply::goes_on(&reply) { Phase::Events } else { Phase::Response });
            Ok::<_, Infallible>(reply)
        }
    });
    let stream = TimedStream::new(stream, Arc::clone(&progress), &responder.limits);
    let mut connection = pin!(http(&responder.limits).serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopping.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // hyper takes an error between two requests for a normal end, so a time-out need not show in its result.
    progress.expired().or_else(|| result.err().as_ref().and_then(fault_of))
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // TimedStream has a finer one.
        .header_read_timeout(None)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(limits.max_header_bytes.max(BUFFER_BYTES_MIN));
    http
}

/// What a client did that hyper answered by itself, with 431 or 400; nothing for a client that went away.
fn fault_of(error: &hyper::Error) -> Option<Closed> {
    if error.is_parse_too_large() {
        Some(Closed::MaxHeaderBytes)
    } else if error.is_parse() {
        Some(Closed::MalformedRequest)
    } else {
        None
    }
}
