//! The web side of a node: binds, serves until it is asked to stop, drains.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use anyhow::Context;
use exposition::{
    Exporter, Health, Landing, Limits, Link, ListenAddress, Live, Options, Scrape, Server, Table, WebConfigFile, bind,
};
use prometheus::{IntGauge, Opts, Registry};
use ros_observer::TakeIn;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::WebFlags;
use crate::process::ProcessCollector;
use crate::{Failure, RosThread, Startup};

/// The web server's own metrics have the same names in every node, so that one dashboard shows all.
const NAMESPACE: &str = "digital_twin";

/// Tells what is wrong, if something is. Waits for nothing.
pub type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a node shows on the web.
pub struct Page {
    /// The metrics.
    pub scrape: Arc<dyn Scrape>,
    /// Why the node is not ready, if it is not.
    pub readiness: Check,
    /// Why nothing but a restart helps, if that is so.
    pub liveness: Check,
    /// What the landing page lists.
    pub tables: Arc<dyn Fn() -> Vec<Table> + Send + Sync>,
    /// A page that shows it as it changes.
    pub live: Option<Live>,
}

/// Serves `page` on the calling thread until SIGTERM, SIGINT or the end of a ROS thread, then lets running requests
/// end.
///
/// # Errors
/// When an address cannot be listened on, or a ROS thread has ended unasked.
pub fn serve(
    startup: Startup,
    registry: &Registry,
    take_in: TakeIn,
    page: Page,
    ros_threads: &mut [RosThread],
) -> Result<(), Failure> {
    let info = startup.info;
    register_process(registry, take_in)?;
    let web = startup.web;
    let live = page.live.filter(|_| web.options.limits.max_live_clients > 0);
    let links = if live.is_none() { web.live_link.into_iter().collect() } else { Vec::new() };
    let landing =
        Landing { links, tables: page.tables, ..Landing::new(info.name, env!("CARGO_PKG_VERSION"), info.about) };
    let stopping = Arc::new(AtomicBool::new(false));
    let health = NodeHealth { readiness: page.readiness, liveness: page.liveness, stopping: Arc::clone(&stopping) };
    let exporter = Exporter { scrape: page.scrape, health: Arc::new(health), landing, live };
    let server = Server::new(exporter, web.options, registry)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anybody can connect: from then on, to be asked to stop ends with 0.
    let asked = runtime.block_on(async { asked_to_stop() })?;
    let listeners = bind(&web.addresses).context("--web.listen-address")?;
    let mut failure = None;
    let served = runtime.block_on(async {
        let stop = async {
            tokio::select! {
                () = asked => {}
                error = first_failure(ros_threads) => {
                    // At once: the process may have to end before it can tell at its end.
                    tracing::warn!("{error:#}: stopping");
                    failure = Some(error);
                }
            }
            stopping.store(true, Ordering::Relaxed);
        };
        server.serve(listeners, stop).await
    });
    // Without waiting for what blocks: the check of a password, a file on a mount that hangs.
    runtime.shutdown_background();
    served?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    tracing::info!("stopped");
    Ok(())
}

/// Waits until one of the threads ends unasked, and says why.
async fn first_failure(ros_threads: &mut [RosThread]) -> anyhow::Error {
    let mut failures: Vec<_> = ros_threads.iter_mut().map(|thread| Box::pin(thread.failure())).collect();
    poll_fn(|context| {
        let mut polled = failures.iter_mut().map(|failure| failure.as_mut().poll(context));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

struct NodeHealth {
    readiness: Check,
    liveness: Check,
    stopping: Arc<AtomicBool>,
}

impl Health for NodeHealth {
    fn readiness(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("the node is stopping".to_owned());
        }
        (self.readiness)()
    }

    fn liveness(&self) -> Result<(), String> {
        (self.liveness)()
    }
}

/// Ends with the first SIGTERM or SIGINT after the call.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
    })
}

/// What is the same for every node: what it is built from and what the process uses.
fn register_process(registry: &Registry, take_in: TakeIn) -> prometheus::Result<()> {
    let options = Opts::new("digital_twin_build_info", "What runs here; always 1.")
        .const_label("version", env!("CARGO_PKG_VERSION"))
        .const_label("ros_distro", r2r::ROS_DISTRO)
        .const_label("middleware", ros_observer::middleware())
        .const_label("take_in", take_in.name());
    let build_info = IntGauge::with_opts(options)?;
    build_info.set(1);
    registry.register(Box::new(build_info))?;
    registry.register(Box::new(ProcessCollector::new()?))
}

/// The web server's flags, checked.
pub(crate) struct WebSettings {
    pub(crate) addresses: Vec<ListenAddress>,
    pub(crate) options: Options,
    /// To the live page of another node.
    live_link: Option<Link>,
}

impl WebSettings {
    /// Reads the flags and the file that they name.
    ///
    /// # Errors
    /// Every fault, each with its flag or file.
    pub(crate) fn check(flags: &WebFlags) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut addresses = Vec::new();
        for text in &flags.listen_addresses {
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(error) => faults.push(format!("--web.listen-address: {error}")),
            }
        }
        let telemetry_path = flags.telemetry_path.parse();
        let telemetry_path = telemetry_path.map_err(|error| faults.push(format!("--web.telemetry-path: {error}")));
        let web_config = flags.config_file.as_ref().map_or(Ok(WebConfigFile::none()), |file| WebConfigFile::load(file));
        let web_config = web_config.map_err(|error| faults.push(format!("--web.config.file: {error}")));
        let live_link = live_link(&flags.live_url).map_err(|error| faults.push(format!("--web.live-url: {error}")));
        match (telemetry_path, web_config, live_link) {
            (Ok(telemetry_path), Ok(web_config), Ok(live_link)) if faults.is_empty() => {
                let (max_requests, max_live_clients) = (flags.max_requests, flags.live_clients);
                let limits = Limits { max_requests, max_live_clients, ..Limits::default() };
                Ok(Self {
                    live_link,
                    addresses,
                    options: Options { telemetry_path, limits, web_config, ..Options::new(NAMESPACE) },
                })
            }
            _ => Err(faults),
        }
    }
}

/// The link that the flag asks for, if it does.
fn live_link(address: &str) -> Result<Option<Link>, String> {
    if address.is_empty() {
        return Ok(None);
    }
    let port = address.strip_prefix(':').map(|rest| rest.split('/').next().unwrap_or_default());
    let is_url = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
    if !is_url && port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err(format!("{address:?} must begin with http://, https:// or a port, as in :8002/live"));
    }
    let description = "topics and joints as they change, where a monitoring_node runs";
    Ok(Some(Link { address: address.to_owned(), text: "Live".to_owned(), description: description.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_page_is_a_url_or_a_port() {
        let address = |text: &str| live_link(text).map(|link| link.map(|link| link.address));
        for good in [":8002/live", "https://robot1.example/live"] {
            assert_eq!(address(good), Ok(Some(good.to_owned())));
        }
        assert_eq!(address(""), Ok(None));
        for bad in ["robot1:8002", ":live", ":70000/live", "javascript:alert(1)"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
