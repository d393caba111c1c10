//! The web configuration changes while the server runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exposition::WebConfigFile;
use tempfile::TempDir;

use crate::auth::{authorization, users};
use crate::certificates::{Authority, connect, dns, gets_in};
use crate::client::Client;
use crate::exporter::Running;

const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

const REQUIRED: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";

/// A server that looks at its web configuration before every connection and request.
fn start(directory: &TempDir, web_config: &str) -> (Running, PathBuf) {
    let path = directory.path().join("web.yml");
    fs::write(&path, web_config).expect("written");
    let web_config = WebConfigFile::load(&path).expect("no fault");
    let server = Running::start(|options| {
        options.web_config = web_config;
        options.limits.web_config_check_interval = Duration::ZERO;
    });
    (server, path)
}

/// The codes that alice and bob get.
async fn codes(server: &Running) -> (u16, u16) {
    let mut client = Client::connect(server.address()).await;
    let alice = client.request("GET", "/metrics", &[&authorization("alice", "a")]).await.code;
    let bob = client.request("GET", "/metrics", &[&authorization("bob", "b")]).await.code;
    (alice, bob)
}

fn assert_reloads(server: &Running, success: f64, failure: f64, successful: f64) {
    assert_eq!(server.metric("web_config_reloads_total{result=\"success\"}"), success);
    assert_eq!(server.metric("web_config_reloads_total{result=\"failure\"}"), failure);
    assert_eq!(server.metric("web_config_last_reload_successful"), successful);
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}

#[tokio::test]
async fn good_then_broken_then_good_again() {
    let directory = tempfile::tempdir().expect("directory");
    let (server, path) = start(&directory, &users(&[("alice", "a")]));
    assert_eq!(codes(&server).await, (200, 401));
    assert_reloads(&server, 0.0, 0.0, 1.0);

    write(&path, &users(&[("bob", "b")]));
    assert_eq!(codes(&server).await, (401, 200));
    assert_reloads(&server, 1.0, 0.0, 1.0);

    write(&path, "basic_auth_users: nonsense\n");
    assert_eq!(codes(&server).await, (401, 200), "the last good one stays");
    assert_eq!(codes(&server).await, (401, 200));
    assert_reloads(&server, 1.0, 1.0, 0.0);

    fs::remove_file(&path).expect("removed");
    assert_eq!(codes(&server).await, (401, 200));
    assert_reloads(&server, 1.0, 2.0, 0.0);

    write(&path, &users(&[("alice", "a"), ("bob", "b")]));
    assert_eq!(codes(&server).await, (200, 200));
    assert_reloads(&server, 2.0, 2.0, 1.0);
}

#[tokio::test]
async fn a_user_who_is_removed_is_out_on_open_connections_too() {
    let directory = tempfile::tempdir().expect("directory");
    let (server, path) = start(&directory, &users(&[("alice", "a"), ("bob", "b")]));
    let mut client = Client::connect(server.address()).await;
    let alice = authorization("alice", "a");
    assert_eq!(client.request("GET", "/metrics", &[&alice]).await.code, 200);
    write(&path, &users(&[("bob", "b")]));
    assert_eq!(client.request("GET", "/metrics", &[&alice]).await.code, 401);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections() {
    let directory = tempfile::tempdir().expect("directory");
    let (first, second) = (Authority::new(), Authority::new());
    first.server().write(directory.path());
    let (server, _path) = start(&directory, TLS);
    let mut open = connect(&server, &first.client(None)).await.expect("a handshake");
    assert!(!gets_in(&server, &second.client(None)).await);

    second.server().write(directory.path());
    assert!(gets_in(&server, &second.client(None)).await);
    assert!(!gets_in(&server, &first.client(None)).await);
    assert_eq!(open.get("/metrics").await.code, 200, "open connections stay");
    assert_reloads(&server, 1.0, 0.0, 1.0);
}

#[tokio::test]
async fn half_of_a_new_pair_leaves_the_old_one_in_use() {
    let directory = tempfile::tempdir().expect("directory");
    let authority = Authority::new();
    authority.server().write(directory.path());
    let (server, _path) = start(&directory, TLS);
    let key = directory.path().join("key.pem");
    let old_key = fs::read_to_string(&key).expect("there");
    authority.server().write(directory.path());
    let new_key = fs::read_to_string(&key).expect("there");

    write(&key, &old_key);
    assert!(gets_in(&server, &authority.client(None)).await);
    assert_reloads(&server, 0.0, 1.0, 0.0);
    write(&key, &new_key);
    assert!(gets_in(&server, &authority.client(None)).await);
    assert_reloads(&server, 1.0, 1.0, 1.0);
}

#[tokio::test]
async fn a_file_cut_short_opens_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let (server, path) = start(&directory, &users(&[("alice", "a")]));
    write(&path, "");
    assert_eq!(codes(&server).await, (200, 401));
    assert_reloads(&server, 0.0, 1.0, 0.0);

    let directory = tempfile::tempdir().expect("directory");
    let authority = Authority::new();
    authority.server().write(directory.path());
    let (server, path) = start(&directory, TLS);
    write(&path, "");
    assert!(gets_in(&server, &authority.client(None)).await);
    assert_reloads(&server, 0.0, 1.0, 0.0);
}

#[tokio::test]
async fn a_file_cut_short_anywhere_lets_no_one_in_without_the_right_certificate() {
    let directory = tempfile::tempdir().expect("directory");
    let authority = Authority::new();
    authority.server().write(directory.path());
    authority.write(&directory.path().join("ca.pem"));
    let whole = format!("{TLS}{REQUIRED}  client_allowed_sans:\n  - prometheus.example\n");
    let (server, path) = start(&directory, &whole);
    let stranger = authority.client(Some(&authority.identity(&[dns("stranger.example")])));
    for end in 0..whole.len() {
        write(&path, &whole[..end]);
        assert!(!gets_in(&server, &authority.client(None)).await, "without any: {}", &whole[..end]);
        assert!(!gets_in(&server, &stranger).await, "with another name: {}", &whole[..end]);
    }
    write(&path, &whole);
    let prometheus = authority.client(Some(&authority.identity(&[dns("prometheus.example")])));
    assert!(gets_in(&server, &prometheus).await);
}

#[tokio::test]
async fn more_is_asked_of_clients_without_a_restart_and_less_only_with_one() {
    let directory = tempfile::tempdir().expect("directory");
    let authority = Authority::new();
    authority.server().write(directory.path());
    authority.write(&directory.path().join("ca.pem"));
    let (server, path) = start(&directory, TLS);
    assert!(gets_in(&server, &authority.client(None)).await);

    write(&path, &format!("{TLS}{REQUIRED}"));
    assert!(!gets_in(&server, &authority.client(None)).await);
    assert_reloads(&server, 1.0, 0.0, 1.0);

    write(&path, &format!("{TLS}  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n"));
    assert!(!gets_in(&server, &authority.client(None)).await);
    assert_reloads(&server, 1.0, 1.0, 0.0);
}
