//! What each path answers.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::client::Client;
use crate::exporter::{EXPOSITION, Running};

#[tokio::test]
async fn the_exposition_is_text_0_0_4_with_its_length() {
    let server = Running::start(|_| {});
    let response = Client::connect(server.address()).await.get("/metrics").await;
    assert_eq!(response.code, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(response.header("content-length"), Some(EXPOSITION.len().to_string().as_str()));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("vary"), Some("accept-encoding"));
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.text(), EXPOSITION);
}

#[tokio::test]
async fn the_exposition_is_gzipped_for_who_asks_for_it() {
    let server = Running::start(|_| {});
    let mut client = Client::connect(server.address()).await;
    for header in ["Accept-Encoding: gzip", "Accept-Encoding: deflate, *;q=0.1"] {
        let response = client.request("GET", "/metrics", &[header]).await;
        assert_eq!((response.code, response.header("content-encoding")), (200, Some("gzip")), "{header}");
        let mut text = String::new();
        GzDecoder::new(response.body.as_slice()).read_to_string(&mut text).expect("gzip");
        assert_eq!(text, EXPOSITION);
    }
    for header in ["Accept-Encoding: gzip;q=0", "Accept-Encoding: identity", "Accept: */*"] {
        let response = client.request("GET", "/metrics", &[header]).await;
        assert_eq!((response.header("content-encoding"), response.text()), (None, EXPOSITION), "{header}");
    }
}

#[tokio::test]
async fn the_telemetry_path_can_be_another() {
    let server = Running::start(|options| options.telemetry_path = "/a/b".parse().expect("a path"));
    let mut client = Client::connect(server.address()).await;
    assert_eq!(client.get("/a/b?name=x").await.text(), EXPOSITION);
    assert_eq!(client.get("/metrics").await.code, 404);
    assert!(client.get("/").await.text().contains("<a href=\"/a/b\">"));
}

#[tokio::test]
async fn probes_tell_the_reason() {
    let server = Running::start(|_| {});
    let mut client = Client::connect(server.address()).await;
    for path in ["/livez", "/readyz"] {
        let response = client.get(path).await;
        assert_eq!((response.code, response.text()), (200, "ok\n"), "{path}");
    }
    *server.app.not_ready.lock().expect("not poisoned") = Some("no topic yet".into());
    let response = client.get("/readyz").await;
    assert_eq!((response.code, response.text()), (503, "no topic yet\n"));
    assert_eq!(client.get("/livez").await.code, 200);
    *server.app.not_alive.lock().expect("not poisoned") = Some("the executor hangs".into());
    let response = client.get("/livez").await;
    assert_eq!((response.code, response.text()), (503, "the executor hangs\n"));
}

#[tokio::test]
async fn the_landing_page_is_escaped_and_locked_down() {
    let server = Running::start(|_| {});
    let response = Client::connect(server.address()).await.get("/").await;
    assert_eq!((response.code, response.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = response.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let html = response.text();
    for part in [
        "<h1>example &lt;exporter&gt; <small>1.2.3</small></h1>",
        "<a href=\"/metrics\">",
        "<a href=\"/livez\">",
        "<a href=\"/readyz\">",
        "<a href=\"/docs?a=1&amp;b=2\">Docs</a>: the manual",
        "<tr><th>topic</th><th>joints</th></tr>",
        "<tr><td>/&lt;script&gt;</td><td>0</td></tr>",
    ] {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
    assert!(!html.contains("<script"), "{html}");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Running::start(|_| {});
    let mut client = Client::connect(server.address()).await;
    for path in ["/metrics", "/", "/livez", "/readyz"] {
        let get = client.get(path).await;
        let head = client.request("HEAD", path, &[]).await;
        assert_eq!((head.code, head.header("content-length")), (200, get.header("content-length")), "{path}");
    }
    // Had a body followed a head, this would read it.
    assert_eq!(client.get("/livez").await.text(), "ok\n");
}

#[tokio::test]
async fn other_methods_and_paths_are_told_so() {
    let server = Running::start(|_| {});
    let mut client = Client::connect(server.address()).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let response = client.request(method, "/metrics", &[]).await;
        assert_eq!((response.code, response.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for path in ["/metrics/", "/nothing", "/metrics/../livez", "//"] {
        assert_eq!(client.get(path).await.code, 404, "{path}");
    }
    assert_eq!(server.metric("http_requests_total{code=\"405\",endpoint=\"metrics\"}"), 6.0);
    assert_eq!(server.metric("http_requests_total{code=\"404\",endpoint=\"unknown\"}"), 4.0);
}

#[tokio::test]
async fn garbage_is_a_bad_request() {
    let server = Running::start(|_| {});
    for garbage in [
        "garbage\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
    ] {
        let mut client = Client::connect(server.address()).await;
        client.send(garbage).await;
        assert_eq!(client.head().await.code, 400, "{garbage:?}");
        client.closed().await;
    }
    assert_eq!(server.closed("malformed_request"), 4.0);
}

#[tokio::test]
async fn a_scrape_is_measured() {
    let server = Running::start(|_| {});
    let mut client = Client::connect(server.address()).await;
    client.request("GET", "/metrics", &["Accept-Encoding: gzip"]).await;
    assert_eq!(server.metric("last_scrape_series"), 2.0);
    assert_eq!(server.metric("last_scrape_size_bytes"), EXPOSITION.len() as f64);
    assert_eq!(server.metric("scrape_duration_seconds_count"), 1.0);
    assert_eq!(server.metric("http_requests_total{code=\"200\",endpoint=\"metrics\"}"), 1.0);
    assert_eq!(server.metric("http_connections"), 1.0);
    assert_eq!(server.metric("http_connections_accepted_total"), 1.0);
    drop(client);
    server.wait_for_metric("http_connections", 0.0).await;
}
