//! By what a peer is believed, and what it is told of us: certificates and passwords. Both are read once, at the start.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// For all connections to one kind of peer.
#[derive(Debug, Clone)]
pub struct Access {
    /// Whom we believe.
    pub tls: Arc<ClientConfig>,
    /// The header `Authorization`.
    pub authorization: Option<HeaderValue>,
}

/// The certificates of a file alone, or those of the system.
///
/// # Errors
/// The file and what is wrong with it.
pub fn trust(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let fault = |error: &dyn std::fmt::Display| format!("--ca-file {}: {error}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fault(&error))? {
                let certificate = certificate.map_err(|error| fault(&error))?;
                roots.add(certificate).map_err(|error| fault(&error))?;
            }
            if roots.is_empty() {
                return Err(fault(&"there is no certificate in it"));
            }
        }
        // One that is broken is of no use, and no harm to the others.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The header for a user whose password is the first line of a file.
///
/// # Errors
/// The file and what is wrong with it; a name that cannot be a user's.
pub fn login(user: &str, password_file: &Path) -> Result<HeaderValue, String> {
    if user.contains(':') {
        return Err(format!("the user's name {user:?} may not have a ':'"));
    }
    let text = std::fs::read_to_string(password_file)
        .map_err(|error| format!("password of {user:?}, {}: {error}", password_file.display()))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(format!("password of {user:?}, {}: its first line is empty", password_file.display()));
    }
    let credentials = BASE64.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}")).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}
