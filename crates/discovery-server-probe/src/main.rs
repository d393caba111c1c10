//! `discovery_server_probe [PORT]`: whether a discovery server of Fast DDS takes what is sent to it, for the probes of a pod.
//!
//! The server answers only whom it knows as a client, and nobody should become one every few seconds. Its TCP port is no
//! way out: it listens also while the server stands still, and each connection costs the server memory for good. So one
//! datagram, a header of RTPS without anything behind it, is sent to its UDP port, and the kernel is asked whether the
//! server has taken it. Exit codes: 0 it has, 1 it has not or there is none, 64 bad usage.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use procfs::net::UdpNetEntry;

const USAGE: &str = "usage: discovery_server_probe [PORT]    (11811)";
const EXIT_USAGE: u8 = 64;
const PORT: u16 = 11811;

/// DDSI-RTPS 2.5, 8.3.3: protocol, version 2.3, a vendor, and the prefix of nobody.
const HEADER: [u8; 20] = *b"RTPS\x02\x03\x01\x0f\0\0\0\0\0\0\0\0\0\0\0\0";

/// What it takes is a thousandth of it.
const TIME_LIMIT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(port) = port(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(EXIT_USAGE);
    };
    match probe(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("discovery_server_probe: UDP port {port}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn port(arguments: &[String]) -> Option<u16> {
    match arguments {
        [] => Some(PORT),
        [port] => port.parse().ok().filter(|port| *port != 0),
        _ => None,
    }
}

fn probe(port: u16) -> Result<(), String> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    socket.send_to(&HEADER, (Ipv4Addr::LOCALHOST, port)).map_err(|error| error.to_string())?;
    let started = Instant::now();
    loop {
        let sockets = procfs::net::udp().map_err(|error| error.to_string())?;
        match waiting_bytes(&sockets, port) {
            None => return Err("nobody listens".to_owned()),
            Some(0) => return Ok(()),
            Some(bytes) if started.elapsed() > TIME_LIMIT => {
                return Err(format!("{bytes} bytes wait, and nobody takes them"));
            }
            Some(_) => sleep(INTERVAL),
        }
    }
}

/// What has come to the port and was not read; nothing where nobody listens there.
fn waiting_bytes(sockets: &[UdpNetEntry], port: u16) -> Option<u32> {
    sockets.iter().find(|socket| socket.local_address.port() == port).map(|socket| socket.rx_queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_port_is_a_number_or_the_servers_own() {
        assert_eq!(port(&words(&[])), Some(11811));
        assert_eq!(port(&words(&["7000"])), Some(7000));
        for bad in [&["0"][..], &["65536"], &["-h"], &["1", "2"]] {
            assert_eq!(port(&words(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn who_reads_is_alive() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = server.local_addr().expect("its address").port();
        // So that the port stays when the reader has read.
        let reading = server.try_clone().expect("a second handle");
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 64];
            reading.recv(&mut bytes).map(|length| bytes[..length].to_vec())
        });
        assert_eq!(probe(port), Ok(()));
        assert_eq!(reader.join().expect("no panic").expect("a datagram"), HEADER);
    }

    #[test]
    fn who_does_not_read_is_not() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let told = probe(server.local_addr().expect("its address").port()).expect_err("nobody reads");
        assert!(told.ends_with("bytes wait, and nobody takes them"), "{told}");
    }

    #[test]
    fn nobody_is_told() {
        let port =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
        assert_eq!(probe(port), Err("nobody listens".to_owned()));
    }
}
