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
/// Every parameter that is missing, or the first file that is no good, by its parameter.
pub(crate) fn acceptor(parameters: &Parameters) -> Result<Option<TlsAcceptor>, Vec<String>> {
    let file = |name: &str| Some(parameters.get::<String>(name)).filter(|path| !path.is_empty());
    let needed = |name| format!("parameter {name}: is needed with the other parameters of TLS");
    match (file(CERTIFICATE), file(KEY), file(CLIENT_CA)) {
        (None, None, None) => Ok(None),
        (Some(certificate), Some(key), authorities) => {
            acceptor_of(&certificate, &key, authorities.as_deref()).map(Some).map_err(|fault| vec![fault])
        }
        (certificate, key, _) => {
            let missing = [(certificate, CERTIFICATE), (key, KEY)].into_iter().filter(|(file, _)| file.is_none());
            Err(missing.map(|(_, name)| needed(name)).collect())
        }
    }
}

fn acceptor_of(certificate: &str, key: &str, authorities: Option<&str>) -> Result<TlsAcceptor, String> {
    let chain = certificates(CERTIFICATE, certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("parameter {KEY}: {key}: {error}"))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS: {error}"))?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("parameter {CLIENT_CA}: {error}"))?)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let config = config.map_err(|error| format!("parameters {CERTIFICATE} and {KEY} do not fit together: {error}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
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
