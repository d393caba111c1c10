//! The server as its owner sees it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net;
use std::sync::Arc;

use prometheus::Registry;
use tokio::net::TcpListener;

use crate::accept_loop;
use crate::endpoint::TelemetryPath;
use crate::exporter::Exporter;
use crate::limits::Limits;
use crate::live::LivePages;
use crate::metrics::Metrics;
use crate::request::Responder;
use crate::web_config::WebConfigFile;

/// How to serve.
#[derive(Debug)]
pub struct Options {
    /// What the names of the server's own metrics start with.
    pub namespace: String,
    /// Where the exposition is.
    pub telemetry_path: TelemetryPath,
    /// What clients may take.
    pub limits: Limits,
    /// TLS, users, headers, a rate limit.
    pub web_config: WebConfigFile,
}

impl Options {
    /// The defaults: `/metrics`, [`Limits::default`], no web configuration.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            telemetry_path: TelemetryPath::default(),
            limits: Limits::default(),
            web_config: WebConfigFile::none(),
        }
    }
}

/// An HTTP server that has all it needs except sockets and a runtime.
pub struct Server(Arc<Responder>);

impl Server {
    /// Registers the server's own metrics with `registry`; whether they are part of the exposition is for [`Exporter::scrape`] to say,
    /// for instance with [`encode_registry`](crate::encode_registry).
    ///
    /// # Errors
    /// A namespace that no metric's name can start with, or a name that is registered already.
    pub fn new(exporter: Exporter, options: Options, registry: &Registry) -> Result<Self, prometheus::Error> {
        let Options { namespace, telemetry_path, limits, web_config } = options;
        let metrics = Arc::new(Metrics::register(&namespace, registry)?);
        let live = exporter.live.clone().map(|live| {
            metrics.register_events(&namespace, registry).map(|events| LivePages::new(live, &limits, events))
        });
        Ok(Self(Arc::new(Responder::new(exporter, telemetry_path, limits, web_config, metrics, live.transpose()?))))
    }

    /// Serves on all of `listeners` until `shutdown` completes; then accepts no more, lets running requests finish for
    /// [`Limits::shutdown_grace`], and returns. Made for a current-thread runtime with both drivers enabled.
    ///
    /// # Errors
    /// A listener that the runtime cannot take over; sockets from [`bind`](crate::bind) can be. No connection's failure ends the server.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn serve(self, listeners: Vec<net::TcpListener>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listeners: Vec<_> = listeners.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>()?;
        for listener in &listeners {
            let address = listener.local_addr()?;
            tracing::info!(%address, tls = self.0.web_config.is_tls(), "listening");
        }
        accept_loop::run(listeners, self.0, shutdown).await;
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}
