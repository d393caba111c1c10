//! From texts to listening sockets.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// An address to listen on: `host:port`, `:port` (every interface, IPv6 and IPv4) or `[v6]:port`. Port 0 lets the kernel choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Empty for every interface.
    host: String,
    port: u16,
}

/// Text that is no [`ListenAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address to listen on: write host:port, [IPv6 address]:port, or :port for every interface")]
pub struct ListenAddressError(String);

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ListenAddressError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<ListenAddress> {
    let (host, port) = text.rsplit_once(':')?;
    // u16's own parser would take "+8000".
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok())?,
        None => Some(host).filter(|host| !host.contains([':', '/', ' ', '[', ']']))?,
    };
    Some(ListenAddress { host: host.to_owned(), port })
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why an address cannot be listened on, and what to do about it, in one line. None has a source: what the system said is in it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No address was given.
    #[error("there is no address to listen on: give at least one")]
    NoAddress,
    /// The host's name has no address.
    #[error(
        "cannot listen on {address}: the host cannot be resolved ({reason}): check the name, or give an IP address"
    )]
    Unresolved {
        /// What was asked for.
        address: ListenAddress,
        /// What the resolver said.
        reason: io::Error,
    },
    /// Another socket listens there.
    #[error(
        "cannot listen on {address}: the address is in use: stop what listens there (`ss -ltnp` names it), \
         or choose another"
    )]
    InUse {
        /// What was asked for.
        address: ListenAddress,
    },
    /// The process may not listen there.
    #[error(
        "cannot listen on {address}: permission denied: choose a port of 1024 or above, \
         or give the process the capability CAP_NET_BIND_SERVICE"
    )]
    PermissionDenied {
        /// What was asked for.
        address: ListenAddress,
    },
    /// No interface of this machine has the address.
    #[error(
        "cannot listen on {address}: no interface of this machine has that address: choose one that `ip address` shows"
    )]
    NotLocal {
        /// What was asked for.
        address: ListenAddress,
    },
    /// Anything else that the kernel said.
    #[error("cannot listen on {address}: {reason}")]
    Other {
        /// What was asked for.
        address: ListenAddress,
        /// What the kernel said.
        reason: io::Error,
    },
}

/// Listens on every one of `addresses`. A name with several addresses stands for one of them, an IPv4 address where it has one.
///
/// The sockets are non-blocking and reuse their address, so that a restarted process can bind at once;
/// [`TcpListener::local_addr`] says which port the kernel chose for port 0.
///
/// # Errors
/// The first address that cannot be listened on, and why; what was bound before it is closed again.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<TcpListener>, BindError> {
    if addresses.is_empty() {
        return Err(BindError::NoAddress);
    }
    addresses.iter().map(bind_one).collect()
}

fn bind_one(address: &ListenAddress) -> Result<TcpListener, BindError> {
    if address.host.is_empty() {
        return listen_everywhere(address.port).map_err(|error| explain(address, error));
    }
    let address_of_host = resolve(address)?;
    listen(address_of_host).map_err(|error| explain(address, error))
}

fn resolve(address: &ListenAddress) -> Result<SocketAddr, BindError> {
    let unresolved = |reason| BindError::Unresolved { address: address.clone(), reason };
    let mut found: Vec<_> = (address.host.as_str(), address.port).to_socket_addrs().map_err(unresolved)?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().ok_or_else(|| unresolved(ErrorKind::NotFound.into()))
}

/// One socket for both IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6.
fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if has_no_ipv6(&error) => listen((Ipv4Addr::UNSPECIFIED, port).into()),
        result => result,
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no stable ErrorKind: without IPv6 it is socket(2) that fails, with a kind of neither of these two.
    !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // Not left to net.ipv6.bindv6only, so that `:port` means the same on every machine.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn explain(address: &ListenAddress, reason: io::Error) -> BindError {
    let address = address.clone();
    match reason.kind() {
        ErrorKind::AddrInUse => BindError::InUse { address },
        ErrorKind::PermissionDenied => BindError::PermissionDenied { address },
        ErrorKind::AddrNotAvailable => BindError::NotLocal { address },
        _ => BindError::Other { address, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ListenAddress {
        text.parse().expect("an address")
    }

    #[test]
    fn reads_every_form() {
        for text in ["127.0.0.1:8000", "localhost:0", ":8000", "[::1]:8000", "[::]:65535"] {
            assert_eq!(address(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "8000",
            "host",
            "host:",
            "host:port",
            "host:65536",
            "host:+80",
            "::1:8000",
            "[::1]",
            "[host]:1",
            "http://a:1",
        ] {
            let error = text.parse::<ListenAddress>().expect_err(text);
            assert!(error.to_string().starts_with(&format!("'{text}' is no address")), "{error}");
        }
    }

    #[test]
    fn an_address_in_use_is_told_in_one_line() {
        let first = bind(&[address("127.0.0.1:0")]).expect("free");
        let taken = address(&first[0].local_addr().expect("bound").to_string());
        let error = bind(std::slice::from_ref(&taken)).expect_err("taken").to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken}: the address is in use: ")), "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn foreign_addresses_unknown_hosts_and_none_at_all_are_told_apart() {
        // 192.0.2.0/24 is TEST-NET-1 of RFC 5737, .invalid is reserved by RFC 6761.
        assert!(matches!(bind(&[address("192.0.2.1:0")]), Err(BindError::NotLocal { .. })));
        assert!(matches!(bind(&[address("host.invalid:0")]), Err(BindError::Unresolved { .. })));
        assert!(matches!(bind(&[]), Err(BindError::NoAddress)));
    }

    #[test]
    fn permission_denied_is_told_with_what_to_do() {
        let error = explain(&address(":80"), ErrorKind::PermissionDenied.into()).to_string();
        assert!(error.contains("permission denied") && error.contains("CAP_NET_BIND_SERVICE"), "{error}");
    }

    #[test]
    fn what_the_system_said_is_told_once() {
        let address = address("robot:80");
        let reason = || io::Error::other("no such cable");
        for error in [explain(&address, reason()), BindError::Unresolved { address, reason: reason() }] {
            assert!(error.to_string().contains("no such cable"), "{error}");
            assert!(std::error::Error::source(&error).is_none(), "{error}");
        }
    }

    #[test]
    fn every_interface_takes_ipv4() {
        let listeners = bind(&[address(":0")]).expect("free");
        let port = listeners[0].local_addr().expect("bound").port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected over IPv4");
    }
}
