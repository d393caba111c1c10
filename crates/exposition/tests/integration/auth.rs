//! Users, and the other parts of the web configuration that a request meets.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use exposition::{Limits, WebConfigFile};
use tempfile::NamedTempFile;

use crate::client::{Client, Response};
use crate::exporter::{EXPOSITION, Running};

/// At the lowest cost that bcrypt has.
pub fn users(users: &[(&str, &str)]) -> String {
    let lines =
        users.iter().map(|(user, password)| format!("  {user}: {}\n", bcrypt::hash(password, 4).expect("hashed")));
    format!("basic_auth_users:\n{}", lines.collect::<String>())
}

pub fn authorization(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", BASE64.encode(format!("{user}:{password}")))
}

fn start(web_config: &str, limits: Limits) -> Running {
    let file = NamedTempFile::new().expect("file");
    fs::write(file.path(), web_config).expect("written");
    // Read once and never looked at again: the default interval is longer than the test.
    let web_config = WebConfigFile::load(file.path()).expect("no fault");
    Running::start(|options| {
        options.web_config = web_config;
        options.limits = Limits { web_config_check_interval: std::time::Duration::MAX, ..limits };
    })
}

async fn get_as(server: &Running, user: &str, password: &str) -> Response {
    let mut client = Client::connect(server.address()).await;
    client.request("GET", "/metrics", &[&authorization(user, password)]).await
}

#[tokio::test]
async fn only_the_right_password_of_a_known_user_gets_in() {
    let server = start(&users(&[("alice", "secret"), ("bob", "pass:word")]), Limits::default());
    for _ in 0..2 {
        // The second time, it is remembered.
        assert_eq!(get_as(&server, "alice", "secret").await.text(), EXPOSITION);
    }
    assert_eq!(get_as(&server, "bob", "pass:word").await.code, 200, "a password can hold a colon");
    for (user, password) in
        [("alice", "wrong"), ("alice", "pass:word"), ("carol", "secret"), ("", ""), ("Alice", "secret")]
    {
        let response = get_as(&server, user, password).await;
        assert_eq!(response.code, 401, "{user}:{password}");
        assert_eq!(response.header("www-authenticate"), Some("Basic realm=\"metrics\", charset=\"UTF-8\""));
    }
    assert_eq!(server.rejected("unauthorized"), 5.0);
}

#[tokio::test]
async fn no_path_is_open_without_a_user() {
    let server = start(&users(&[("alice", "secret")]), Limits::default());
    let mut client = Client::connect(server.address()).await;
    for path in ["/", "/metrics", "/livez", "/readyz", "/nothing"] {
        assert_eq!(client.get(path).await.code, 401, "{path}");
    }
    for header in
        ["Authorization: Basic !", "Authorization: Basic YWxpY2U=", "Authorization: Bearer x", "Authorization: Basic"]
    {
        assert_eq!(client.request("GET", "/metrics", &[header]).await.code, 401, "{header}");
    }
}

#[tokio::test]
async fn a_check_too_many_is_503() {
    let server = start(&users(&[("alice", "secret")]), Limits { max_pending_logins: 0, ..Limits::default() });
    assert_eq!(get_as(&server, "alice", "secret").await.code, 503);
    assert_eq!(server.rejected("max_pending_logins"), 1.0);
}

const ONE_AN_HOUR: &str = "rate_limit:\n  interval: 1h\n  burst: 1\n";

#[tokio::test]
async fn requests_beyond_the_rate_are_429() {
    let server = start("rate_limit:\n  interval: 1h\n  burst: 2\n", Limits::default());
    let mut client = Client::connect(server.address()).await;
    for code in [200, 200, 429] {
        assert_eq!(client.get("/metrics").await.code, code);
    }
    assert_eq!(server.rejected("rate_limit"), 1.0);
}

#[tokio::test]
async fn probes_are_beyond_the_rate() {
    let server = start(ONE_AN_HOUR, Limits::default());
    let mut client = Client::connect(server.address()).await;
    for (path, code) in [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/livez", 200), ("/metrics", 429)] {
        assert_eq!(client.get(path).await.code, code, "{path}");
    }
    assert_eq!(server.rejected("rate_limit"), 1.0);
}

#[tokio::test]
async fn nobody_guesses_faster_by_way_of_the_probes() {
    let server = start(&format!("{}{ONE_AN_HOUR}", users(&[("alice", "secret")])), Limits::default());
    let mut client = Client::connect(server.address()).await;
    let (right, guess) = (authorization("alice", "secret"), authorization("alice", "guess"));
    for (path, login, code) in
        [("/livez", &right, 200), ("/livez", &guess, 429), ("/readyz", &guess, 429), ("/livez", &right, 200)]
    {
        assert_eq!(client.request("GET", path, &[login]).await.code, code, "{path}");
    }
}

#[tokio::test]
async fn headers_are_set_on_every_response() {
    let config = "http_server_config:\n  headers:\n    Content-Security-Policy: default-src 'self'\n    X-Frame-Options: sameorigin\n";
    let server = start(config, Limits::default());
    let mut client = Client::connect(server.address()).await;
    for path in ["/", "/metrics", "/nothing"] {
        let response = client.get(path).await;
        assert_eq!(response.header("content-security-policy"), Some("default-src 'self'"), "{path}");
        assert_eq!(response.header("x-frame-options"), Some("sameorigin"), "{path}");
    }
}
