//! A client that sends exactly what it is told to, and hides nothing of what comes back.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What hangs this long will not come.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client<S> {
    stream: S,
    /// Read and not yet consumed.
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub code: u16,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Client<TcpStream> {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("connected"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// A request without a body; `headers` are whole lines, without their line ends.
    pub async fn request(&mut self, method: &str, path: &str, headers: &[&str]) -> Response {
        self.try_request(method, path, headers).await.expect("a response")
    }

    pub async fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[]).await
    }

    pub async fn try_request(&mut self, method: &str, path: &str, headers: &[&str]) -> io::Result<Response> {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        let mut response = self.try_head().await?;
        if method != "HEAD" {
            response.body = self.body(&response).await?;
        }
        Ok(response)
    }

    /// The next response of a request that was sent before.
    pub async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        response.body = self.body(&response).await.expect("a body");
        response
    }

    /// The next response without its body, which stays unread.
    pub async fn head(&mut self) -> Response {
        self.try_head().await.expect("a response")
    }

    /// As many bytes as the Content-Length of `head` says.
    pub async fn body(&mut self, head: &Response) -> io::Result<Vec<u8>> {
        let length: usize = head.header("content-length").expect("a length").parse().expect("a number");
        while self.buffer.len() < length {
            self.read().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// The next chunk of a body whose length is not known beforehand; empty at its end.
    pub async fn chunk(&mut self) -> Vec<u8> {
        let head = loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                break self.buffer.drain(..at + 2).collect::<Vec<_>>();
            }
            self.read().await.expect("a chunk");
        };
        let length = std::str::from_utf8(&head).expect("ASCII").trim();
        let length = usize::from_str_radix(length, 16).expect("a length");
        while self.buffer.len() < length + 2 {
            self.read().await.expect("all of the chunk");
        }
        let chunk = self.buffer.drain(..length).collect();
        self.buffer.drain(..2);
        chunk
    }

    /// Waits until the server closes the connection; returns what it sent before.
    pub async fn closed(mut self) -> Vec<u8> {
        loop {
            match self.read().await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => panic!("the connection stays open"),
                Err(_) => return self.buffer,
            }
        }
    }

    async fn try_head(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read().await?;
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).expect("ASCII");
        let mut lines = head.lines();
        let code = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Ok(Response {
            code: code.parse().expect("a number"),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: Vec::new(),
        })
    }

    async fn read(&mut self) -> io::Result<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        match read.await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
