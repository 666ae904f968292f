//! The devices of a lab, their addresses and settings.
//!
//! Both hosts' devices have the same hardware address and take every neighbour to have theirs
//! (`IFF_NOARP`): whatever one host sends is then addressed to the other one, and nobody searches.

use super::netlink::Netlink;
use super::netns::NetNs;
use super::{Host, LabError, offload};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::SockProtocol;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// The index of the loopback device in every namespace.
const LOOPBACK: u32 = 1;

/// The index of a host's device, and of the first one in the lab's own namespace.
const FIRST: u32 = 2;

/// The name of a host's device.
pub const DEVICE: &str = "eth0";

/// Locally administered, and the same for both.
pub const HARDWARE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// More than any packet has, so that the lab sees all that a host sends.
const LARGEST: u32 = 65_535;

/// IPv6 needs this much (RFC 8200 5).
const IPV6_LEAST: u16 = 1280;

/// What a host is set to. Buffers as large as those of servers on long paths, and no memory of
/// earlier connections, so that one run does not influence the next.
const TUNING: [(&str, &str); 3] = [
    ("ipv4/tcp_rmem", "4096 131072 67108864"),
    ("ipv4/tcp_wmem", "4096 65536 67108864"),
    ("ipv4/tcp_no_metrics_save", "1"),
];

/// A host speaks IPv6 only when a program does: no search for routers, for duplicates, no addresses
/// that it makes up.
const QUIET_IPV6: [(&str, &str); 4] = [
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
];

/// The addresses of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For benchmarks: RFC 2544, appendix C.2.2.
    pub v4: Ipv4Addr,
    /// For benchmarks: RFC 5180 8. Missing where the system has no IPv6, or the MTU is too small for it.
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    fn of(host: Host, mtu: u16) -> Self {
        let number = host as u8 + 1;
        let has_ipv6 = mtu >= IPV6_LEAST && Path::new("/proc/sys/net/ipv6").exists();
        let v6 = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, number.into());
        Self { v4: Ipv4Addr::new(198, 18, 0, number), v6: has_ipv6.then_some(v6) }
    }
}

/// Connects both hosts to this namespace, each by a pair of devices whose near end is called `a` or
/// `b`. The far ends are down until [`raise`].
///
/// # Errors
/// The system refuses.
pub fn connect(here: &NetNs, hosts: &[NetNs; 2], mtu: u16) -> Result<[Addresses; 2], LabError> {
    let addresses = Host::BOTH.map(|host| Addresses::of(host, mtu));
    for host in hosts {
        host.within(|| tune(&TUNING))?.map_err(LabError::step("set up TCP in a host"))?;
        if addresses[0].v6.is_some() {
            host.within(|| tune(&QUIET_IPV6))?.map_err(LabError::step("set up IPv6 in a host"))?;
        }
    }
    here.within(|| connect_here(hosts, mtu))?.map_err(LabError::step("make network devices"))?;
    for (host, addresses) in hosts.iter().zip(addresses) {
        host.within(|| offload::switch_off(FIRST))?
            .map_err(LabError::step("switch off the offloads of a network device"))?;
        host.within(|| address(addresses))?.map_err(LabError::step("address a network device"))?;
    }
    Ok(addresses)
}

fn connect_here(hosts: &[NetNs; 2], mtu: u16) -> io::Result<()> {
    // What is between the hosts says nothing itself.
    if Path::new("/proc/sys/net/ipv6").exists() {
        tune(&[("ipv6/conf/default/disable_ipv6", "1")])?;
    }
    let mut netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
    netlink.change(up(LOOPBACK))?;
    for ((host, name), index) in hosts.iter().zip(["a", "b"]).zip(FIRST..) {
        netlink.make(pair(name, index, host, mtu))?;
        netlink.change(up(index))?;
    }
    Ok(())
}

fn address(addresses: Addresses) -> io::Result<()> {
    let mut netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
    netlink.change(up(LOOPBACK))?;
    netlink.make(address_of(addresses.v4.into(), 24))?;
    addresses.v6.map_or(Ok(()), |v6| netlink.make(address_of(v6.into(), 64)))
}

/// Lets both hosts send.
///
/// # Errors
/// The system refuses.
pub fn raise(hosts: &[NetNs; 2]) -> Result<(), LabError> {
    change(hosts, || {
        let mut message = link(FIRST);
        message.header.flags = LinkFlags::Up | LinkFlags::Noarp;
        message.header.change_mask = message.header.flags;
        message
    })
}

/// Changes the largest packet that both hosts send.
///
/// # Errors
/// The system refuses.
pub fn set_mtu(hosts: &[NetNs; 2], mtu: u16) -> Result<(), LabError> {
    change(hosts, || {
        let mut message = link(FIRST);
        message.attributes.push(LinkAttribute::Mtu(mtu.into()));
        message
    })
}

fn change(hosts: &[NetNs; 2], message: impl Fn() -> LinkMessage + Sync) -> Result<(), LabError> {
    for host in hosts {
        let ask = || {
            Netlink::open(SockProtocol::NetlinkRoute)?
                .change(RouteNetlinkMessage::SetLink(message()))
        };
        host.within(ask)?.map_err(LabError::step("change a network device"))?;
    }
    Ok(())
}

fn tune(settings: &[(&str, &str)]) -> io::Result<()> {
    settings.iter().try_for_each(|(name, value)| {
        let path = format!("/proc/sys/net/{name}");
        std::fs::write(&path, value)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
    })
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn up(index: u32) -> RouteNetlinkMessage {
    let mut message = link(index);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    RouteNetlinkMessage::SetLink(message)
}

/// A pair of devices: `name` here, [`DEVICE`] in `host`.
fn pair(name: &str, index: u32, host: &NetNs, mtu: u16) -> RouteNetlinkMessage {
    let mut far = link(FIRST);
    far.attributes = vec![
        LinkAttribute::IfName(DEVICE.into()),
        LinkAttribute::Address(HARDWARE.to_vec()),
        LinkAttribute::Mtu(mtu.into()),
        LinkAttribute::NetNsFd(host.as_fd().as_raw_fd()),
    ];
    let mut near = link(index);
    near.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Mtu(LARGEST),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far))),
        ]),
    ];
    RouteNetlinkMessage::NewLink(near)
}

fn address_of(address: IpAddr, prefix_len: u8) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix_len;
    message.header.flags = AddressHeaderFlags::Nodad;
    message.header.index = FIRST;
    message.attributes = vec![AddressAttribute::Address(address), AddressAttribute::Local(address)];
    RouteNetlinkMessage::NewAddress(message)
}
