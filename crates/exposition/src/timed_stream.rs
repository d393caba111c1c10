//! A stream on which a client cannot dawdle.
//!
//! hyper's own time-out for headers also runs while a connection is idle between two scrapes, and hyper has none for a response that is
//! not read. Both follow here from where the connection is with its request, see [`Phase`].

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits::Limits;
use crate::metrics::Closed;
use crate::phase::{Phase, Progress};

/// Ends `inner` with [`ErrorKind::TimedOut`] when its peer takes longer than `limits` allow, and tells `progress` which limit that was.
pub(crate) struct TimedStream<S> {
    inner: S,
    progress: Arc<Progress>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    read_deadline: Deadline,
    write_deadline: Deadline,
}

impl<S> TimedStream<S> {
    pub(crate) fn new(inner: S, progress: Arc<Progress>, limits: &Limits) -> Self {
        Self {
            inner,
            progress,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.write_timeout,
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
        }
    }

    /// Bytes came: between two requests, they start the next one's header and its time.
    fn on_read(&mut self) {
        if self.progress.phase() == Phase::Idle {
            self.progress.enter(Phase::Header);
            self.read_deadline.clear();
        }
    }

    fn on_read_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let (timeout, reason) = match self.progress.phase() {
            Phase::Header => (self.header_timeout, Closed::HeaderTimeout),
            Phase::Idle => (self.idle_timeout, Closed::IdleTimeout),
            // The request handler and the write time-out see to these.
            Phase::Request | Phase::Response | Phase::Events => return Poll::Pending,
        };
        self.read_deadline.poll(timeout, cx).map(|()| self.expire(reason))
    }

    /// The time runs until all is flushed, not until the next byte is taken: a client that takes a byte now and then is stalled too.
    fn on_write_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.write_deadline.poll(self.write_timeout, cx).map(|()| self.expire(Closed::WriteTimeout))
    }

    fn on_flushed(&mut self, cx: &mut Context<'_>) {
        self.write_deadline.clear();
        if self.progress.phase() == Phase::Response {
            self.progress.enter(Phase::Idle);
            self.read_deadline.clear();
            // hyper has asked for bytes already, while the request ran, and will not ask again before some come: without this, nothing
            // would wake the connection when its time is over.
            let _ = self.read_deadline.poll(self.idle_timeout, cx);
        }
    }

    fn expire(&self, reason: Closed) -> io::Error {
        self.progress.expire(reason);
        ErrorKind::TimedOut.into()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        match result {
            Poll::Pending => return self.on_read_pending(cx).map(Err),
            Poll::Ready(Ok(())) if buf.filled().len() > filled => self.on_read(),
            Poll::Ready(_) => {}
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Pending => self.on_write_pending(cx).map(Err),
            ready => ready,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write_vectored(cx, bufs) {
            Poll::Pending => self.on_write_pending(cx).map(Err),
            ready => ready,
        }
    }

    /// Without this, hyper would copy every body into a buffer of its own.
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending => self.on_write_pending(cx).map(Err),
            ready => {
                self.on_flushed(cx);
                ready
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_shutdown(cx) {
            Poll::Pending => self.on_write_pending(cx).map(Err),
            ready => ready,
        }
    }
}

/// A point in time that is set when it is first waited for.
#[derive(Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    fn poll(&mut self, timeout: Duration, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(cx)
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}
