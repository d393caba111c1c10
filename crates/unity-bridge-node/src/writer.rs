//! Writes to one client what waits for it.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use unity_protocol::encode;

use crate::metrics::Metrics;
use crate::outbox::{Outgoing, Outgoings};

/// Writes until the outbox is closed or the client takes no more. Every frame is one write, as far as the kernel takes it whole.
pub(crate) async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut outgoings: Outgoings,
    metrics: &Metrics,
) -> io::Result<()> {
    let mut prefix = BytesMut::new();
    loop {
        match outgoings.next().await {
            Outgoing::End => return stream.shutdown().await,
            Outgoing::Control(mut frames) => {
                metrics.sent(frames.len());
                stream.write_all_buf(&mut frames).await?;
            }
            Outgoing::Message(queue, waiting) => {
                let bytes = u32::try_from(waiting.payload.len()).map_err(io::Error::other)?;
                prefix.clear();
                encode::message_prefix(&queue.topic, bytes, &mut prefix);
                metrics.sent(prefix.len() + waiting.payload.len());
                stream.write_all_buf(&mut (&prefix[..]).chain(waiting.payload)).await?;
                queue.metrics.sent.inc();
                queue.metrics.queue_age.observe(waiting.since.elapsed().as_secs_f64());
            }
        }
        // What TLS has encrypted goes out with it.
        stream.flush().await?;
    }
}
