//! Requests to the kernel about devices and addresses, one at a time (rtnetlink(7)).

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// An answer is an error code and a copy of the request, or a description.
const ANSWER_BYTES: usize = 8192;

/// A way to ask the kernel about one namespace: that of the thread that opens it.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// A connection to the kernel.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(protocol: SockProtocol) -> io::Result<Self> {
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks for a device or an address that is not there yet.
    ///
    /// # Errors
    /// As the kernel answers.
    pub fn make(&mut self, request: RouteNetlinkMessage) -> io::Result<()> {
        self.order(request, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Asks for a device to be changed.
    ///
    /// # Errors
    /// As the kernel answers.
    pub fn change(&mut self, request: RouteNetlinkMessage) -> io::Result<()> {
        self.order(request, 0)
    }

    fn order(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let answer = self.exchange::<_, RouteNetlinkMessage>(request.into(), NLM_F_ACK | flags);
        answer.map(|_| ())
    }

    /// Sends a request, and returns what the kernel answers with, if it is more than that it is done.
    ///
    /// # Errors
    /// As the kernel answers.
    pub fn exchange<Q: NetlinkSerializable, A: NetlinkDeserializable>(
        &mut self,
        request: NetlinkPayload<Q>,
        flags: u16,
    ) -> io::Result<Option<A>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, request);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &bytes, &kernel, MsgFlags::empty())?;
        self.answer()
    }

    fn answer<A: NetlinkDeserializable>(&self) -> io::Result<Option<A>> {
        let mut bytes = [0; ANSWER_BYTES];
        let len = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
        let answer = NetlinkMessage::<A>::deserialize(&bytes[..len]);
        match answer.map_err(io::Error::other)?.payload {
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(None),
            NetlinkPayload::Error(error) => Err(error.to_io()),
            NetlinkPayload::InnerMessage(answer) => Ok(Some(answer)),
            _ => Err(io::Error::other("the kernel answered something else than was asked")),
        }
    }
}
