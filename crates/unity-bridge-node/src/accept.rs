//! The listening socket, and how many clients there may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use node_runtime::{EndWithThread, MonotonicClock};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use unity_protocol::encode;

use crate::bridge::{Bridge, Connected};
use crate::connection;
use crate::faults::Closing;
use crate::outbox::Outbox;

/// How often the thread shows that it is alive.
const PULSE_EVERY: Duration = Duration::from_secs(1);

/// How long the kernel is left alone when it has no more descriptors for us.
const PAUSE: Duration = Duration::from_millis(100);

const TLS_WITHIN: Duration = Duration::from_secs(10);

/// Threads for what waits for the middleware: one client's registrations are in order anyway.
const BLOCKING_THREADS: usize = 4;

/// Longer than a farewell takes.
const END_WITHIN: Duration = Duration::from_secs(3);

/// The thread of all connections. Ends them and waits for them when dropped.
pub(crate) struct BridgeThread {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    last_pulse_ns: Arc<AtomicU64>,
}

impl BridgeThread {
    /// Accepts clients from now on.
    pub(crate) fn spawn(
        listener: std::net::TcpListener,
        bridge: Arc<Bridge>,
        tls: Option<TlsAcceptor>,
        clock: MonotonicClock,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("bridge-ros")
            .build()?;
        let listener = within(&runtime, || TcpListener::from_std(listener))?;
        let (stop, stopped) = watch::channel(false);
        let last_pulse_ns = Arc::new(AtomicU64::new(clock.now_ns()));
        let pulse = Arc::clone(&last_pulse_ns);
        let thread = Builder::new().name("bridge".into()).spawn(move || {
            let _end = EndWithThread;
            let acceptor = Acceptor { bridge, tls, stopped, connections: JoinSet::new() };
            runtime.block_on(acceptor.run(listener, || pulse.store(clock.now_ns(), Ordering::Relaxed)));
        })?;
        Ok(Self { stop, thread: Some(thread), last_pulse_ns })
    }

    /// When the thread showed last that it is alive.
    pub(crate) fn last_pulse_ns(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.last_pulse_ns)
    }
}

/// A socket has to know the runtime that serves it.
fn within<T>(runtime: &Runtime, make: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    make()
}

impl Drop for BridgeThread {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic was told of when it happened.
            drop(thread.join());
        }
    }
}

struct Acceptor {
    bridge: Arc<Bridge>,
    tls: Option<TlsAcceptor>,
    stopped: watch::Receiver<bool>,
    connections: JoinSet<()>,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener, pulse: impl Fn()) {
        let mut stopped = self.stopped.clone();
        let mut stop = std::pin::pin!(ended(&mut stopped));
        let mut pulses = interval(PULSE_EVERY);
        pulses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => self.accept(accepted).await,
                Some(_) = self.connections.join_next() => {}
                _ = pulses.tick() => pulse(),
                () = &mut stop => break,
            }
        }
        drop(listener);
        let all_ended = async { while self.connections.join_next().await.is_some() {} };
        if timeout(END_WITHIN, all_ended).await.is_err() {
            tracing::warn!("clients did not take their leave in time");
        }
    }

    async fn accept(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                return sleep(PAUSE).await;
            }
        };
        self.bridge.metrics.connections.inc();
        // Small frames go out at once; where that is refused, they go out all the same.
        let _ = stream.set_nodelay(true);
        let (bridge, tls, mut stopped) = (Arc::clone(&self.bridge), self.tls.clone(), self.stopped.clone());
        if self.connections.len() >= bridge.settings.max_clients {
            tracing::warn!(client = %peer, max_clients = bridge.settings.max_clients, "a client was refused");
            bridge.metrics.refused_connections.inc();
            return if tls.is_none() {
                refuse(stream, bridge.settings.max_clients)
            };
        }
        self.connections.spawn(async move {
            let stop = ended(&mut stopped);
            let presence = Presence::new(bridge, peer);
            tracing::info!(client = %peer, "connected");
            let closing = serve(&presence, stream, tls, stop).await;
            presence.bridge.metrics.disconnected(&closing);
            tracing::info!(client = %peer, reason = %closing, "disconnected");
        });
    }
}

/// A client that is counted, however its connection ends.
struct Presence {
    bridge: Arc<Bridge>,
    peer: SocketAddr,
    outbox: Arc<Outbox>,
}

impl Presence {
    fn new(bridge: Arc<Bridge>, peer: SocketAddr) -> Self {
        let outbox = Arc::new(Outbox::new(bridge.settings.max_queued_bytes));
        bridge.clients().insert(peer, Connected { since: Instant::now(), outbox: Arc::clone(&outbox) });
        bridge.metrics.clients.inc();
        Self { bridge, peer, outbox }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.bridge.clients().remove(&self.peer);
        self.bridge.metrics.clients.dec();
    }
}

async fn serve(
    presence: &Presence,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) -> Closing {
    let (bridge, outbox, peer) = (Arc::clone(&presence.bridge), Arc::clone(&presence.outbox), presence.peer);
    let Some(tls) = tls else {
        return connection::serve(bridge, outbox, peer, stream.into_split(), stop).await;
    };
    match timeout(TLS_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection::serve(bridge, outbox, peer, tokio::io::split(stream), stop).await,
        Ok(Err(error)) => Closing::Tls(error),
        Err(_) => Closing::Tls(io::ErrorKind::TimedOut.into()),
    }
}

/// Says why, as far as the kernel takes it at once.
fn refuse(mut stream: TcpStream, max_clients: usize) {
    let text = format!("the bridge has {max_clients} clients already, as many as its parameter max_clients allows");
    tokio::spawn(async move {
        let frames = [encode::handshake(), encode::error(&text)].concat();
        let told = async {
            stream.write_all(&frames).await?;
            stream.shutdown().await
        };
        drop(timeout(PAUSE, told).await);
    });
}

async fn ended(stopped: &mut watch::Receiver<bool>) {
    // Nobody is left to say so: then it has ended as well.
    drop(stopped.wait_for(|stopped| *stopped).await);
}
