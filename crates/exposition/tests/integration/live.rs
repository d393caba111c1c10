//! The live page: its files, and a response of events that does not end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use exposition::{Limits, Options, WebConfigFile};
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::auth::{authorization, users};
use crate::client::Client;
use crate::exporter::{MORE_THAN_SOCKETS_HOLD_BYTES, Running};

/// Soon enough for a test to wait for.
const SHORT: Duration = Duration::from_millis(50);

/// The page's own files and events, nothing else; no markup is made from text.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const NO_LIMITS: fn(&mut Options) = |_| {};

async fn follow(server: &Running) -> Client<TcpStream> {
    let mut client = Client::connect(server.address()).await;
    client.send("GET /live/events HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.code, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!((head.header("cache-control"), head.header("transfer-encoding")), (Some("no-store"), Some("chunked")));
    client
}

/// The number that the next event tells.
async fn event(client: &mut Client<TcpStream>) -> usize {
    let event = String::from_utf8(client.chunk().await).expect("UTF-8");
    let data = event.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n"));
    data.and_then(|data| data.trim_end_matches('#').parse().ok()).unwrap_or_else(|| panic!("{:.100}", event))
}

/// Waits until so many more events were made; returns how many there are then.
async fn wait_for_events(server: &Running, more: usize) -> usize {
    let made = || server.app.events.load(Ordering::Relaxed);
    let wanted = made() + more;
    while made() < wanted {
        sleep(Duration::from_millis(1)).await;
    }
    made()
}

/// An event that stays on its way to a client that does not read; those that follow are small.
async fn send_more_than_sockets_hold(server: &Running) {
    server.app.padding_bytes.store(MORE_THAN_SOCKETS_HOLD_BYTES, Ordering::Relaxed);
    wait_for_events(server, 2).await;
    server.app.padding_bytes.store(0, Ordering::Relaxed);
}

#[tokio::test]
async fn the_page_and_its_files_are_confined_and_not_sent_twice() {
    let server = Running::start_live(NO_LIMITS);
    let mut client = Client::connect(server.address()).await;
    let page = client.get("/live").await;
    assert_eq!((page.code, page.text()), (200, "<!DOCTYPE html><title>Live</title>"));
    assert_eq!(page.header("content-security-policy"), Some(CONTENT_SECURITY_POLICY));
    assert_eq!(
        (page.header("x-frame-options"), page.header("x-content-type-options")),
        (Some("deny"), Some("nosniff"))
    );

    let script = client.get("/live/live.js").await;
    assert_eq!((script.text(), script.header("content-type")), ("follow()", Some("text/javascript; charset=utf-8")));
    let tag = script.header("etag").expect("a tag").to_owned();
    assert_ne!(page.header("etag"), Some(&*tag));
    client.send(format!("GET /live/live.js HTTP/1.1\r\nHost: test\r\nIf-None-Match: {tag}\r\n\r\n")).await;
    let unchanged = client.head().await;
    assert_eq!((unchanged.code, unchanged.header("etag")), (304, Some(&*tag)));
    assert_eq!(client.get("/live/other.js").await.code, 404);
    assert!(client.get("/").await.text().contains("<a href=\"/live\">Live</a>: the example as it changes"));
    assert_eq!(server.metric("http_requests_total{code=\"200\",endpoint=\"live\"}"), 2.0);
}

#[tokio::test]
async fn without_a_live_page_nothing_is_there() {
    let server = Running::start(NO_LIMITS);
    let mut client = Client::connect(server.address()).await;
    for path in ["/live", "/live/events"] {
        assert_eq!(client.get(path).await.code, 404, "{path}");
    }
    assert!(!client.get("/").await.text().contains("/live\""));
}

#[tokio::test]
async fn all_clients_are_told_the_same_and_nothing_is_made_for_nobody() {
    let server = Running::start_live(NO_LIMITS);
    assert_eq!(Client::connect(server.address()).await.request("HEAD", "/live/events", &[]).await.code, 200);
    assert_eq!(server.app.events.load(Ordering::Relaxed), 0);
    let (mut first, mut second) = (follow(&server).await, follow(&server).await);
    assert_eq!(server.metric("live_clients"), 2.0);
    let seen = event(&mut second).await;
    while event(&mut first).await < seen {}
    drop((first, second));
    server.wait_for_metric("live_clients", 0.0).await;
    let made = server.app.events.load(Ordering::Relaxed);
    sleep(SHORT).await;
    assert!(server.app.events.load(Ordering::Relaxed) <= made + 1, "at most the one that was being waited for");
    assert!(event(&mut follow(&server).await).await > made, "and it goes on with news");
}

#[tokio::test]
async fn a_panic_of_the_source_ends_neither_the_page_nor_who_follows_it() {
    let server = Running::start_live(NO_LIMITS);
    let mut client = follow(&server).await;
    event(&mut client).await;
    server.app.panics.store(true, Ordering::Relaxed);
    while server.app.panics.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(1)).await;
    }
    let made = server.app.events.load(Ordering::Relaxed);
    while event(&mut client).await <= made {}
}

#[tokio::test]
async fn events_are_for_users_alone_where_there_are_users() {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), users(&[("alice", "secret")])).expect("written");
    let server =
        Running::start_live(|options| options.web_config = WebConfigFile::load(file.path()).expect("no fault"));
    let mut client = Client::connect(server.address()).await;
    for path in ["/live", "/live/live.js", "/live/events"] {
        assert_eq!(client.get(path).await.code, 401, "{path}");
    }
    let login = authorization("alice", "secret");
    client.send(format!("GET /live/events HTTP/1.1\r\nHost: test\r\n{login}\r\n\r\n")).await;
    assert_eq!(client.head().await.code, 200);
    event(&mut client).await;
}

#[tokio::test]
async fn one_client_too_many_is_503_until_another_goes() {
    let server = Running::start_live(|options| options.limits.max_live_clients = 1);
    let first = follow(&server).await;
    let mut second = Client::connect(server.address()).await;
    let refused = second.get("/live/events").await;
    assert_eq!((refused.code, refused.text()), (503, "too many follow the live page already\n"));
    assert_eq!(server.rejected("max_live_clients"), 1.0);
    drop(first);
    server.wait_for_metric("live_clients", 0.0).await;
    event(&mut follow(&server).await).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_skips_events_and_is_given_the_newest() {
    let server = Running::start_live(NO_LIMITS);
    let mut slow = follow(&server).await;
    send_more_than_sockets_hold(&server).await;
    let newest = wait_for_events(&server, 10).await;
    let mut told = event(&mut slow).await;
    let after = loop {
        match event(&mut slow).await {
            next if next == told + 1 => told = next,
            next => break next,
        }
    };
    assert!(told <= newest - 10 && after >= newest, "{told}, then {after} of {newest}");
    assert_eq!(server.metric("live_events_skipped_total"), (after - told - 1) as f64);
}

#[tokio::test]
async fn a_stream_that_is_read_outlives_every_timeout_and_one_that_is_not_read_does_not() {
    let limits = Limits { header_timeout: SHORT, idle_timeout: SHORT, write_timeout: 10 * SHORT, ..Limits::default() };
    let server = Running::start_live(|options| options.limits = limits);
    let mut read = follow(&server).await;
    let until = tokio::time::Instant::now() + 15 * SHORT;
    while tokio::time::Instant::now() < until {
        event(&mut read).await;
    }
    drop(read);
    let unread = follow(&server).await;
    send_more_than_sockets_hold(&server).await;
    server.wait_for_metric("http_connections_closed_total{reason=\"write_timeout\"}", 1.0).await;
    server.wait_for_metric("live_clients", 0.0).await;
    assert_eq!((server.closed("idle_timeout"), server.closed("header_timeout")), (0.0, 0.0));
    drop(unread);
}

#[tokio::test]
async fn a_stream_ends_in_order_with_its_time_and_with_the_server() {
    let mut server = Running::start_live(|options| options.limits.shutdown_grace = Duration::from_secs(20));
    let mut client = follow(&server).await;
    event(&mut client).await;
    server.ask_to_stop();
    while !client.chunk().await.is_empty() {}
    assert_eq!(client.closed().await, b"");
    server.stopped().await;
    assert_eq!(server.closed("shutdown_grace"), 0.0);

    let server = Running::start_live(|options| options.limits.event_stream_lifetime = SHORT);
    let mut client = follow(&server).await;
    while !client.chunk().await.is_empty() {}
    assert_eq!(client.closed().await, b"");
}
