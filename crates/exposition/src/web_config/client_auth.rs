//! Who may connect: `client_auth_type`, `client_ca`, `client_allowed_sans`.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

use super::fault::Faults;
use super::reader::{Content, Reader};
use super::yaml::Section;

/// What is asked of clients, from nothing to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClientAuth {
    None,
    VerifyIfGiven,
    RequireAndVerify,
    /// As [`Self::RequireAndVerify`], with a name out of `client_allowed_sans`.
    RequireAllowedSan,
}

/// What the section asks of clients, and who verifies it; nothing when no certificate is asked for.
pub(super) fn read(
    section: &mut Section,
    provider: &Arc<CryptoProvider>,
    reader: &mut Reader<'_>,
) -> Option<(ClientAuth, Arc<dyn ClientCertVerifier>)> {
    let client_auth = read_type(section, &mut reader.faults);
    let authorities = reader.inline_or_file(section, "client_ca", "client_ca_file");
    let allowed_sans = read_allowed_sans(section, client_auth?, &mut reader.faults);
    match (client_auth?, authorities) {
        (ClientAuth::None, None) => None,
        (ClientAuth::None, Some(authorities)) => {
            reader.faults.add(authorities.key, "is of no use without client_auth_type: RequireAndVerifyClientCert");
            None
        }
        (_, None) => {
            let key = section.path_of("client_auth_type");
            reader.faults.add(key, "needs the clients' authority, in client_ca_file or client_ca");
            None
        }
        (client_auth, Some(authorities)) => {
            let verifier = build(client_auth, authorities, provider, &mut reader.faults)?;
            Some(if allowed_sans.is_empty() {
                (client_auth, verifier)
            } else {
                (ClientAuth::RequireAllowedSan, Arc::new(SanVerifier { inner: verifier, allowed_sans }))
            })
        }
    }
}

fn read_type(section: &mut Section, faults: &mut Faults) -> Option<ClientAuth> {
    let text = section.text("client_auth_type", faults);
    let message = match text.as_deref() {
        None | Some("NoClientCert") => return Some(ClientAuth::None),
        Some("VerifyClientCertIfGiven") => return Some(ClientAuth::VerifyIfGiven),
        Some("RequireAndVerifyClientCert") => return Some(ClientAuth::RequireAndVerify),
        Some("RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert") => {
            "asks for a certificate that is never verified, which protects nothing and is not supported: \
             use RequireAndVerifyClientCert"
        }
        Some(_) => "must be NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert",
    };
    faults.add(section.path_of("client_auth_type"), message);
    None
}

fn read_allowed_sans(section: &mut Section, client_auth: ClientAuth, faults: &mut Faults) -> Vec<String> {
    let allowed_sans = section.texts("client_allowed_sans", faults);
    let key = section.path_of("client_allowed_sans");
    if !allowed_sans.is_empty() && client_auth != ClientAuth::RequireAndVerify {
        faults
            .add(&key, "needs client_auth_type: RequireAndVerifyClientCert, or a client without a certificate gets in");
    }
    for san in allowed_sans.iter().filter(|san| san.contains('@') && !san.contains("://")) {
        faults.add(&key, format!("'{san}': e-mail addresses are not supported; DNS names, IP addresses and URIs are"));
    }
    allowed_sans
}

fn build(
    client_auth: ClientAuth,
    authorities: Content,
    provider: &Arc<CryptoProvider>,
    faults: &mut Faults,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&authorities.bytes) {
        let added = certificate.map_err(|error| error.to_string());
        if let Err(error) = added.and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string())) {
            faults.add(authorities.key, format!("holds something else than certificates in PEM: {error}"));
            return None;
        }
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if client_auth == ClientAuth::VerifyIfGiven {
        builder = builder.allow_unauthenticated();
    }
    // The one way to fail is a store without roots.
    builder.build().map_err(|_| faults.add(authorities.key, "holds no certificate in PEM")).ok()
}

/// Asks, after all that `inner` asks, that one of the certificate's subject alternative names is among the allowed.
#[derive(Debug)]
struct SanVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    allowed_sans: Vec<String>,
}

impl SanVerifier {
    fn allows(&self, certificate: &EndEntityCert<'_>) -> bool {
        let is_allowed = |name: &str| self.allowed_sans.iter().any(|allowed| allowed == name);
        certificate.valid_dns_names().any(is_allowed)
            || certificate.valid_uri_names().any(is_allowed)
            || self.allowed_sans.iter().filter_map(|allowed| allowed.parse::<IpAddr>().ok()).any(|address| {
                certificate.verify_is_valid_for_subject_name(&ServerName::IpAddress(address.into())).is_ok()
            })
    }
}

impl ClientCertVerifier for SanVerifier {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let certificate = EndEntityCert::try_from(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        if self.allows(&certificate) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
