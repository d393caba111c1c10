//! Requests to one peer, one after the other, over whatever leads to it.
//!
//! hyper and not a whole client: those connect by themselves, and the way to a pod is no TCP connection of ours.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::access::Access;
use crate::place::{ConnectError, Connection, Place, Stream};

/// Of an answer: ten times a page of 10,000 joints.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// After the stream has ended: the reason is on its way.
const COMPLAINT_WITHIN: Duration = Duration::from_secs(1);

/// What a peer answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body; what is no UTF-8 is replaced.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It took too long.
    #[error("no answer within {} s: is it stopped, or a firewall between?", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Nobody listens there.
    #[error("connection refused: is the program started?")]
    Refused,
    /// The network does not lead there.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// Whom it says to be is not believed.
    #[error("its certificate is not to be trusted: {0} (--ca-file names the authority)")]
    Untrusted(String),
    /// It serves with what may only sign.
    #[error("its certificate is that of an authority, not of a server: make one with basicConstraints CA:FALSE")]
    AuthorityAsServer,
    /// There is no TLS with it.
    #[error("TLS failed: {0} (is it https there?)")]
    Tls(io::Error),
    /// TLS cannot be asked for by this name.
    #[error("this is no name for a certificate")]
    Name,
    /// What came is no answer.
    #[error("not HTTP, or ended in the middle: {0} (is it http or https there?)")]
    Http(String),
    /// There is no end of it.
    #[error("more than {} MiB: this is none of our nodes", BODY_BYTES_MAX >> 20)]
    TooLong,
    /// The kubelet does not reach the port.
    #[error("the pod cannot be reached: {0}")]
    Pod(String),
    /// The API server does not forward.
    #[error(transparent)]
    Cluster(kube::Error),
}

/// A peer, and the connection to it once there is one.
pub struct Client<'a> {
    place: &'a Place,
    access: &'a Access,
    timeout: Duration,
    conversation: Option<Conversation>,
}

struct Conversation {
    sender: SendRequest<Empty<Bytes>>,
    complaint: BoxFuture<'static, Option<String>>,
}

impl<'a> Client<'a> {
    /// `timeout` is for each request.
    pub fn new(place: &'a Place, access: &'a Access, timeout: Duration) -> Self {
        Self { place, access, timeout, conversation: None }
    }

    /// # Errors
    /// Why there is no answer. One whose status tells of a fault is an answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer, Fault> {
        let limit = self.timeout;
        timeout(limit, self.exchange(path)).await.unwrap_or(Err(Fault::TimedOut(limit)))
    }

    async fn exchange(&mut self, path: &str) -> Result<Answer, Fault> {
        // The server may have closed it since the last answer.
        if let Some(kept) = self.conversation.take()
            && let Ok(answer) = self.continue_with(kept, path).await
        {
            return Ok(answer);
        }
        let fresh = self.connect().await?;
        self.continue_with(fresh, path).await
    }

    async fn continue_with(&mut self, mut conversation: Conversation, path: &str) -> Result<Answer, Fault> {
        match self.ask(&mut conversation.sender, path).await {
            Ok(answer) => {
                self.conversation = Some(conversation);
                Ok(answer)
            }
            Err(Fault::Http(error)) => Err(match timeout(COMPLAINT_WITHIN, conversation.complaint).await {
                Ok(Some(complaint)) => Fault::Pod(complaint),
                _ => Fault::Http(error),
            }),
            Err(fault) => Err(fault),
        }
    }

    async fn connect(&self) -> Result<Conversation, Fault> {
        let Connection { stream, complaint } = self.place.connect().await.map_err(not_connected)?;
        let stream: Box<dyn Stream> = if self.place.is_tls() { Box::new(self.secured(stream).await?) } else { stream };
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // It ends with the sender; what goes wrong in it fails the request too.
        tokio::spawn(connection);
        Ok(Conversation { sender, complaint })
    }

    async fn secured(&self, stream: Box<dyn Stream>) -> Result<impl Stream + use<>, Fault> {
        let name = ServerName::try_from(self.place.server_name().to_owned()).map_err(|_| Fault::Name)?;
        TlsConnector::from(Arc::clone(&self.access.tls)).connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(rustls::Error::InvalidCertificate(why)) => untrusted(&why.to_string()),
                _ => Fault::Tls(error),
            }
        })
    }

    async fn ask(&self, sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<Answer, Fault> {
        let mut request = Request::get(path).header(HOST, self.place.to_string()).header(ACCEPT, "*/*");
        if let Some(authorization) = &self.access.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::new()).map_err(|error| broken(&error))?;
        sender.ready().await.map_err(|error| broken(&error))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| if error.is::<LengthLimitError>() { Fault::TooLong } else { broken(error.as_ref()) })?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    }
}

fn not_connected(error: ConnectError) -> Fault {
    match error {
        ConnectError::Host(error) if error.kind() == io::ErrorKind::ConnectionRefused => Fault::Refused,
        ConnectError::Host(error) => Fault::Unreachable(error),
        ConnectError::Cluster(error) => Fault::Cluster(error),
    }
}

/// rustls has no word of its own for what `openssl req -x509` makes by default.
fn untrusted(why: &str) -> Fault {
    if why.contains("CaUsedAsEndEntity") { Fault::AuthorityAsServer } else { Fault::Untrusted(why.to_owned()) }
}

fn broken(error: &dyn StdError) -> Fault {
    Fault::Http(root(error))
}

/// What the error began with: those around it mostly say that something went wrong.
pub fn root(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
