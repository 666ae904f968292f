//! The lab's end of a pair of devices: frames that a host sends come out of it, and frames put into it
//! arrive at the host (packet(7)).

use super::LabError;
use super::frame::{HEADER, Kind};
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind,
    recvmsg, setsockopt, socket, sockopt,
};
use rustix::io::Errno;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Room for what a host sends in the milliseconds in which this process does not run. Ordinary users
/// get less (net.core.rmem_max).
const BUFFER: usize = 64 << 20;

/// A device of this namespace, for frames.
#[derive(Debug)]
pub struct Port(OwnedFd);

impl Port {
    /// The device called `name`.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    pub fn open(name: &str) -> Result<Self, LabError> {
        Self::open_io(name).map_err(LabError::step("open a packet socket"))
    }

    fn open_io(name: &str) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        bind(socket.as_raw_fd(), &address(name)?)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        Ok(Self(socket))
    }

    /// Receives a frame, if there is one. Returns its length, which is that of the buffer at most.
    ///
    /// # Errors
    /// As the system says.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.0, buffer) {
            Ok(len) => Ok(Some(len)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives as [`receive`](Self::receive) does, and tells how many frames the system has dropped
    /// since the port was opened, if any, because nobody took them in time.
    ///
    /// # Errors
    /// As the system says.
    pub fn receive_and_tell(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Option<u32>)>> {
        let mut space = cmsg_space!(u32);
        let mut slices = [IoSliceMut::new(buffer)];
        let (fd, flags) = (self.0.as_raw_fd(), MsgFlags::empty());
        match recvmsg::<()>(fd, &mut slices, Some(&mut space), flags) {
            Ok(message) => {
                let dropped = message.cmsgs()?.find_map(|told| match told {
                    ControlMessageOwned::RxqOvfl(count) => Some(count),
                    _ => None,
                });
                Ok(Some((message.bytes, dropped)))
            }
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// The host has taken its device down, or has no room.
    pub fn send(&self, kind: Kind, packet: &[u8]) -> io::Result<()> {
        let header: [u8; HEADER] = kind.header();
        rustix::io::writev(&self.0, &[IoSlice::new(&header), IoSlice::new(packet)])?;
        Ok(())
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The link-layer address of the device called `name`, in this thread's namespace.
fn address(name: &str) -> io::Result<LinkAddr> {
    let addresses = nix::ifaddrs::getifaddrs()?;
    let mut named = addresses.filter(|found| found.interface_name == name);
    let address = named.find_map(|found| found.address?.as_link_addr().copied());
    address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no device {name}")))
}
