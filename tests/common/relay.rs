//! What stands between a sender and a receiver: a relay that passes bytes on as it is told to.

use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Threads look this often whether they are still wanted.
const PATIENCE: Duration = Duration::from_millis(50);

/// Passes datagrams on between one sender and a receiver; there is nothing on the same port over TCP.
#[derive(Debug)]
pub(crate) struct UdpRelay {
    pub(crate) address: String,
    receiver: String,
    /// What the receiver sees of the sender.
    back: Arc<Mutex<Arc<UdpSocket>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpRelay {
    pub(crate) fn start(receiver: &str) -> Self {
        let front = UdpSocket::bind(("127.0.0.1", super::free_port())).expect("free");
        let address = front.local_addr().expect("bound").to_string();
        front.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let back = Arc::new(Mutex::new(socket_to(receiver)));
        let shared = back.clone();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            let sender = Mutex::new(None);
            let is_over = || over.load(Ordering::Relaxed);
            let back = || shared.lock().expect("nobody panics while holding it").clone();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut buffer = [0; 1 << 16];
                    while !is_over() {
                        let Ok(len) = back().recv(&mut buffer) else { continue };
                        let to = *sender.lock().expect("nobody panics while holding it");
                        let _ = front.send_to(&buffer[..len], to.expect("only an answer comes"));
                    }
                });
                let mut buffer = [0; 1 << 16];
                while !is_over() {
                    let Ok((len, from)) = front.recv_from(&mut buffer) else { continue };
                    *sender.lock().expect("nobody panics while holding it") = Some(from);
                    let _ = back().send(&buffer[..len]);
                }
            });
        });
        Self { address, receiver: receiver.to_owned(), back, is_over, thread: Some(thread) }
    }

    /// From now on the receiver sees the sender at another port, as behind a NAT that has forgotten it.
    pub(crate) fn rebind(&self) {
        self.rebind_to(&self.receiver);
    }

    /// The same, where the receiver is reached at another of its addresses, perhaps of the other family.
    pub(crate) fn rebind_to(&self, receiver: &str) {
        *self.back.lock().expect("nobody panics while holding it") = socket_to(receiver);
    }

    /// From now on the datagrams to the receiver carry these bits in the IP header's second byte.
    pub(crate) fn mark(&self, bits: u32) {
        let back = self.back.lock().expect("nobody panics while holding it");
        SockRef::from(&**back).set_tos_v4(bits).expect("anybody may set them");
    }
}

fn socket_to(receiver: &str) -> Arc<UdpSocket> {
    let any = if receiver.starts_with('[') { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(any).expect("loopback");
    socket.connect(receiver).expect("loopback");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    Arc::new(socket)
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// How a relay leaves both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// As a program does that ends: the stream has an end.
    Fin,
    /// As a system does that knows of no such connection.
    Reset,
}

/// Passes the bytes of TCP connections on.
#[derive(Debug)]
pub(crate) struct TcpRelay {
    pub(crate) address: String,
    passed: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TcpRelay {
    /// Passes on `piece` bytes at a time, or what has come when nothing follows; after `limit` bytes from the sender, cuts both sides off.
    pub(crate) fn start(receiver: &str, piece: usize, limit: Option<(u64, Cut)>) -> Self {
        Self::start_at(super::free_port(), receiver, piece, limit)
    }

    /// The same at a port that is known.
    pub(crate) fn start_at(
        port: u16,
        receiver: &str,
        piece: usize,
        limit: Option<(u64, Cut)>,
    ) -> Self {
        let front = TcpListener::bind(("127.0.0.1", port)).expect("free");
        let address = front.local_addr().expect("bound").to_string();
        let receiver: SocketAddr = receiver.parse().expect("an address");
        let (passed, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (passed.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                while !over.load(Ordering::Relaxed) {
                    let (sender, _) = front.accept().expect("somebody comes");
                    if !over.load(Ordering::Relaxed) {
                        let receiver = TcpStream::connect(receiver).expect("it listens");
                        let (count, over) = (&count, &over);
                        scope.spawn(move || join(&sender, &receiver, piece, limit, (count, over)));
                    }
                }
            });
        });
        Self { address, passed, is_over, thread: Some(thread) }
    }

    /// Bytes that came from the sender.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Where nobody came so far.
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Passes the bytes of one connection on.
fn join(
    sender: &TcpStream,
    receiver: &TcpStream,
    piece: usize,
    limit: Option<(u64, Cut)>,
    (count, over): (&AtomicU64, &AtomicBool),
) {
    for stream in [sender, receiver] {
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| pump(receiver, sender, piece, over, |_| false));
        pump(sender, receiver, piece, over, |len| {
            let so_far = count.fetch_add(len, Ordering::Relaxed) + len;
            limit.is_some_and(|(limit, _)| so_far >= limit)
        });
        let is_cut = |limit| count.load(Ordering::Relaxed) >= limit;
        match limit {
            Some((limit, cut)) if is_cut(limit) => leave(sender, receiver, cut, over),
            _ => {}
        }
    });
}

/// Leaves both sides.
fn leave(mut sender: &TcpStream, receiver: &TcpStream, cut: Cut, over: &AtomicBool) {
    match cut {
        Cut::Fin => {
            for stream in [sender, receiver] {
                let _ = stream.shutdown(Shutdown::Write);
            }
            // To close over bytes that nobody has read would be a reset.
            let mut ignored = [0; 1 << 16];
            while !over.load(Ordering::Relaxed) && !matches!(sender.read(&mut ignored), Ok(0)) {}
        }
        Cut::Reset => {
            for stream in [sender, receiver] {
                SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a socket");
            }
            over.store(true, Ordering::Relaxed);
        }
    }
}

/// Passes bytes on in pieces, as they fill up or nothing more comes, until the stream ends, it is over,
/// or `is_enough` says so of the bytes that went.
fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    piece: usize,
    over: &AtomicBool,
    is_enough: impl Fn(u64) -> bool,
) {
    let is_patient = |error: &std::io::Error| {
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            && !over.load(Ordering::Relaxed)
    };
    let mut buffer = vec![0; piece];
    loop {
        let mut filled = 0;
        let is_end = loop {
            match from.read(&mut buffer[filled..]) {
                Ok(0) => break filled < piece,
                Ok(len) => filled += len,
                Err(error) if !is_patient(&error) => return,
                Err(_) if filled > 0 => break false,
                Err(_) => {}
            }
        };
        let mut rest = &buffer[..filled];
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if is_patient(&error) => {}
                Err(_) => return,
            }
        }
        if is_end {
            let _ = to.shutdown(Shutdown::Write);
        }
        if is_end || is_enough(filled as u64) || over.load(Ordering::Relaxed) {
            return;
        }
    }
}
