//! TLS for the clients, where the parameters name a certificate.

use std::sync::Arc;

use node_runtime::Parameters;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub(crate) const CERTIFICATE: &str = "tls_certificate";
pub(crate) const KEY: &str = "tls_key";
pub(crate) const CLIENT_CA: &str = "tls_client_ca";

/// What accepts TLS, or nothing where it is not asked for.
///
/// # Errors
/// The first file that is missing or no good, by its parameter.
pub(crate) fn acceptor(parameters: &Parameters) -> Result<Option<TlsAcceptor>, String> {
    let file = |name: &str| Some(parameters.get::<String>(name)).filter(|path| !path.is_empty());
    let (certificate, key) = match (file(CERTIFICATE), file(KEY), file(CLIENT_CA)) {
        (None, None, None) => return Ok(None),
        (Some(certificate), Some(key), _) => (certificate, key),
        (None, ..) => return Err(format!("parameter {CERTIFICATE}: is needed with the other parameters of TLS")),
        (Some(_), None, _) => return Err(format!("parameter {KEY}: is needed with {CERTIFICATE}")),
    };
    let chain = certificates(CERTIFICATE, &certificate)?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| format!("parameter {KEY}: {key}: {error}"))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS: {error}"))?;
    let builder = match file(CLIENT_CA) {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&path)?), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("parameter {CLIENT_CA}: {error}"))?)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let config = config.map_err(|error| format!("parameters {CERTIFICATE} and {KEY} do not fit together: {error}"))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn certificates(parameter: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!("parameter {parameter}: {path} has no certificate")),
        Err(error) => Err(format!("parameter {parameter}: {path}: {error}")),
    }
}

fn roots(path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, path)? {
        roots.add(certificate).map_err(|error| format!("parameter {CLIENT_CA}: {path}: {error}"))?;
    }
    Ok(roots)
}
