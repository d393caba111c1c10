//! `tls_server_config`: how the server shows who it is, and with which TLS.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerConfig};
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

use super::client_auth::{self, ClientAuth};
use super::fault::Faults;
use super::reader::{Content, Reader};
use super::yaml::Section;

/// A `tls_server_config` without a fault.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    /// Remembered because `server` does not tell it.
    pub(super) client_auth: ClientAuth,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// For faults of the two together.
    key_path: String,
}

/// An empty section means plain HTTP; any key in it means TLS.
pub(super) fn read(mut section: Section, reader: &mut Reader<'_>) -> Option<Tls> {
    if section.is_empty() {
        return None;
    }
    let identity = read_identity(&mut section, reader);
    let versions = read_versions(&mut section, &mut reader.faults);
    let provider = Arc::new(CryptoProvider {
        cipher_suites: read_cipher_suites(&mut section, &mut reader.faults),
        kx_groups: read_curves(&mut section, &mut reader.faults),
        ..ring::default_provider()
    });
    let prefer_server = section.boolean("prefer_server_cipher_suites", &mut reader.faults).unwrap_or(true);
    let (client_auth, verifier) = client_auth::read(&mut section, &provider, reader)
        .unwrap_or_else(|| (ClientAuth::None, Arc::new(NoClientAuth)));
    section.refuse_unknown_keys(&mut reader.faults);

    let mut config = build(provider, &versions, verifier, identity?, &mut reader.faults)?;
    config.ignore_client_order = prefer_server;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Tls { server: Arc::new(config), client_auth })
}

fn build(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ClientCertVerifier>,
    identity: Identity,
    faults: &mut Faults,
) -> Option<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| {
            faults.add("tls_server_config", format!("the versions, suites and curves do not fit together: {error}"))
        })
        .ok()?;
    builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain, identity.key)
        .map_err(|error| {
            faults.add(identity.key_path, format!("the key and the certificate do not fit together: {error}"))
        })
        .ok()
}

fn read_identity(section: &mut Section, reader: &mut Reader<'_>) -> Option<Identity> {
    let chain = read_needed(section, "cert", "cert_file", reader);
    let key = read_needed(section, "key", "key_file", reader);

    let chain = chain.and_then(|content| {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.bytes).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        if chain.is_none() {
            reader.faults.add(content.key, "holds no certificate in PEM");
        }
        chain
    });
    let key = key.and_then(|content| match PrivateKeyDer::from_pem_slice(&content.bytes) {
        Ok(key) => Some((key, content.key)),
        Err(_) => {
            // The parser's own words are left out: they can quote what they could not read.
            reader.faults.add(content.key, "holds no unencrypted private key in PEM");
            None
        }
    });
    let (key, key_path) = key?;
    Some(Identity { chain: chain?, key, key_path })
}

/// Without content there is always a fault: a section that gives no identity must not pass for one that asks for none.
fn read_needed(section: &mut Section, inline_key: &str, file_key: &str, reader: &mut Reader<'_>) -> Option<Content> {
    let faults_before = reader.faults.count();
    let content = reader.inline_or_file(section, inline_key, file_key);
    if content.is_none() && reader.faults.count() == faults_before {
        reader.faults.add(section.path_of(file_key), format!("is missing: TLS needs {file_key} or {inline_key}"));
    }
    content
}

pub(super) fn read_versions(section: &mut Section, faults: &mut Faults) -> Vec<&'static SupportedProtocolVersion> {
    let min = read_version(section, "min_version", &TLS12, faults);
    let max = read_version(section, "max_version", &TLS13, faults);
    let number = |version: &SupportedProtocolVersion| u16::from(version.version);
    if number(min) > number(max) {
        faults.add(section.path_of("min_version"), "is above max_version");
        return vec![&TLS13];
    }
    [&TLS13, &TLS12].into_iter().filter(|version| (number(min)..=number(max)).contains(&number(version))).collect()
}

fn read_version(
    section: &mut Section,
    key: &str,
    default: &'static SupportedProtocolVersion,
    faults: &mut Faults,
) -> &'static SupportedProtocolVersion {
    match section.text(key, faults).as_deref() {
        None => default,
        Some("TLS12") => &TLS12,
        Some("TLS13") => &TLS13,
        Some("TLS10" | "TLS11") => {
            faults.add(section.path_of(key), "TLS before 1.2 is not supported: use TLS12 or TLS13");
            default
        }
        Some(_) => {
            faults.add(section.path_of(key), "must be TLS12 or TLS13");
            default
        }
    }
}

/// The TLS 1.2 suites listed, in that order; those of TLS 1.3 are always there, as they are in Go.
fn read_cipher_suites(section: &mut Section, faults: &mut Faults) -> Vec<SupportedCipherSuite> {
    let names = section.texts("cipher_suites", faults);
    let (mut suites, tls12): (Vec<_>, Vec<_>) =
        ring::ALL_CIPHER_SUITES.iter().copied().partition(|suite| suite.version().version == ProtocolVersion::TLSv1_3);
    if names.is_empty() {
        suites.extend(tls12);
        return suites;
    }
    for name in names {
        match tls12.iter().find(|suite| is_named(suite, &name)) {
            Some(suite) => suites.push(*suite),
            None => faults.add(section.path_of("cipher_suites"), refuse_suite(&name, &tls12)),
        }
    }
    suites
}

/// By the name of IANA's registry, or by the shorter one that Go has for the ChaCha20 suites.
fn is_named(suite: &SupportedCipherSuite, name: &str) -> bool {
    suite.suite().as_str().is_some_and(|iana| {
        iana == name
            || iana.strip_suffix("_POLY1305_SHA256").is_some_and(|short| name.strip_suffix("_POLY1305") == Some(short))
    })
}

fn refuse_suite(name: &str, tls12: &[SupportedCipherSuite]) -> String {
    let supported: Vec<_> = tls12.iter().filter_map(|suite| suite.suite().as_str()).collect();
    format!(
        "'{name}' is not supported; the suites of TLS 1.3 are always on and not listed, of TLS 1.2 there are: {}",
        supported.join(", ")
    )
}

/// The curves listed, in that order, or all that there are.
fn read_curves(section: &mut Section, faults: &mut Faults) -> Vec<&'static dyn SupportedKxGroup> {
    let names = section.texts("curve_preferences", faults);
    if names.is_empty() {
        return ring::ALL_KX_GROUPS.to_vec();
    }
    let curve = |name: &str| {
        let group = match name {
            "X25519" => NamedGroup::X25519,
            "CurveP256" => NamedGroup::secp256r1,
            "CurveP384" => NamedGroup::secp384r1,
            _ => return None,
        };
        ring::ALL_KX_GROUPS.iter().copied().find(|supported| supported.name() == group)
    };
    let mut curves = Vec::new();
    for name in names {
        match curve(&name) {
            Some(group) => curves.push(group),
            None => {
                let message = format!("'{name}' is not supported; these are: X25519, CurveP256, CurveP384");
                faults.add(section.path_of("curve_preferences"), message);
            }
        }
    }
    // Left without any by a fault: that fault is enough.
    if curves.is_empty() { ring::ALL_KX_GROUPS.to_vec() } else { curves }
}
