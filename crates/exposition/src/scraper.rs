//! One scrape: write the exposition, compress it where asked, measure both.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::buffers::{BufferPool, PooledBuffer};
use crate::exporter::Scrape;
use crate::metrics::Metrics;
use crate::reply::{self, Reply};

pub(crate) struct Scraper {
    source: Arc<dyn Scrape>,
    metrics: Arc<Metrics>,
    plain: BufferPool,
    // Apart from the plain ones: they are an order of magnitude smaller.
    compressed: BufferPool,
}

impl Scraper {
    pub(crate) fn new(source: Arc<dyn Scrape>, metrics: Arc<Metrics>) -> Self {
        Self { source, metrics, plain: BufferPool::default(), compressed: BufferPool::default() }
    }

    pub(crate) fn scrape(&self, gzip: bool) -> Reply {
        let start = Instant::now();
        let mut plain = self.plain.take();
        let series = self.source.scrape(&mut plain.bytes);
        let size_bytes = plain.bytes.len();
        let (body, gzipped) = if gzip { self.compress(plain) } else { (plain, false) };

        self.metrics.scrape_duration_seconds.observe(start.elapsed().as_secs_f64());
        self.metrics.last_scrape_series.set(i64::try_from(series).unwrap_or(i64::MAX));
        self.metrics.last_scrape_size_bytes.set(i64::try_from(size_bytes).unwrap_or(i64::MAX));
        reply::exposition(body.freeze(), gzipped)
    }

    /// The compressed text, or the plain text should compression fail.
    fn compress(&self, plain: PooledBuffer) -> (PooledBuffer, bool) {
        let mut compressed = self.compressed.take();
        match gzip(&plain.bytes, mem::take(&mut compressed.bytes)) {
            Ok(bytes) => {
                compressed.bytes = bytes;
                (compressed, true)
            }
            Err(error) => {
                tracing::error!(%error, "the exposition cannot be compressed and is sent as it is");
                (plain, false)
            }
        }
    }
}

/// Level 1: of an exposition of 10,000 joints (2.9 MB), level 2 saves 4 % more and takes nearly twice as long.
fn gzip(text: &[u8], out: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(out, Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}
