//! The wiring: parameters to limits, a socket to clients, metrics to the web.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use exposition::{Scrape, bind, encode_registry};
use node_runtime::{Check, Failure, Heartbeat, MonotonicClock, Page, RosThread, Startup, serve};
use prometheus::Registry;
use ros_observer::{Spinner, TakeIn};
use tokio_rustls::TlsAcceptor;

use crate::accept::BridgeThread;
use crate::access::Access;
use crate::bridge::Bridge;
use crate::metrics::Metrics;
use crate::parameters::{Settings, listen_address};
use crate::tables::tables;
use crate::tls;

/// A thread has not turned for this long: not ready.
const NOT_READY_AFTER: Duration = Duration::from_secs(5);

/// And for this long: only a restart will help.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// Runs the node until it is asked to stop.
pub(crate) fn run(startup: Startup) -> Result<(), Failure> {
    let (listener, tls) = listen(&startup)?;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let clock = MonotonicClock::new();
    let mut spinner = Spinner::new(&startup.node)?;
    startup.parameters.offer(&startup.node, &mut spinner, |_, _| {})?;
    let settings = Settings::of(&startup.parameters);
    let access = Access::of(&startup.parameters);
    let bridge = Arc::new(Bridge::new(startup.node.clone(), spinner.handle(), settings, access, metrics));
    let watched = Arc::clone(&bridge);
    let mut threads =
        [RosThread::spawn(spinner, clock, move |_, graph_changed, now| watched.look(graph_changed, now))?];
    let address = listener.local_addr()?;
    // Ends before the thread above, which answers what the clients ask: what is bound later is dropped first.
    let clients = BridgeThread::spawn(listener, Arc::clone(&bridge), tls, clock)?;
    tracing::info!(%address, "listening for ROS-TCP");
    let pulse = Pulse { clock, heartbeat: threads[0].heartbeat(), last_pulse_ns: clients.last_pulse_ns() };
    let page = Page {
        scrape: Arc::new(BridgeScrape { registry: registry.clone() }),
        readiness: pulse.check(NOT_READY_AFTER),
        liveness: pulse.check(DEAD_AFTER),
        tables: tables(bridge),
        live: None,
    };
    serve(startup, &registry, TakeIn::auto(), page, &mut threads)
}

/// Reads all that the parameters say of the socket, and only then listens.
fn listen(startup: &Startup) -> Result<(TcpListener, Option<TlsAcceptor>), Failure> {
    match (listen_address(&startup.parameters), tls::acceptor(&startup.parameters)) {
        (Ok(address), Ok(tls)) => {
            let listeners = bind(&[address]).context("parameters tcp_address and tcp_port")?;
            let listener = listeners.into_iter().next().context("one address has one socket")?;
            let address = listener.local_addr()?;
            if tls.is_none() && !address.ip().is_loopback() {
                tracing::warn!(%address, "whoever reaches this address can do all that the allow-lists allow, without TLS");
            }
            Ok((listener, tls))
        }
        (address, tls) => {
            let faults = address.err().into_iter().chain(tls.err()).flatten();
            Err(Failure::Configuration(faults.collect()))
        }
    }
}

struct BridgeScrape {
    registry: Registry,
}

impl Scrape for BridgeScrape {
    fn scrape(&self, out: &mut Vec<u8>) -> u64 {
        encode_registry(&self.registry, out)
    }
}

/// Whether the threads still turn.
struct Pulse {
    clock: MonotonicClock,
    heartbeat: Heartbeat,
    last_pulse_ns: Arc<AtomicU64>,
}

impl Pulse {
    fn check(&self, patience: Duration) -> Check {
        let (clock, heartbeat, last_pulse_ns) = (self.clock, self.heartbeat.clone(), Arc::clone(&self.last_pulse_ns));
        Box::new(move || {
            if heartbeat.silent_for() > patience {
                return Err("the ROS thread has stopped turning".to_owned());
            }
            let silent_ns = clock.now_ns().saturating_sub(last_pulse_ns.load(Ordering::Relaxed));
            match Duration::from_nanos(silent_ns) > patience {
                true => Err("the thread of the clients has stopped turning".to_owned()),
                false => Ok(()),
            }
        })
    }
}
