//! Output that nobody takes: a pipe that is full, a terminal that is held.

use super::process::Running;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, tcflow};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

/// What a process writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard error.
    Err,
    /// Standard output.
    Out,
}

/// Which streams take nothing, and what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) streams: &'static [Stream],
    /// A terminal in which somebody pressed Ctrl-S; a full pipe otherwise.
    pub(crate) is_terminal: bool,
}

impl Held {
    /// Starts the program with these streams held for as long as it runs; others are read.
    pub(crate) fn start(self, directory: &Path, arguments: &[impl AsRef<OsStr>]) -> Running {
        let (ours, theirs) = if self.is_terminal { terminal() } else { pipe() };
        let stream = |stream| match self.streams.contains(&stream) {
            true => Stdio::from(theirs.try_clone().expect("a descriptor to spare")),
            false => Stdio::piped(),
        };
        let outputs = [stream(Stream::Out), stream(Stream::Err)];
        Running::start_held(directory, arguments, outputs, ours)
    }
}

/// A terminal that takes nothing: what holds it, and what programs write to.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let window = openpt(flags).expect("a pseudo terminal");
    grantpt(&window).expect("ours");
    unlockpt(&window).expect("ours");
    let name = ptsname(&window, Vec::new()).expect("it has a name");
    let screen = File::options().write(true).open(Path::new(OsStr::from_bytes(name.as_bytes())));
    let screen = screen.expect("the other side of it");
    tcflow(&screen, Action::OOff).expect("a terminal");
    (window, screen.into())
}

/// A pipe that is full.
fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(writer.as_fd(), true).expect("a pipe");
    while writer.write(&[b'.'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(writer.as_fd(), false).expect("a pipe");
    (reader.into(), writer.into())
}
