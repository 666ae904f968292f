//! The lab's end of a pair of devices: frames that a host sends come out of it, and frames put into it
//! arrive at the host (packet(7)).

use super::LabError;
use super::frame::{HEADER, Kind};
use crate::base::time::Duration;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Room for what a host sends in the milliseconds in which this process does not run. Ordinary users
/// get less (net.core.rmem_max).
const BUFFER: usize = 64 << 20;

/// A frame with the largest packet there is.
const FRAME_MAX: usize = HEADER + 65_535;

/// Where a frame is received.
#[derive(Debug)]
pub struct Buffers {
    /// The frame.
    pub frame: Vec<u8>,
    /// What the system tells beside it.
    told: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { frame: vec![0; FRAME_MAX], told: cmsg_space!(u32, TimeSpec) }
    }
}

/// A frame that was received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Its bytes.
    pub len: usize,
    /// When it came, in time since 1970, however long it has waited since.
    pub stamp: Option<Duration>,
    /// Frames that have been dropped since the port was opened, if any, because nobody took them.
    pub dropped: Option<u32>,
}

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
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(Self(socket))
    }

    /// Receives a frame into the buffers, if there is one.
    ///
    /// # Errors
    /// As the system says.
    pub fn receive(&self, buffers: &mut Buffers) -> io::Result<Option<Received>> {
        let Buffers { frame, told } = buffers;
        let mut slices = [IoSliceMut::new(frame)];
        let (fd, flags) = (self.0.as_raw_fd(), MsgFlags::empty());
        let message = match recvmsg::<()>(fd, &mut slices, Some(told), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut received = Received { len: message.bytes, stamp: None, dropped: None };
        for told in message.cmsgs()? {
            match told {
                ControlMessageOwned::RxqOvfl(count) => received.dropped = Some(count),
                ControlMessageOwned::ScmTimestampns(time) => {
                    received.stamp = Some(time.into());
                }
                _ => {}
            }
        }
        Ok(Some(received))
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
