//! An authority, and what it signs.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Client;
use crate::exporter::Running;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed"))
    }

    pub fn identity(&self, names: &[SanType]) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        Identity { pem: certificate.pem(), certificate: certificate.der().clone(), key }
    }

    pub fn server(&self) -> Identity {
        self.identity(&[SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))])
    }

    pub fn write(&self, file: &Path) {
        fs::write(file, self.0.pem()).expect("written");
    }

    /// A client that trusts this authority, and shows `identity` if asked.
    pub fn client(&self, identity: Option<&Identity>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority");
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![identity.certificate.clone()], key).expect("a pair")
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

impl Identity {
    pub fn write(&self, directory: &Path) {
        fs::write(directory.join("cert.pem"), &self.pem).expect("written");
        fs::write(directory.join("key.pem"), self.key.serialize_pem()).expect("written");
    }
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

pub async fn connect(server: &Running, client: &TlsConnector) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let address = server.address();
    let stream = TcpStream::connect(address).await?;
    Ok(Client::new(client.connect(ServerName::IpAddress(address.ip().into()), stream).await?))
}

/// Whether a request gets through. With TLS 1.3 a client's certificate is refused only after the client's side of the handshake.
pub async fn gets_in(server: &Running, client: &TlsConnector) -> bool {
    match connect(server, client).await {
        Ok(mut client) => client.try_request("GET", "/metrics", &[]).await.is_ok_and(|response| response.code == 200),
        Err(_) => false,
    }
}
