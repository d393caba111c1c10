//! One connection: bytes to frames, frames to the client, and what ends it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep_until, timeout};
use unity_protocol::{Decoder, encode};

use crate::blocking::end_blocking;
use crate::bridge::Bridge;
use crate::client::Client;
use crate::faults::Closing;
use crate::offered_service::Asked;
use crate::outbox::{Outbox, Outgoings};
use crate::rate::Rate;
use crate::writer;

/// Read at once, at least.
const READ_BYTES: usize = 64 << 10;

/// And at most, of a large message: a client that announces more than it sends costs no more than this.
const READ_BYTES_MAX: usize = 1 << 20;

/// How long a client that is sent away has to take in why.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Speaks with a client until it goes or has to, or `stop` ends; its outbox is `outbox`.
pub(crate) async fn serve(
    bridge: Arc<Bridge>,
    outbox: Arc<Outbox>,
    peer: SocketAddr,
    (read, write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    stop: impl Future<Output = ()>,
) -> Closing {
    outbox.push_control(encode::handshake());
    let (asked, requests) = mpsc::channel(bridge.settings.max_pending_calls);
    let metrics = bridge.metrics.clone();
    let mut reader = Reader {
        stream: read,
        received: BytesMut::new(),
        decoder: Decoder::new(bridge.settings.limits),
        rate: Rate::new(bridge.settings.max_frame_rate, Instant::now()),
        heard: Instant::now(),
        requests,
        client: Client::new(Arc::clone(&bridge), Arc::clone(&outbox), peer, asked),
        outbox: Arc::clone(&outbox),
        bridge,
    };
    let mut writing = pin!(writer::write(write, Outgoings::new(Arc::clone(&outbox)), &metrics));
    let closing = tokio::select! {
        closing = reader.read() => closing,
        written = &mut writing => return end(reader, written.map_or_else(Closing::from, |()| Closing::Gone)).await,
        () = stop => Closing::Stopping,
    };
    if closing.is_told() {
        metrics.protocol_error_of(&closing);
        outbox.push_control(encode::error(&format!("the connection ends: {closing}")));
    }
    outbox.close();
    let Reader { mut stream, client, .. } = reader;
    end_blocking(client).await;
    // What has come and is not read would make the kernel take back what was sent.
    let mut sink = tokio::io::sink();
    let farewell = async { tokio::join!(writing, tokio::io::copy(&mut stream, &mut sink)) };
    drop(timeout(FAREWELL_WITHIN, farewell).await);
    closing
}

async fn end<R>(reader: Reader<R>, closing: Closing) -> Closing {
    end_blocking(reader.client).await;
    closing
}

struct Reader<R> {
    bridge: Arc<Bridge>,
    outbox: Arc<Outbox>,
    client: Client,
    stream: R,
    received: BytesMut,
    decoder: Decoder,
    rate: Rate,
    /// When something came last.
    heard: Instant,
    /// What ROS asks of the client.
    requests: mpsc::Receiver<Asked>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn read(&mut self) -> Closing {
        loop {
            if let Err(closing) = self.step().await {
                return closing;
            }
        }
    }

    /// Waits for the next thing and does it.
    async fn step(&mut self) -> Result<(), Closing> {
        let silent_at = self.heard + self.bridge.settings.silence_timeout;
        let wake_at = self.client.next_deadline().map_or(silent_at, |deadline| deadline.min(silent_at));
        self.received.reserve(self.decoder.missing_bytes().clamp(READ_BYTES, READ_BYTES_MAX));
        tokio::select! {
            count = self.stream.read_buf(&mut self.received) => {
                match count? {
                    0 => return Err(Closing::Gone),
                    count => self.bridge.metrics.bytes_received.inc_by(count as u64),
                }
                self.receive().await?;
                // Not when it came: to be slowed down, or to wait for ROS, is no silence.
                self.heard = Instant::now();
            }
            Some(asked) = self.requests.recv() => self.client.ask(asked),
            () = sleep_until(wake_at) => {
                let now = Instant::now();
                if now >= silent_at {
                    return Err(Closing::Silent(self.bridge.settings.silence_timeout));
                }
                self.client.expire(now);
            }
        }
        if self.outbox.is_stalled() { Err(Closing::Stalled) } else { Ok(()) }
    }

    /// Takes the frames out of what has come.
    async fn receive(&mut self) -> Result<(), Closing> {
        while let Some(frame) = self.decoder.decode(&mut self.received)? {
            self.bridge.metrics.frames_received.inc();
            while let Err(due) = self.rate.take(Instant::now()) {
                sleep_until(due).await;
            }
            self.client.receive(frame).await;
            // However many frames have come at once, others have their turn, and what they are answered is written.
            consume_budget().await;
        }
        Ok(())
    }
}
