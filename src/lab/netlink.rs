//! Requests to the kernel about devices and addresses, one at a time (rtnetlink(7)).

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// An answer is an error code and a copy of the request's header.
const ANSWER_BYTES: usize = 8192;

/// A way to ask about the devices of one namespace: that of the thread that opens it.
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
    pub fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks for something to be made that is not there yet.
    ///
    /// # Errors
    /// As the kernel answers.
    pub fn make(&mut self, request: RouteNetlinkMessage) -> io::Result<()> {
        self.ask(request, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Asks for something that is there to be changed.
    ///
    /// # Errors
    /// As the kernel answers.
    pub fn change(&mut self, request: RouteNetlinkMessage) -> io::Result<()> {
        self.ask(request, 0)
    }

    fn ask(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &bytes, &kernel, MsgFlags::empty())?;
        self.answer()
    }

    fn answer(&self) -> io::Result<()> {
        let mut bytes = [0; ANSWER_BYTES];
        let len = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes[..len]);
        match answer.map_err(io::Error::other)?.payload {
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Err(io::Error::other("the kernel answered something else than was asked")),
        }
    }
}
