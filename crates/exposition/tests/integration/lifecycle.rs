//! Start and stop.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use exposition::{BindError, Exporter, Health, Landing, ListenAddress, Options, Scrape, Server, bind};
use prometheus::Registry;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::exporter::{EXPOSITION, MORE_THAN_SOCKETS_HOLD_BYTES, Running};

#[tokio::test]
async fn serves_on_every_address() {
    let server = Running::start_on(&["127.0.0.1:0", "localhost:0"], |_| {});
    assert_ne!(server.addresses[0], server.addresses[1]);
    for address in &server.addresses {
        assert_eq!(Client::connect(*address).await.get("/metrics").await.text(), EXPOSITION);
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_and_free_again_after_the_stop() {
    let mut server = Running::start(|_| {});
    let address: ListenAddress = server.address().to_string().parse().expect("an address");
    assert!(matches!(bind(std::slice::from_ref(&address)), Err(BindError::InUse { .. })));

    // A connection that the server closes first leaves the port in TIME_WAIT, which must not keep the next process from it.
    let mut client = Client::connect(server.address()).await;
    client.get("/livez").await;
    server.ask_to_stop();
    server.stopped().await;
    client.closed().await;
    bind(&[address]).expect("free again");
}

#[tokio::test]
async fn a_stop_lets_a_running_request_finish() {
    let mut server = Running::start(|options| options.limits.shutdown_grace = Duration::from_secs(20));
    server.app.padding_bytes.store(MORE_THAN_SOCKETS_HOLD_BYTES, Ordering::Relaxed);
    let mut running = Client::connect(server.address()).await;
    running.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let head = running.head().await;
    let mut idle = Client::connect(server.address()).await;
    idle.get("/livez").await;

    server.ask_to_stop();
    assert_eq!(idle.closed().await, b"");
    assert!(TcpStream::connect(server.address()).await.is_err(), "no new connections");
    let body = running.body(&head).await.expect("all of it");
    assert_eq!(body.len(), EXPOSITION.len() + MORE_THAN_SOCKETS_HOLD_BYTES);
    server.stopped().await;
    assert_eq!((server.closed("shutdown_grace"), server.metric("http_connections")), (0.0, 0.0));
}

#[tokio::test]
async fn a_stop_drops_what_takes_too_long() {
    let mut server = Running::start(|options| options.limits.shutdown_grace = Duration::from_millis(50));
    server.app.padding_bytes.store(MORE_THAN_SOCKETS_HOLD_BYTES, Ordering::Relaxed);
    let mut stalled = Client::connect(server.address()).await;
    stalled.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    stalled.head().await;
    server.ask_to_stop();
    server.stopped().await;
    assert_eq!((server.closed("shutdown_grace"), server.metric("http_connections")), (1.0, 0.0));
}

struct Panics;

impl Scrape for Panics {
    fn scrape(&self, _: &mut Vec<u8>) -> u64 {
        panic!("on purpose")
    }
}

impl Health for Panics {
    fn readiness(&self) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn a_scrape_that_panics_costs_one_connection() {
    let exporter =
        Exporter { scrape: Arc::new(Panics), health: Arc::new(Panics), landing: Landing::new("", "", ""), live: None };
    let options =
        Options { limits: exposition::Limits { max_requests: 1, ..Default::default() }, ..Options::new("test") };
    let server = Server::new(exporter, options, &Registry::new()).expect("a valid namespace");
    let listeners = bind(&["127.0.0.1:0".parse().expect("an address")]).expect("a free port");
    let address = listeners[0].local_addr().expect("bound");
    tokio::spawn(server.serve(listeners, std::future::pending()));

    for _ in 0..2 {
        let mut client = Client::connect(address).await;
        client.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
        assert_eq!(client.closed().await, b"");
    }
    assert_eq!(Client::connect(address).await.get("/").await.code, 200, "and no permit");
}

#[test]
fn a_namespace_that_is_no_name_is_refused() {
    let exporter =
        Exporter { scrape: Arc::new(Panics), health: Arc::new(Panics), landing: Landing::new("", "", ""), live: None };
    let created =
        panic::catch_unwind(AssertUnwindSafe(|| Server::new(exporter, Options::new("a b"), &Registry::new())));
    assert!(created.expect("no panic").is_err());
}
