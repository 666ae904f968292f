//! Waiting for sockets, for a deadline finer than a millisecond, or for another thread.

use crate::base::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a wait found at a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Something arrived.
    pub is_readable: bool,
    /// There is news of what was sent.
    pub has_error: bool,
}

impl Ready {
    fn of(flags: PollFlags) -> Self {
        let has_error = flags.contains(PollFlags::ERR);
        Self { is_readable: !flags.difference(PollFlags::ERR).is_empty(), has_error }
    }
}

/// Ends a [`Waiter`]'s wait from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    end: UnixStream,
    /// There is a wake-up in it already: who is as busy as many disk workers is woken once for all.
    is_full: AtomicBool,
}

impl Waker {
    /// Wakes, now or when the next wait begins.
    pub fn wake(&self) {
        if !self.0.is_full.swap(true, Ordering::AcqRel) {
            let _ = (&self.0.end).write(&[1]);
        }
    }
}

/// Waits.
#[derive(Debug)]
pub struct Waiter {
    wakes: UnixStream,
    waker: Waker,
}

impl Waiter {
    /// A waiter with its waker.
    ///
    /// # Errors
    /// As the system says.
    pub fn new() -> io::Result<Self> {
        let (wakes, waker) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let pipe = Pipe { end: waker, is_full: AtomicBool::new(false) };
        Ok(Self { wakes, waker: Waker(Arc::new(pipe)) })
    }

    /// What wakes it.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits until one of `sockets` is readable or has an error to tell, or woken, or `timeout` has
    /// passed. Says what there is at each.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait_readable(
        &self,
        sockets: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> io::Result<Vec<Ready>> {
        let mut fds: Vec<PollFd<'_>> =
            sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.wakes, PollFlags::IN));
        wait(&mut fds, timeout)?;
        let woken = fds.pop().is_some_and(|fd| !fd.revents().is_empty());
        if woken {
            let _ = (&self.wakes).read(&mut [0; 256]);
            // What is told from here on needs another wake-up. A waker that found it full before had told
            // its news already: reading what it left makes them seen, which a store alone would not.
            self.waker.0.is_full.swap(false, Ordering::AcqRel);
        }
        Ok(fds.iter().map(|fd| Ready::of(fd.revents())).collect())
    }

    /// Waits until some of `sockets` are readable or have an error to tell, or `timeout` has passed.
    /// Says which, by their places.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait_for_some(sockets: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<Vec<usize>> {
        let mut fds: Vec<PollFd<'_>> =
            sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        wait(&mut fds, timeout)?;
        let is_ready = |place: &usize| !fds[*place].revents().is_empty();
        Ok((0..fds.len()).filter(is_ready).collect())
    }

    /// Waits until `stream` has room for what is written, or an error to tell, or `timeout` has passed. False
    /// if it has neither.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait_writable(stream: &impl AsFd, timeout: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(stream, PollFlags::OUT)];
        wait(&mut fds, timeout)?;
        Ok(!fds[0].revents().is_empty())
    }
}

/// From now on, this thread's waits end as soon after their deadlines as the system can: Linux takes
/// 50 microseconds more, in order to wake threads together (PR_SET_TIMERSLACK in prctl(2)).
pub fn be_punctual() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

fn wait(fds: &mut [PollFd<'_>], timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let waiter = Waiter::new().expect("a socket pair");
        waiter.waker().wake();
        waiter.wait_readable(&[], LONG).expect("woken at once");
    }

    #[test]
    fn every_wake_after_a_wait_ends_another_wait() {
        let waiter = Waiter::new().expect("a socket pair");
        for _ in 0..3 {
            (0..1_000).for_each(|_| waiter.waker().wake());
            waiter.wait_readable(&[], LONG).expect("woken at once");
            let mut fds = [PollFd::new(&waiter.wakes, PollFlags::IN)];
            wait(&mut fds, Duration::ZERO).expect("a socket pair");
            assert!(fds[0].revents().is_empty(), "one wait takes all");
        }
    }

    #[test]
    fn a_datagram_ends_the_wait() {
        let waiter = Waiter::new().expect("a socket pair");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let address = socket.local_addr().expect("bound");
        socket.send_to(b"x", address).expect("loopback");
        waiter.wait_readable(&[socket.as_fd()], LONG).expect("readable");
        assert!(Waiter::wait_writable(&socket, LONG).expect("writable"));
        let quiet = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let ready = Waiter::wait_for_some(&[quiet.as_fd(), socket.as_fd()], LONG);
        assert_eq!(ready.expect("readable"), [1]);
    }
}
