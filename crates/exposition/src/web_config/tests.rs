use std::fs;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair};
use rustls::SupportedProtocolVersion;
use tempfile::TempDir;

use super::*;

/// A directory with `cert.pem`, `key.pem` and, of another pair, `other-key.pem`.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("directory");
    let (key, other_key) = (KeyPair::generate().expect("key"), KeyPair::generate().expect("key"));
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).expect("name").self_signed(&key).expect("signed");
    let write = |name: &str, text: String| fs::write(directory.path().join(name), text).expect("written");
    write("cert.pem", certificate.pem());
    write("key.pem", key.serialize_pem());
    write("other-key.pem", other_key.serialize_pem());
    write("empty.pem", String::new());
    directory
}

fn load_text(directory: &TempDir, text: &str) -> Result<WebConfig, WebConfigError> {
    let path = directory.path().join("web.yml");
    fs::write(&path, text).expect("written");
    load(&path, &mut Sources::default())
}

/// The faults as `key: message`.
fn faults(directory: &TempDir, text: &str) -> Vec<String> {
    let error = load_text(directory, text).err().unwrap_or_else(|| panic!("no fault found in:\n{text}"));
    error.faults().iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect()
}

#[track_caller]
fn assert_one_fault(directory: &TempDir, text: &str, key: &str, message: &str) {
    let faults = faults(directory, text);
    assert!(
        faults.len() == 1 && faults[0].starts_with(&format!("{key}: ")) && faults[0].contains(message),
        "{key}: …{message}… was expected of\n{text}\nbut there is: {faults:#?}"
    );
}

const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

#[test]
fn an_empty_file_is_plain_http_for_everyone() {
    for text in ["", "# nothing\n", "{}", "tls_server_config:\nbasic_auth_users: {}\n", "tls_server_config: {}"] {
        let config = load_text(&directory(), text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(config.tls.is_none() && config.users.is_none() && config.rate_limit.is_none(), "{text}");
    }
}

#[test]
fn a_whole_file_is_read() {
    let directory = directory();
    let hash = bcrypt::hash("secret", 4).expect("hashed");
    let text = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n  client_allowed_sans: [a.example, 10.0.0.1]\n\
         \x20 min_version: TLS12\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n\
         \x20 cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305]\n\
         \x20 curve_preferences: [CurveP384, X25519]\n\
         http_server_config:\n  http2: false\n  headers:\n    X-XSS-Protection: 0\n    X-Frame-Options: sameorigin\n    Strict-Transport-Security: ''\n\
         basic_auth_users:\n  alice: {hash}\n\
         rate_limit:\n  interval: 1s\n  burst: 20\n"
    );
    let config = load_text(&directory, &text).expect("no fault");

    let tls = config.tls.expect("TLS");
    assert_eq!(tls.client_auth, client_auth::ClientAuth::RequireAllowedSan);
    let tls = tls.server;
    let suites: Vec<_> =
        tls.crypto_provider().cipher_suites.iter().filter_map(|suite| suite.suite().as_str()).collect();
    assert_eq!(suites[3..], ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]);
    let curves: Vec<_> = tls.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(curves, [rustls::NamedGroup::secp384r1, rustls::NamedGroup::X25519]);
    assert!(!tls.ignore_client_order);
    assert_eq!(config.headers.len(), 2, "a blank header is none");
    assert_eq!(config.headers["x-xss-protection"], "0");
    assert!(config.users.is_some() && config.rate_limit.is_some());
}

#[test]
fn certificates_can_stand_in_the_file() {
    let directory = directory();
    let indented = |name: &str| {
        let text = fs::read_to_string(directory.path().join(name)).expect("there");
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let text = format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", indented("cert.pem"), indented("key.pem"));
    assert!(load_text(&directory, &text).expect("no fault").tls.is_some());
    assert_one_fault(
        &directory,
        &format!("{text}  key_file: key.pem\n"),
        "tls_server_config.key",
        "key_file is given as well",
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_file_and_key() {
    let directory = directory();
    let text = "tls_server_config:\n  cert_file: absent.pem\n  key_file: empty.pem\n  min_version: TLS11\n  cipher_suites: [RC4]\n  sni: 1\n\
                http_server_config:\n  http2: true\n  headers:\n    Server: me\n    X-Frame-Options: allow\n\
                basic_auth_users:\n  alice: plain\n\
                rate_limit:\n  interval: 1\n  burst: many\n\
                tls: {}\n";
    let error = load_text(&directory, text).expect_err("many faults");
    let keys: Vec<_> = error.faults().iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "tls_server_config.cert_file",
            "tls_server_config.key_file",
            "tls_server_config.min_version",
            "tls_server_config.cipher_suites",
            "tls_server_config.sni",
            "http_server_config.http2",
            "http_server_config.headers.X-Frame-Options",
            "http_server_config.headers.Server",
            "basic_auth_users.alice",
            "rate_limit.interval",
            "rate_limit.burst",
            "tls",
        ]
    );
    let file = directory.path().join("web.yml");
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), keys.len(), "one line each");
    assert!(lines.iter().all(|line| line.starts_with(&format!("{}: ", file.display()))), "{lines:#?}");
}

#[test]
fn what_tls_cannot_do_is_refused() {
    let directory = directory();
    let section = "tls_server_config";
    for (line, key, message) in [
        ("min_version: TLS10", "min_version", "before 1.2 is not supported"),
        ("max_version: SSL3", "max_version", "must be TLS12 or TLS13"),
        (
            "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            "cipher_suites",
            "'TLS_RSA_WITH_AES_128_CBC_SHA' is not supported",
        ),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", "cipher_suites", "TLS 1.3 are always on"),
        ("cipher_suites: TLS_AES_128_GCM_SHA256", "cipher_suites", "must be a list"),
        ("curve_preferences: [CurveP521]", "curve_preferences", "'CurveP521' is not supported"),
        ("client_auth_type: RequestClientCert", "client_auth_type", "never verified"),
        ("client_auth_type: RequireAnyClientCert", "client_auth_type", "never verified"),
        ("client_auth_type: Maybe", "client_auth_type", "must be NoClientCert"),
        ("client_auth_type: RequireAndVerifyClientCert", "client_auth_type", "needs the clients' authority"),
        ("client_ca_file: cert.pem", "client_ca_file", "is of no use without client_auth_type"),
        ("client_allowed_sans: [a]", "client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert"),
        ("prefer_server_cipher_suites: maybe", "prefer_server_cipher_suites", "must be true or false"),
    ] {
        assert_one_fault(&directory, &format!("{TLS}  {line}\n"), &format!("{section}.{key}"), message);
    }
    let both = format!("{TLS}  min_version: TLS13\n  max_version: TLS12\n");
    assert_one_fault(&directory, &both, "tls_server_config.min_version", "is above max_version");
    let client = format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n");
    let email = format!("{client}  client_ca_file: cert.pem\n  client_allowed_sans: [a@example.org]\n");
    assert_one_fault(&directory, &email, "tls_server_config.client_allowed_sans", "e-mail addresses are not supported");
    let empty = format!("{client}  client_ca_file: empty.pem\n");
    assert_one_fault(&directory, &empty, "tls_server_config.client_ca_file", "holds no certificate");
}

#[test]
fn a_pair_that_is_missing_empty_or_no_pair_is_refused() {
    let directory = directory();
    let section = |cert: &str, key: &str| format!("tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n");
    let key = "tls_server_config.key_file";
    assert_one_fault(&directory, &section("cert.pem", "other-key.pem"), key, "do not fit together");
    assert_one_fault(&directory, &section("cert.pem", "cert.pem"), key, "holds no unencrypted private key");
    assert_one_fault(&directory, &section("cert.pem", "absent.pem"), key, "cannot be read");
    assert_one_fault(
        &directory,
        &section("empty.pem", "key.pem"),
        "tls_server_config.cert_file",
        "holds no certificate",
    );
    assert_one_fault(&directory, "tls_server_config:\n  cert_file: cert.pem\n", key, "is missing");
    assert_eq!(faults(&directory, "tls_server_config:\n  min_version: TLS13\n").len(), 2, "both are missing");
}

#[test]
fn a_section_with_any_key_is_never_plain_http() {
    let directory = directory();
    for empty in ["", "null", "''"] {
        for (cert, key, missing) in
            [("cert.pem", empty, "tls_server_config.key_file"), (empty, "key.pem", "tls_server_config.cert_file")]
        {
            let files = format!("tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n");
            assert_one_fault(&directory, &files, missing, "is missing");
            let client_auth = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n";
            assert_one_fault(&directory, &format!("{files}{client_auth}"), missing, "is missing");
        }
        for key in ["cert", "cert_file", "key", "key_file", "min_version", "client_ca", "client_auth_type"] {
            let text = format!("tls_server_config:\n  {key}: {empty}\n");
            assert_eq!(faults(&directory, &text).len(), 2, "both are missing in\n{text}");
        }
    }
}

#[test]
fn the_rest_of_the_file_is_checked_as_strictly() {
    let directory = directory();
    for (text, key, message) in [
        ("basic_auth_users: [alice]", "basic_auth_users", "must be a mapping"),
        ("basic_auth_users:\n  alice:\n", "basic_auth_users.alice", "must be a bcrypt hash"),
        (
            "basic_auth_users:\n  alice: $2y$31$abcdefghijklmnopqrstuuO4gTiNn3Dxf0hsdaO.WR2dIvVvlbxKC",
            "basic_auth_users.alice",
            "cost must be 4 to 14",
        ),
        ("rate_limit:\n  interval: 1s\n", "rate_limit.burst", "must be 1 or more"),
        ("rate_limit:\n  interval: 1s\n  burst: 0\n", "rate_limit.burst", "must be 1 or more"),
        (
            "http_server_config:\n  headers:\n    X-XSS-Protection: \"a\\nb\"\n",
            "http_server_config.headers.X-XSS-Protection",
            "no header may have",
        ),
        ("- a\n- b\n", "", "must be a mapping"),
        ("a: [\n", "", "line"),
        ("rate_limit: {}\nrate_limit: {}\n", "", "duplicate"),
    ] {
        assert_one_fault(&directory, text, key, message);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let error = load("/absent/web.yml".as_ref(), &mut Sources::default()).expect_err("absent");
    assert!(error.to_string().starts_with("/absent/web.yml: cannot be read: "), "{error}");
    assert_eq!(error.faults()[0].file, PathBuf::from("/absent/web.yml"));
}

#[test]
fn a_fault_shows_no_secret() {
    let directory = directory();
    for text in [
        "tls_server_config:\n  key: 'TOPSECRET\n",
        "basic_auth_users:\n  alice: TOPSECRET\n",
        "tls_server_config:\n  key: TOPSECRET\n\tx: 1",
    ] {
        let error = load_text(&directory, text).expect_err(text).to_string();
        assert!(!error.contains("TOPSECRET"), "{error}");
    }
}

#[test]
fn versions_are_kept_apart() {
    fn versions(line: &str) -> Vec<&'static SupportedProtocolVersion> {
        let mut faults = fault::Faults::new("web.yml".as_ref());
        tls::read_versions(&mut yaml::parse(line).expect("YAML"), &mut faults)
    }
    use rustls::version::{TLS12, TLS13};
    assert_eq!(versions(""), [&TLS13, &TLS12]);
    assert_eq!(versions("min_version: TLS13"), [&TLS13]);
    assert_eq!(versions("max_version: TLS12"), [&TLS12]);
}
