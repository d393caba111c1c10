//! The discovery servers that Fast DDS is told of.
//!
//! A client of Fast DDS (2.14) that is told of one server whose name does not resolve writes a line, leaves the others out too,
//! and looks for peers by multicast for as long as it runs: a node that finds nobody. So that is looked at before it.

use std::net::ToSocketAddrs;

/// Fast DDS's list of servers, separated by `;`: `HOST`, `HOST:PORT`, `[HOST]:PORT`, each perhaps after `TCPv4:` or the like.
const VARIABLE: &str = "ROS_DISCOVERY_SERVER";

/// Only this middleware reads it.
const MIDDLEWARE: &str = "rmw_fastrtps";

/// Why a node would find nobody.
pub(crate) fn check() -> anyhow::Result<()> {
    match std::env::var(VARIABLE) {
        Ok(list) if ros_observer::middleware().starts_with(MIDDLEWARE) => check_list(&list, resolves),
        _ => Ok(()),
    }
}

fn check_list(list: &str, resolves: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let mut hosts = list.split(';').map(str::trim).filter(|entry| !entry.is_empty()).map(host);
    match hosts.find(|host| !resolves(host)) {
        Some(host) => anyhow::bail!(
            "{VARIABLE}: there is no host {host:?}, and with one that is unknown Fast DDS would ask none of \"{list}\""
        ),
        None => Ok(()),
    }
}

fn resolves(host: &str) -> bool {
    // As what Kubernetes leaves of a variable that it does not know; no name server need be asked.
    let could_be = host.chars().all(|character| character.is_alphanumeric() || ".-_:%".contains(character));
    could_be && (host, 0).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some())
}

/// The host of an entry of the list.
fn host(entry: &str) -> &str {
    let transports = ["UDPv4:", "UDPv6:", "TCPv4:", "TCPv6:"];
    let entry = transports.iter().find_map(|transport| entry.strip_prefix(transport)).unwrap_or(entry);
    match entry.strip_prefix('[').and_then(|bracketed| bracketed.split_once(']')) {
        Some((host, _)) => host,
        None => entry.split(':').next().unwrap_or(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_all_forms_of_an_entry() {
        let entries =
            ["10.0.0.1:11811", "server", "TCPv4:[10.0.0.1]:42100", "UDPv6:[fd00::1]:11811", "[fd00::1]:11811"];
        assert_eq!(entries.map(host), ["10.0.0.1", "server", "10.0.0.1", "fd00::1", "fd00::1"]);
    }

    #[test]
    fn the_first_host_that_nobody_knows_is_named() {
        let knows = |host: &str| host == "known";
        assert!(check_list(";known:11811; ;known", knows).is_ok());
        let fault = check_list("known:11811;$(SERVER):11811;other", knows).unwrap_err().to_string();
        assert!(fault.contains("\"$(SERVER)\""), "{fault}");
    }

    #[test]
    fn addresses_need_no_name_server() {
        assert!(resolves("127.0.0.1") && resolves("::1"));
        assert!(!resolves("$(SERVER)"));
    }
}
