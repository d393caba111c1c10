//! TLS and client certificates.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use exposition::{Limits, WebConfigFile};
use flate2::read::GzDecoder;
use rcgen::SanType;
use tempfile::TempDir;

use crate::certificates::{Authority, connect, dns, gets_in};
use crate::client::Client;
use crate::exporter::{EXPOSITION, MORE_THAN_SOCKETS_HOLD_BYTES, Running};

/// A server whose `tls_server_config` has the pair and `more`; the clients' authority is in `ca.pem`.
fn start(authority: &Authority, more: &str, limits: Limits) -> (Running, TempDir) {
    let directory = tempfile::tempdir().expect("directory");
    authority.server().write(directory.path());
    authority.write(&directory.path().join("ca.pem"));
    let path = directory.path().join("web.yml");
    fs::write(&path, format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{more}"))
        .expect("written");
    let web_config = WebConfigFile::load(&path).expect("no fault");
    assert!(web_config.is_tls());
    let server = Running::start(|options| {
        options.web_config = web_config;
        options.limits = limits;
    });
    (server, directory)
}

#[tokio::test]
async fn a_scrape_over_tls_is_the_same() {
    let authority = Authority::new();
    let (server, _directory) = start(&authority, "", Limits::default());
    let mut client = connect(&server, &authority.client(None)).await.expect("a handshake");
    assert_eq!(client.get("/metrics").await.text(), EXPOSITION);
    let gzipped = client.request("GET", "/metrics", &["Accept-Encoding: gzip"]).await;
    let mut text = String::new();
    GzDecoder::new(gzipped.body.as_slice()).read_to_string(&mut text).expect("gzip");
    assert_eq!(text, EXPOSITION);
}

#[tokio::test]
async fn who_does_not_speak_tls_or_trust_the_server_is_closed_and_counted() {
    let authority = Authority::new();
    let (server, _directory) = start(&authority, "", Limits::default());
    let mut plain = Client::connect(server.address()).await;
    plain.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(!plain.closed().await.starts_with(b"HTTP"));
    assert_eq!(server.closed("tls_handshake_failed"), 1.0);
    assert!(!gets_in(&server, &Authority::new().client(None)).await);
    server.wait_for_metric("http_connections_closed_total{reason=\"tls_handshake_failed\"}", 2.0).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed() {
    let limits = Limits { tls_handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let (server, _directory) = start(&Authority::new(), "", limits);
    Client::connect(server.address()).await.closed().await;
    assert_eq!(server.closed("tls_handshake_timeout"), 1.0);
}

#[tokio::test]
async fn a_response_that_is_not_read_is_dropped_over_tls_too() {
    let authority = Authority::new();
    let limits = Limits { write_timeout: Duration::from_millis(50), ..Limits::default() };
    let (server, _directory) = start(&authority, "", limits);
    server.app.padding_bytes.store(MORE_THAN_SOCKETS_HOLD_BYTES, Ordering::Relaxed);
    let mut client = connect(&server, &authority.client(None)).await.expect("a handshake");
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    server.wait_for_metric("http_connections_closed_total{reason=\"write_timeout\"}", 1.0).await;
}

#[tokio::test]
async fn a_client_certificate_can_be_required() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let more = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let (server, _directory) = start(&authority, more, Limits::default());
    let identity = authority.identity(&[dns("prometheus.example")]);
    assert!(gets_in(&server, &authority.client(Some(&identity))).await);
    assert!(!gets_in(&server, &authority.client(None)).await, "none");
    let foreign = stranger.identity(&[dns("prometheus.example")]);
    assert!(!gets_in(&server, &authority.client(Some(&foreign))).await, "of another authority");
    assert_eq!(server.closed("tls_handshake_failed"), 2.0);
}

#[tokio::test]
async fn a_client_certificate_can_be_optional_and_is_verified_where_given() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let more = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n";
    let (server, _directory) = start(&authority, more, Limits::default());
    assert!(gets_in(&server, &authority.client(None)).await);
    assert!(gets_in(&server, &authority.client(Some(&authority.identity(&[dns("a")])))).await);
    assert!(!gets_in(&server, &authority.client(Some(&stranger.identity(&[dns("a")])))).await);
}

#[tokio::test]
async fn a_client_certificate_must_have_an_allowed_name() {
    let authority = Authority::new();
    let more = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n\
                \x20 client_allowed_sans: [prometheus.example, 10.1.2.3, 'spiffe://example/prometheus']\n";
    let (server, _directory) = start(&authority, more, Limits::default());
    let uri = |text: &str| SanType::URI(text.try_into().expect("a URI"));
    let address = |last| SanType::IpAddress(IpAddr::V4(Ipv4Addr::new(10, 1, 2, last)));
    for (name, allowed) in [
        (dns("prometheus.example"), true),
        (dns("other.example"), false),
        (dns("*.example"), false),
        (address(3), true),
        (address(4), false),
        (uri("spiffe://example/prometheus"), true),
        (uri("spiffe://example/other"), false),
    ] {
        let identity = authority.identity(&[name.clone(), dns("second.example")]);
        assert_eq!(gets_in(&server, &authority.client(Some(&identity))).await, allowed, "{name:?}");
    }
}

#[tokio::test]
async fn a_version_above_the_clients_is_refused() {
    let authority = Authority::new();
    let (server, _directory) = start(&authority, "  max_version: TLS12\n", Limits::default());
    let mut client = connect(&server, &authority.client(None)).await.expect("a handshake");
    assert_eq!(client.get("/livez").await.code, 200, "a client with both versions");

    let (server, _directory) = start(&authority, "  min_version: TLS13\n", Limits::default());
    assert!(gets_in(&server, &authority.client(None)).await);
}
