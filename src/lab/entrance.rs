//! How a process gets into namespaces of its own.
//!
//! Who makes a user namespace must be a process with a single thread, and who makes a process
//! namespace is not in it, only its children are. So the program runs itself again, twice, with a
//! first word that no user types ([`Role`]):
//!
//! 1. *outside*: the program as it was started. [`enter`] starts the next one and waits for it.
//! 2. *threshold*: makes all namespaces ([`cross`]), starts the next one and waits for it.
//! 3. *inside*: process 1 of the process namespace. It runs the command line that the first one was
//!    given, and may open labs. When it ends, the kernel ends all that is in there, and frees the rest.
//!
//! Each one is killed when the one before it ends, whatever ends it, so nothing is left.

use super::LabError;
use crate::base::text::{escape, show_error};
use crate::base::time::Duration;
use crate::os::signals::{is_for_all, is_hangup_ours};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The first word of a process that is to run a program in a host.
pub const HOST: &str = "lab:host";
const THRESHOLD: &str = "lab:threshold";
const INSIDE: &str = "lab:inside";

/// The only word of a command line that is to find out whether there can be a lab.
pub const PROBE: &str = "lab:probe";

/// Who waits looks at signals this often.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a process is there for, as its first words say.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// What the user typed.
    Outside,
    /// Makes the namespaces.
    Threshold {
        /// Its parent, as /proc numbers it.
        parent: OsString,
    },
    /// Works in them.
    Inside {
        /// Its parent, as /proc numbers it.
        parent: OsString,
    },
    /// Runs a program in a host.
    Host {
        /// Where its namespace is.
        place: OsString,
    },
}

impl Role {
    /// Takes the words that say it out of a command line.
    pub fn take(words: &mut Vec<OsString>) -> Self {
        let kind = words.get(1).and_then(|word| word.to_str()).unwrap_or_default();
        let role: fn(OsString) -> Self = match kind {
            THRESHOLD => |parent| Self::Threshold { parent },
            INSIDE => |parent| Self::Inside { parent },
            HOST => |place| Self::Host { place },
            _ => return Self::Outside,
        };
        let own: Vec<OsString> = words.drain(1..words.len().min(3)).collect();
        role(own.into_iter().nth(1).unwrap_or_default())
    }
}

/// Runs the command line `words` inside, and returns what it ended with. `pending` is a signal that
/// this process was sent.
///
/// # Errors
/// The system does not let the program start itself.
pub fn enter(
    words: &[OsString],
    pending: impl FnMut() -> Option<i32>,
) -> Result<ExitStatus, LabError> {
    let mut child =
        again(THRESHOLD, words).spawn().map_err(LabError::step("start volley again"))?;
    attend(&mut child, pending).map_err(LabError::step("wait for the lab"))
}

/// Whether there can be a lab: makes one, and takes it down.
///
/// # Errors
/// Why not, and what to do about it.
pub fn probe() -> Result<(), LabError> {
    let words = [OsString::new(), PROBE.into()];
    let probed = again(THRESHOLD, &words)
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::step("start volley again"))?;
    if probed.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&probed.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(LabError::new(said.strip_prefix("error: ").unwrap_or(said)))
}

/// The threshold: makes the namespaces, and runs the command line in them.
///
/// # Errors
/// The system forbids them.
pub fn cross(parent: &OsStr, words: &[OsString]) -> Result<ExitStatus, LabError> {
    // What is heeded here is not ignored by the next one, whatever this one was started with.
    let hangup = is_hangup_ours().then_some(SIGHUP);
    let heeded = [SIGINT, SIGTERM].into_iter().chain(hangup);
    let mut signals =
        SignalsInfo::<WithOrigin>::new(heeded).map_err(LabError::step("watch for signals"))?;
    make_namespaces()?;
    // After that: who gains rights is not killed with its parent any more (prctl(2)).
    follow(parent)?;
    let mut child = again(INSIDE, words).spawn().map_err(LabError::step("start volley again"))?;
    // To process 1 a signal that it does not heed yet is none: it is kept until it does.
    let status = fs::File::open(format!("/proc/{}/status", child.id())).ok();
    let mut kept: Option<i32> = None;
    let pending = || {
        let sent = || signals.pending().find(|sent| !is_for_all(sent)).map(|sent| sent.signal);
        kept = kept.or_else(sent);
        kept.take_if(|signal| status.as_ref().is_none_or(|status| heeds(status, *signal)))
    };
    attend(&mut child, pending).map_err(LabError::step("wait for the lab"))
}

/// Whether the process of that status in /proc heeds the signal; one that has ended need not.
fn heeds(status: &fs::File, signal: i32) -> bool {
    let mut text = [0; 4096];
    let len = status.read_at(&mut text, 0).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[..len]);
    let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Inside: makes itself at home.
///
/// # Errors
/// The threshold is gone.
pub fn settle(parent: &OsStr) -> Result<(), LabError> {
    follow(parent)?;
    // So that /proc numbers processes as they number themselves. Where parts of it are covered, as in
    // containers, the old one has to do.
    let nothing = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let _ = mount(nothing, "/", nothing, private, nothing)
        .and_then(|()| mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), nothing));
    Ok(())
}

/// Becomes `program` in the host at `place`. Returns only if it cannot, with why.
///
/// # Errors
/// There is no such host.
pub fn become_program(
    place: &OsStr,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<io::Error, LabError> {
    fs::File::open(place)
        .and_then(|host| setns(host, CloneFlags::CLONE_NEWNET).map_err(io::Error::from))
        .map_err(|error| {
            let place = escape(&place.to_string_lossy());
            LabError::new(format!("cannot enter the host at {place}: {}", show_error(&error)))
        })?;
    Ok(Command::new(program).args(arguments).exec())
}

/// This program, as others can start it.
#[must_use]
pub fn own_program() -> String {
    format!("/proc/{}/exe", own_place())
}

/// The number of this process in /proc.
#[must_use]
pub fn own_place() -> String {
    let place = fs::read_link("/proc/self").unwrap_or_default();
    place.to_string_lossy().into_owned()
}

/// This program again, in another role.
fn again(role: &str, words: &[OsString]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([role, &own_place()]).args(words.iter().skip(1));
    if let Some(name) = words.first().filter(|name| !name.is_empty()) {
        command.arg0(name);
    }
    command
}

/// Has the kernel kill this process with its parent.
fn follow(parent: &OsStr) -> Result<(), LabError> {
    set_pdeathsig(Signal::SIGKILL).map_err(|error| LabError::new(error.desc()))?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_there = status.lines().filter_map(|line| line.strip_prefix("PPid:"));
    if is_there.map(str::trim).any(|number| OsStr::new(number) == parent) {
        return Ok(());
    }
    Err(LabError::new("whoever wanted a lab is gone"))
}

fn make_namespaces() -> Result<(), LabError> {
    let spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // Root keeps its own users, where it may.
    if user.is_root() && unshare(spaces).is_ok() {
        return Ok(());
    }
    let make = LabError::step("make a user namespace with a network in it");
    unshare(CloneFlags::CLONE_NEWUSER | spaces).map_err(io::Error::from).map_err(make)?;
    // user_namespaces(7): groups can be mapped only after setgroups was given up.
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {} 1", user.as_raw())),
        ("gid_map", format!("0 {} 1", group.as_raw())),
    ] {
        fs::write(format!("/proc/self/{file}"), text)
            .map_err(LabError::step("map the user into a namespace"))?;
    }
    Ok(())
}

/// Waits for `child`, and passes on to it what signals come meanwhile.
///
/// # Errors
/// As the system says.
pub fn attend(
    child: &mut Child,
    mut pending: impl FnMut() -> Option<i32>,
) -> io::Result<ExitStatus> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let handle = rustix::process::Pid::from_child(child);
    let handle = pidfd_open(handle, PidfdFlags::empty())?;
    let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    loop {
        reap_orphans(pid);
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let signal = pending().and_then(|number| Signal::try_from(number).ok());
        if let Some(signal) = signal {
            let _ = kill(pid, signal);
        }
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a shell would tell of a program that ended so.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Process 1 inherits those whose parents have ended, and has to bury them; not `child` itself.
fn reap_orphans(child: Pid) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while std::process::id() == 1 {
        match waitid(Id::All, peek).ok().as_ref().and_then(WaitStatus::pid) {
            Some(orphan) if orphan != child => {
                let _ = waitpid(orphan, Some(WaitPidFlag::WNOHANG));
            }
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_taken_out_of_the_command_line() {
        let line = |text: &str| text.split_whitespace().map(Into::into).collect::<Vec<OsString>>();
        for (text, role, rest) in [
            ("volley lab -- id", Role::Outside, "volley lab -- id"),
            (
                "volley lab:threshold 7 lab -- id",
                Role::Threshold { parent: "7".into() },
                "volley lab -- id",
            ),
            ("volley lab:inside 7 lab", Role::Inside { parent: "7".into() }, "volley lab"),
            (
                "volley lab:host /proc/1/fd/3 ip addr",
                Role::Host { place: "/proc/1/fd/3".into() },
                "volley ip addr",
            ),
            ("volley lab:inside", Role::Inside { parent: "".into() }, "volley"),
            ("volley", Role::Outside, "volley"),
        ] {
            let mut words = line(text);
            assert_eq!((Role::take(&mut words), words), (role, line(rest)), "{text}");
        }
    }
}
