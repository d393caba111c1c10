//! An exporter to serve, and its server while it runs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exposition::{
    EventSource, Exporter, Health, Landing, Link, Live, LiveFile, Options, Scrape, Server, Table, bind, encode_registry,
};
use prometheus::Registry;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// More than the socket buffers of both sides hold, so that a client that does not read is noticed.
pub const MORE_THAN_SOCKETS_HOLD_BYTES: usize = 64 << 20;

/// What the scrape says.
pub const EXPOSITION: &str = "# TYPE example gauge\nexample{joint=\"a\"} 1\nexample{joint=\"b\"} 2\n";

#[derive(Default)]
pub struct App {
    /// Length of a comment after [`EXPOSITION`].
    pub padding_bytes: AtomicUsize,
    /// Events that were made.
    pub events: AtomicUsize,
    /// Whether the next event is a panic.
    pub panics: AtomicBool,
    pub not_ready: Mutex<Option<String>>,
    pub not_alive: Mutex<Option<String>>,
}

impl Scrape for App {
    fn scrape(&self, out: &mut Vec<u8>) -> u64 {
        assert!(out.is_empty(), "every scrape starts with an empty buffer");
        out.extend_from_slice(EXPOSITION.as_bytes());
        out.resize(out.len() + self.padding_bytes.load(Ordering::Relaxed), b'#');
        2
    }
}

impl EventSource for App {
    fn write_event(&self, out: &mut Vec<u8>) {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "a panic, as the test asks for");
        let number = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        out.extend_from_slice(number.to_string().as_bytes());
        out.resize(out.len() + self.padding_bytes.load(Ordering::Relaxed), b'#');
    }
}

impl Health for App {
    fn readiness(&self) -> Result<(), String> {
        self.not_ready.lock().expect("not poisoned").clone().map_or(Ok(()), Err)
    }

    fn liveness(&self) -> Result<(), String> {
        self.not_alive.lock().expect("not poisoned").clone().map_or(Ok(()), Err)
    }
}

pub struct Running {
    pub app: Arc<App>,
    pub addresses: Vec<SocketAddr>,
    registry: Registry,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// With every default but those that `change` changes.
    pub fn start(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_on(&["127.0.0.1:0"], change)
    }

    pub fn start_on(addresses: &[&str], change: impl FnOnce(&mut Options)) -> Self {
        Self::start_with(addresses, change, |_| None)
    }

    /// With a live page.
    pub fn start_live(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_with(&["127.0.0.1:0"], change, |app| Some(live(app)))
    }

    fn start_with(
        addresses: &[&str],
        change: impl FnOnce(&mut Options),
        live: impl FnOnce(Arc<App>) -> Option<Live>,
    ) -> Self {
        let registry = Registry::new();
        let app = Arc::new(App::default());
        let mut options = Options::new("test");
        change(&mut options);
        let exporter =
            Exporter { scrape: app.clone(), health: app.clone(), landing: landing(), live: live(app.clone()) };
        let server = Server::new(exporter, options, &registry).expect("a valid namespace");

        let addresses: Vec<_> = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let listeners = bind(&addresses).expect("free ports");
        let addresses = listeners.iter().map(|listener| listener.local_addr().expect("bound")).collect();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.serve(listeners, async { drop(stopped.await) }));
        Self { app, addresses, registry, stop: Some(stop), task }
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// One of the server's own series, `name{labels}` without the namespace.
    pub fn metric(&self, series: &str) -> f64 {
        let mut out = Vec::new();
        encode_registry(&self.registry, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("test_{series} ")));
        line.unwrap_or_else(|| panic!("no test_{series} in\n{text}")).parse().expect("a number")
    }

    /// For what no client can see happen.
    pub async fn wait_for_metric(&self, series: &str, value: f64) {
        let reached = async {
            while self.metric(series) != value {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(20), reached)
            .await
            .unwrap_or_else(|_| panic!("{series} stays {}", self.metric(series)));
    }

    pub fn closed(&self, reason: &str) -> f64 {
        self.metric(&format!("http_connections_closed_total{{reason=\"{reason}\"}}"))
    }

    pub fn rejected(&self, reason: &str) -> f64 {
        self.metric(&format!("http_requests_rejected_total{{reason=\"{reason}\"}}"))
    }

    pub fn ask_to_stop(&mut self) {
        self.stop.take().expect("asked once").send(()).expect("running");
    }

    /// Waits until the server returned.
    pub async fn stopped(&mut self) {
        let result = timeout(Duration::from_secs(20), &mut self.task).await.expect("stops");
        result.expect("no panic").expect("no error");
    }
}

fn live(app: Arc<App>) -> Live {
    let script = LiveFile { name: "live.js", content_type: "text/javascript; charset=utf-8", body: "follow()" };
    Live {
        description: "the example as it changes".into(),
        page: "<!DOCTYPE html><title>Live</title>",
        files: vec![script],
        source: app,
        period: Duration::from_millis(5),
    }
}

fn landing() -> Landing {
    let mut landing = Landing::new("example <exporter>", "1.2.3", "Metrics of an example.");
    landing.links =
        vec![Link { address: "/docs?a=1&b=2".into(), text: "Docs".into(), description: "the manual".into() }];
    landing.tables = Arc::new(|| {
        let rows = vec![vec!["/joint_states".into(), "7".into()], vec!["/<script>".into(), "0".into()]];
        vec![Table { heading: "Topics".into(), columns: vec!["topic".into(), "joints".into()], rows }]
    });
    landing
}
