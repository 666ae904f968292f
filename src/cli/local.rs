//! Addresses of this machine: to listen on, to go out from, and for others to type; and the zones that addresses
//! of a single link need (RFC 4007 11: `fe80::7%eth0`).

use crate::base::text::escape;
use crate::net::DEFAULT_PORT;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// What the other machine's interface is called where only that machine knows.
pub(super) const THEIR_ZONE: &str = "IFACE";

/// An address of this machine as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address.
    pub ip: IpAddr,
    /// The number of the interface, where the address is one of a single link; 0 elsewhere.
    pub zone: u32,
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl Local {
    /// The whole address, with that port unless one was given.
    #[must_use]
    pub fn socket_address(self, port: u16) -> SocketAddr {
        let port = self.port.unwrap_or(port);
        match self.ip {
            IpAddr::V4(ip) => (ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.zone).into(),
        }
    }
}

/// Reads what was typed behind `option`: a local address with or without a port.
///
/// # Errors
/// A sentence that says how one is written.
pub fn parse_bind(option: &str, text: &str) -> Result<Local, String> {
    let (plain, zone) = take_zone(text);
    let (ip, port) = parse(&plain).map_err(|why| {
        let text = escape(text);
        format!(
            "\"{text}\" is no value for {option}: {why}write an address of this machine, such as \
             192.168.1.5 or 192.168.1.5:{DEFAULT_PORT}"
        )
    })?;
    let zone = match (ip, zone) {
        (IpAddr::V6(ip), Some(name)) if ip.is_unicast_link_local() => number(name)?,
        (ip, Some(name)) => {
            let name = escape(name);
            return Err(format!("{ip} is on no single link; leave %{name} away"));
        }
        (IpAddr::V6(ip), None) if ip.is_unicast_link_local() => link_of(ip, option)?,
        _ => 0,
    };
    Ok(Local { ip, zone, port })
}

fn parse(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip(), Some(address.port())));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Ok((ip, None));
    }
    match text.rsplit_once(':') {
        Some((ip, port)) if is_number(port) && parse(ip).is_ok_and(|(_, port)| port.is_none()) => {
            Err(format!("{port} is no port, they end at 65535; "))
        }
        Some(("localhost", port)) if is_number(port) => Err("it is a name; ".into()),
        _ => Err(String::new()),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text without its zone, and that.
fn take_zone(text: &str) -> (String, Option<&str>) {
    let Some((before, rest)) = text.split_once('%') else { return (text.to_owned(), None) };
    let (zone, after) = rest.split_at(rest.find(']').unwrap_or(rest.len()));
    (format!("{before}{after}"), Some(zone))
}

/// The interface's number.
fn number(name: &str) -> Result<u32, String> {
    let interfaces = interfaces();
    let found = interfaces.iter().find(|(called, number, _)| {
        called == name || name.parse::<u32>().is_ok_and(|wanted| wanted == *number)
    });
    found.map(|(_, number, _)| *number).ok_or_else(|| no_interface(name))
}

/// The interface that has an address of a single link.
fn link_of(ip: Ipv6Addr, option: &str) -> Result<u32, String> {
    let mut links = interfaces().into_iter().filter(|(_, _, has)| *has == IpAddr::V6(ip));
    match (links.next(), links.next()) {
        (Some((_, number, _)), None) => Ok(number),
        (Some((name, ..)), Some(_)) => Err(format!(
            "{ip} is on more than one link; write the interface behind it, as in {option} {ip}%{name}"
        )),
        (None, _) => Err(format!("{ip} is no address of this machine; correct {option}")),
    }
}

/// Why an address with that zone leads nowhere.
pub(super) fn no_interface(name: &str) -> String {
    let mut names: Vec<String> = interfaces().into_iter().map(|(name, ..)| name).collect();
    names.sort();
    names.dedup();
    let name = escape(name);
    format!("this machine has no interface \"{name}\"; it has {}", names.join(", "))
}

/// The zone of what a person typed, if it has one that this machine has not.
pub(super) fn unknown_zone(host: &str) -> Option<&str> {
    let (ip, zone) = host.split_once('%')?;
    (ip.parse::<Ipv6Addr>().is_ok() && number(zone).is_err()).then_some(zone)
}

/// Names, numbers and addresses.
fn interfaces() -> Vec<(String, u32, IpAddr)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    interfaces.filter_map(|one| Some((one.name.clone(), one.index?, one.ip()))).collect()
}

/// An address as people write it: an IPv4 address in its IPv6 form is an IPv4 address, and a zone has a name.
pub(super) fn show(address: SocketAddr) -> String {
    if let SocketAddr::V6(v6) = address
        && v6.scope_id() != 0
    {
        let zone = interfaces().into_iter().find(|(_, number, _)| *number == v6.scope_id());
        let zone = zone.map_or_else(|| v6.scope_id().to_string(), |(name, ..)| name);
        return format!("[{}%{zone}]:{}", v6.ip(), v6.port());
    }
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// A host as it is typed on another machine, with a port if there is one to type.
pub(super) fn show_host(ip: IpAddr, port: Option<u16>) -> String {
    let host = match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => format!("{ip}%{THEIR_ZONE}"),
        ip => ip.to_string(),
    };
    match (ip, port) {
        (_, None) => host,
        (IpAddr::V6(_), Some(port)) => format!("[{host}]:{port}"),
        (IpAddr::V4(_), Some(port)) => format!("{host}:{port}"),
    }
}

/// The addresses under which others may reach this machine; those of single links where there are no others,
/// and this machine's own where there are not even these.
pub(super) fn reachable_hosts(bound: IpAddr) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound.to_canonical()];
    }
    let all = interfaces().into_iter().map(|(_, _, ip)| ip);
    let all: Vec<IpAddr> = all.filter(|ip| bound.is_ipv6() || ip.is_ipv4()).collect();
    let of = |fits: fn(&IpAddr) -> bool| all.iter().copied().filter(fits).collect::<Vec<_>>();
    let usable = of(|ip| !ip.is_loopback() && !is_of_one_link(ip));
    let near = of(|ip| ip.is_ipv6() && is_of_one_link(ip));
    let own = of(IpAddr::is_loopback);
    match (usable.is_empty(), near.is_empty()) {
        (false, _) => usable,
        (true, false) => near,
        (true, true) => own.into_iter().take(1).collect(),
    }
}

fn is_of_one_link(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Result<Local, String> {
        parse_bind("--bind", text)
    }

    #[test]
    fn bind_addresses_read() {
        for (text, ip, port) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:9", "10.0.0.1", Some(9)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:9", "::1", Some(9)),
        ] {
            let ip = ip.parse().expect("an address");
            assert_eq!(bound(text), Ok(Local { ip, zone: 0, port }));
        }
        for text in ["localhost", "", "10.0.0.1:x"] {
            assert!(bound(text).is_err_and(|said| said.contains("--bind")), "{text}");
        }
        let said = parse_bind("--listen", "127.0.0.1:80800").expect_err("no port");
        assert!(said.contains("--listen: 80800 is no port"), "{said}");
    }

    #[test]
    fn a_zone_is_the_name_or_the_number_of_an_interface() {
        assert_eq!(take_zone("[fe80::1%eth0]:7"), ("[fe80::1]:7".to_owned(), Some("eth0")));
        assert_eq!(take_zone("fe80::1%eth0"), ("fe80::1".to_owned(), Some("eth0")));
        let said = bound("fe80::1%nosuch").expect_err("there is none");
        assert!(said.contains("no interface \"nosuch\""), "{said}");
        assert!(bound("::1%lo").expect_err("no zone").contains("leave %lo away"));
        assert_eq!(unknown_zone("fe80::1%nosuch"), Some("nosuch"));
        assert_eq!(unknown_zone("fe80::1"), None);
        if let Some((name, number, _)) = interfaces().first() {
            let local = bound(&format!("[fe80::1%{name}]:9")).expect("it is there");
            assert_eq!((local.zone, local.port), (*number, Some(9)));
            assert_eq!(bound(&format!("fe80::1%{number}")).expect("there").zone, *number);
            assert_eq!(show(local.socket_address(1)), format!("[fe80::1%{name}]:9"));
        }
    }

    #[test]
    fn what_others_type_has_their_own_zone() {
        let ip = "fe80::1".parse().expect("an address");
        assert_eq!(show_host(ip, None), "fe80::1%IFACE");
        assert_eq!(show_host(ip, Some(9)), "[fe80::1%IFACE]:9");
        assert_eq!(show_host(Ipv6Addr::LOCALHOST.into(), Some(9)), "[::1]:9");
    }
}
