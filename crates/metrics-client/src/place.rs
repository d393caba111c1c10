//! Where a peer is, and a stream of bytes to it: a port of a host, or of a pod, through the API server.

use std::fmt;
use std::io;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::Uri;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where a peer is.
#[derive(Clone)]
pub enum Place {
    /// As of a URL.
    Host {
        /// Whether TLS is spoken.
        tls: bool,
        /// A name or an address, IPv6 without brackets.
        host: String,
        /// Of TCP.
        port: u16,
    },
    /// As `kubectl port-forward` reaches it: the kubelet connects from within the pod, which no network policy forbids.
    Pod {
        /// The pods of its namespace.
        pods: Box<Api<Pod>>,
        /// Its name.
        name: String,
        /// Of TCP.
        port: u16,
    },
}

impl Place {
    /// Of a URL, and the URL's path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<(Self, String), String> {
        let fault = |why: &str| format!("{url}: {why}, as in http://127.0.0.1:8000");
        let uri: Uri = url.parse().map_err(|_| fault("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(fault("it begins with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| fault("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err("a URL may have neither user nor password: there are flags and a file for them".to_owned());
        }
        if uri.query().is_some() {
            return Err(fault("it may have no query"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16();
        if host.is_empty() || (port.is_none() && authority.as_str() != authority.host()) {
            return Err(fault("it has no host, or a port that is none"));
        }
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Ok((Self::Host { tls, host, port }, uri.path().trim_end_matches('/').to_owned()))
    }

    /// # Errors
    /// Why there is none.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        match self {
            Self::Host { host, port, .. } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                Ok(Connection { stream: Box::new(stream), complaint: futures::future::ready(None).boxed() })
            }
            Self::Pod { pods, name, port } => {
                let mut forwarder = pods.portforward(name, &[*port]).await?;
                let complaint = forwarder.take_error(*port).expect("the port was asked for, and is taken once");
                let stream = forwarder.take_stream(*port).expect("the port was asked for, and is taken once");
                Ok(Connection { stream: Box::new(stream), complaint: complaint.boxed() })
            }
        }
    }

    /// Whether TLS is spoken. To pods it is not: the way to them is within the API server's.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Host { tls: true, .. })
    }

    /// Of the server that is meant, for its certificate.
    pub fn server_name(&self) -> &str {
        match self {
            Self::Host { host, .. } => host,
            Self::Pod { .. } => "localhost",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port, .. } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Host { host, port, .. } => write!(formatter, "{host}:{port}"),
            Self::Pod { name, port, .. } => write!(formatter, "{name}:{port}"),
        }
    }
}

/// A stream of bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream to a peer.
pub struct Connection {
    /// Of bytes as they come.
    pub stream: Box<dyn Stream>,
    /// What the kubelet says when the stream has ended unasked, as that nobody listens in the pod.
    pub complaint: BoxFuture<'static, Option<String>>,
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Of the network.
    #[error(transparent)]
    Host(#[from] io::Error),
    /// Of the API server.
    #[error(transparent)]
    Cluster(#[from] kube::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        for (url, place, tls, path) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", false, ""),
            ("http://localhost/", "localhost:80", false, ""),
            ("https://robot1.example/prometheus/", "robot1.example:443", true, "/prometheus"),
            ("https://[::1]:9090", "[::1]:9090", true, ""),
        ] {
            let (parsed, rest) = Place::parse(url).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.is_tls(), rest.as_str()), (place, tls, path));
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for url in [
            "",
            "robot1:8000",
            "ftp://robot1",
            "http://",
            "http://:80",
            "http://a:b",
            "http://a:99999",
            "http://a/?b",
            "http://a:",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn tells_no_password_again() {
        assert!(!Place::parse("http://user:secret@robot1").err().unwrap().contains("secret"));
    }
}
