//! Has a device leave nothing to hardware that it does not have (ethtool's netlink messages).
//!
//! A pair of devices in one machine passes on 64 KiB at a time, and checksums that nobody has computed:
//! nothing is lost in between. Here something is, so the kernel is to cut and sum before the device.

use super::netlink::Netlink;
use netlink_packet_core::{DefaultNla, Emitable, NLM_F_ACK};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlMessage};
use nix::sys::socket::SockProtocol;
use std::io;

/// Without them the kernel cuts segments itself too: who sums last must cut first.
const CHECKSUMS: [&str; 2] = ["tx-checksum-ip-generic", "tx-checksum-sctp"];

/// `ETHTOOL_MSG_FEATURES_SET` and what it holds, by the names of linux/ethtool_netlink.h.
const FEATURES_SET: u8 = 12;
const FEATURES_HEADER: u16 = 1;
const FEATURES_WANTED: u16 = 3;
const HEADER_DEV_INDEX: u16 = 1;
const HEADER_FLAGS: u16 = 3;
const FLAG_OMIT_REPLY: u32 = 2;
const BITSET_BITS: u16 = 3;
const BITSET_BIT: u16 = 1;
const BIT_NAME: u16 = 2;

/// An attribute that holds attributes.
const NESTED: u16 = 1 << 15;

/// Switches off checksums, and with them segmentation, of the device with that index in this thread's
/// namespace.
///
/// # Errors
/// The kernel refuses.
pub fn switch_off(index: u32) -> io::Result<()> {
    let mut netlink = Netlink::open(SockProtocol::NetlinkGeneric)?;
    let family = find_family(&mut netlink)?;
    let mut request = GenlMessage::from_payload(Off { index });
    request.set_resolved_family_id(family);
    request.finalize();
    netlink.exchange::<_, GenlMessage<GenlCtrl>>(request.into(), NLM_F_ACK)?;
    Ok(())
}

/// The number that the kernel has given to ethtool.
fn find_family(netlink: &mut Netlink) -> io::Result<u16> {
    let name = GenlCtrlAttrs::FamilyName(Off::family_name().into());
    let ask = GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![name] };
    let mut request = GenlMessage::from_payload(ask);
    request.finalize();
    let answer: Option<GenlMessage<GenlCtrl>> = netlink.exchange(request.into(), 0)?;
    let attributes = answer.map(|answer| answer.payload.nlas).unwrap_or_default();
    let number = attributes.iter().find_map(|attribute| match attribute {
        GenlCtrlAttrs::FamilyId(number) => Some(*number),
        _ => None,
    });
    number.ok_or_else(|| io::Error::other("the kernel has no ethtool messages"))
}

/// A request to switch [`CHECKSUMS`] off.
#[derive(Debug)]
struct Off {
    index: u32,
}

impl Off {
    fn attributes(&self) -> [DefaultNla; 2] {
        let header = [
            DefaultNla::new(HEADER_DEV_INDEX, self.index.to_ne_bytes().to_vec()),
            DefaultNla::new(HEADER_FLAGS, FLAG_OMIT_REPLY.to_ne_bytes().to_vec()),
        ];
        // A bit that is named and has no value is off, and the others stay as they are.
        let bits = CHECKSUMS.map(|name| {
            let name = DefaultNla::new(BIT_NAME, [name.as_bytes(), &[0]].concat());
            nest(BITSET_BIT, &[name])
        });
        let bits = nest(BITSET_BITS, &bits);
        [nest(FEATURES_HEADER, &header), nest(FEATURES_WANTED, &[bits])]
    }
}

fn nest(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut value = vec![0; attributes.buffer_len()];
    attributes.emit(&mut value);
    DefaultNla::new(kind | NESTED, value)
}

impl GenlFamily for Off {
    fn family_name() -> &'static str {
        "ethtool"
    }

    fn command(&self) -> u8 {
        FEATURES_SET
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Off {
    fn buffer_len(&self) -> usize {
        self.attributes().as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes().as_slice().emit(buffer);
    }
}
