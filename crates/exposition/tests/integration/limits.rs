//! What a client may take, and what happens when it takes more.

use std::sync::atomic::Ordering;
use std::time::Duration;

use exposition::Limits;

use crate::client::Client;
use crate::exporter::{EXPOSITION, MORE_THAN_SOCKETS_HOLD_BYTES, Running};

/// Soon enough for a test to wait for.
const SHORT: Duration = Duration::from_millis(50);

fn start(limits: Limits) -> Running {
    Running::start(|options| options.limits = limits)
}

#[tokio::test]
async fn a_header_that_does_not_end_costs_the_connection() {
    let server = start(Limits { header_timeout: SHORT, ..Limits::default() });
    for sent in ["", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = Client::connect(server.address()).await;
        client.send(sent).await;
        assert_eq!(client.closed().await, b"", "{sent}");
    }
    assert_eq!(server.closed("header_timeout"), 3.0);
}

#[tokio::test]
async fn a_header_in_drips_costs_the_connection_too() {
    let server = start(Limits { header_timeout: SHORT, ..Limits::default() });
    let (mut reader, mut writer) =
        tokio::net::TcpStream::connect(server.address()).await.expect("connected").into_split();
    let drip = tokio::spawn(async move {
        // Until the server has had enough.
        while tokio::io::AsyncWriteExt::write_all(&mut writer, b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut received = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut received);
    // A reset is as good an end as any.
    let _ = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("closed");
    assert_eq!(server.closed("header_timeout"), 1.0);
    drip.await.expect("no panic");
}

#[tokio::test]
async fn a_second_header_has_its_time_as_well() {
    let server = start(Limits { header_timeout: SHORT, ..Limits::default() });
    let mut client = Client::connect(server.address()).await;
    client.get("/livez").await;
    client.send("GET /").await;
    client.closed().await;
    assert_eq!(server.closed("header_timeout"), 1.0);
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout_and_not_its_own() {
    let limits = Limits { header_timeout: SHORT, idle_timeout: 3 * SHORT, ..Limits::default() };
    let server = start(limits);
    let mut client = Client::connect(server.address()).await;
    client.get("/metrics").await;
    client.get("/metrics").await;
    client.closed().await;
    assert_eq!((server.closed("idle_timeout"), server.closed("header_timeout")), (1.0, 0.0));
}

#[tokio::test]
async fn a_header_too_large_is_431() {
    let server = start(Limits { max_header_bytes: 8 << 10, ..Limits::default() });
    let mut client = Client::connect(server.address()).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}", "x".repeat(9 << 10))).await;
    assert_eq!(client.head().await.code, 431);
    assert_eq!(server.closed("max_header_bytes"), 1.0);

    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut client = Client::connect(server.address()).await;
    assert_eq!(client.request("GET", "/", &many).await.code, 431);
}

#[tokio::test]
async fn a_small_limit_on_headers_holds_exactly() {
    let server = start(Limits { max_header_bytes: 100, ..Limits::default() });
    let fill = |bytes: usize| {
        let rest = "GET /livez HTTP/1.1\r\nX: \r\n\r\n".len();
        format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(bytes - rest))
    };
    for (bytes, code) in [(100, 200), (101, 431)] {
        let mut client = Client::connect(server.address()).await;
        client.send(fill(bytes)).await;
        assert_eq!(client.head().await.code, code, "{bytes}");
    }
}

#[tokio::test]
async fn a_body_too_large_is_413() {
    let server = start(Limits { max_body_bytes: 10, ..Limits::default() });
    let mut client = Client::connect(server.address()).await;
    let response = client.request("GET", "/metrics", &["Content-Length: 11"]).await;
    assert_eq!((response.code, response.header("connection")), (413, Some("close")));
    client.closed().await;

    let mut client = Client::connect(server.address()).await;
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n").await;
    assert_eq!(client.response().await.code, 413);
    assert_eq!(server.rejected("max_body_bytes"), 2.0);
}

#[tokio::test]
async fn a_small_body_is_passed_over() {
    let server = start(Limits { max_body_bytes: 10, ..Limits::default() });
    let mut client = Client::connect(server.address()).await;
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n0123456789").await;
    assert_eq!(client.response().await.text(), EXPOSITION);
    assert_eq!(client.get("/livez").await.code, 200, "the next request is not read out of the body");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let server = start(Limits { header_timeout: SHORT, ..Limits::default() });
    let mut client = Client::connect(server.address()).await;
    let response = client.request("GET", "/metrics", &["Content-Length: 1"]).await;
    assert_eq!((response.code, response.header("connection")), (408, Some("close")));
    assert_eq!(server.rejected("body_timeout"), 1.0);
}

#[tokio::test]
async fn a_response_that_is_not_read_costs_the_connection() {
    let server = start(Limits { write_timeout: SHORT, ..Limits::default() });
    server.app.padding_bytes.store(MORE_THAN_SOCKETS_HOLD_BYTES, Ordering::Relaxed);
    let mut client = Client::connect(server.address()).await;
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    server.wait_for_metric("http_connections_closed_total{reason=\"write_timeout\"}", 1.0).await;
    server.wait_for_metric("http_connections", 0.0).await;
    assert!(client.closed().await.len() < MORE_THAN_SOCKETS_HOLD_BYTES);
}

#[tokio::test]
async fn one_request_too_many_is_503_until_a_response_is_read() {
    let server = start(Limits { max_requests: 1, ..Limits::default() });
    server.app.padding_bytes.store(MORE_THAN_SOCKETS_HOLD_BYTES, Ordering::Relaxed);
    let mut slow = Client::connect(server.address()).await;
    slow.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let head = slow.head().await;

    let mut second = Client::connect(server.address()).await;
    for path in ["/metrics", "/"] {
        assert_eq!(second.get(path).await.code, 503, "{path}");
    }
    assert_eq!(second.get("/livez").await.code, 200, "a probe is answered nevertheless");
    assert_eq!(server.rejected("max_requests"), 2.0);

    let body = slow.body(&head).await.expect("all of it");
    assert_eq!(body.len(), EXPOSITION.len() + MORE_THAN_SOCKETS_HOLD_BYTES);
    assert_eq!(second.get("/").await.code, 200);
}

#[tokio::test]
async fn zero_requests_means_no_limit() {
    let server = start(Limits { max_requests: 0, ..Limits::default() });
    assert_eq!(Client::connect(server.address()).await.get("/metrics").await.code, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let server = start(Limits { max_connections: 1, ..Limits::default() });
    let mut first = Client::connect(server.address()).await;
    first.get("/livez").await;
    assert_eq!(Client::connect(server.address()).await.closed().await, b"");
    assert_eq!(server.closed("max_connections"), 1.0);
    assert_eq!(first.get("/livez").await.code, 200);
    drop(first);
    server.wait_for_metric("http_connections", 0.0).await;
    assert_eq!(Client::connect(server.address()).await.get("/livez").await.code, 200);
}
