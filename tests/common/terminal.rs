//! The program on a terminal: a pseudo terminal, and what a person would see on it.

use super::process::{PROGRAM, forget_nohup};
use super::{PATIENCE, wait_at_most, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Columns of the terminal.
const WIDTH: usize = 100;

/// A terminal with the program as what runs in the foreground. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The side of whoever types and reads; closed by [`Terminal::close`].
    keyboard: Option<File>,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    is_closed: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts the program on a new terminal; `environment` comes on top of what tests have.
    pub(crate) fn start(
        directory: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_in(&[], directory, arguments, environment)
    }

    /// Starts the program on a new terminal, but for its standard input, which the caller writes.
    pub(crate) fn start_fed(directory: &Path, arguments: &[&str]) -> (Self, File) {
        let pipe = directory.join("fed");
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).expect("made");
        let shell = ["sh", "-c", "exec \"$@\" < fed", "sh"];
        let terminal = Self::start_in(&shell, directory, arguments, &[]);
        // Waits until it is opened for reading.
        (terminal, File::options().write(true).open(pipe).expect("made"))
    }

    /// Starts the program by way of another one, `outside`, to which it is the arguments.
    fn start_in(
        outside: &[&str],
        directory: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        // Closed for the programs: a window that somebody else holds open cannot be closed.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = openpt(flags).expect("a pseudo terminal");
        grantpt(&keyboard).expect("ours");
        unlockpt(&keyboard).expect("ours");
        let columns = u16::try_from(WIDTH).expect("a terminal is not that wide");
        let size = Winsize { ws_col: columns, ws_row: 24, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).expect("ours");
        let name = ptsname(&keyboard, Vec::new()).expect("it has a name");
        let screen = || {
            let path = Path::new(OsStr::from_bytes(name.as_bytes()));
            File::options().read(true).write(true).open(path).expect("the other side of it")
        };
        forget_nohup();
        // setsid makes the terminal the one that signals its programs.
        let child = Command::new("setsid")
            .arg("--ctty")
            .args(outside)
            .arg(PROGRAM)
            .args(arguments)
            .current_dir(directory)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .envs(environment.iter().copied())
            .stdin(screen())
            .stdout(screen())
            .stderr(screen())
            .spawn()
            .expect("util-linux has setsid");
        let keyboard = File::from(keyboard);
        let screen = keyboard.try_clone().expect("a descriptor to spare");
        let (shown, is_closed) = (Arc::default(), Arc::default());
        let (gathered, until) = (Arc::clone(&shown), Arc::clone(&is_closed));
        let reader = std::thread::spawn(move || gather(screen, &gathered, &until));
        Self { keyboard: Some(keyboard), child, shown, is_closed, reader: Some(reader) }
    }

    /// Closes the window.
    pub(crate) fn close(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let reader = self.reader.take().expect("closed once");
        reader.join().expect("the reader does not panic");
        self.keyboard = None;
    }

    /// The number of the program's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.press("\u{3}");
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().expect("not closed");
        keyboard.write_all(keys.as_bytes()).expect("somebody listens");
    }

    /// Whether the terminal takes whole lines and echoes what is typed, as usual.
    pub(crate) fn shows_what_is_typed(&self) -> bool {
        let keyboard = self.keyboard.as_ref().expect("not closed");
        let modes = tcgetattr(keyboard).expect("ours").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Waits until all of `text` has been written, in one piece.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        wait_until(text, || self.raw().contains(text));
    }

    /// Everything that was written, with its control characters.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody panics while holding it"))
            .into_owned()
    }

    /// Waits for its end: the exit code, and the lines that are on the screen then.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> (Option<i32>, Vec<String>) {
        let mut status = None;
        wait_at_most(PATIENCE, "the program ends", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        let mut before = usize::MAX;
        wait_until("all of it has been read", || {
            let now = self.raw().len();
            let is_all = now == std::mem::replace(&mut before, now);
            is_all && now > 0
        });
        (status.and_then(|status| status.code()), seen(&self.raw()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what is shown until the window is closed, or nobody is left that could write.
fn gather(mut screen: File, gathered: &Mutex<Vec<u8>>, is_closed: &AtomicBool) {
    /// Between two looks at `is_closed`.
    const INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut piece = [0; 4096];
    while !is_closed.load(Ordering::Relaxed) {
        let ready = poll(&mut [PollFd::new(&screen, PollFlags::IN)], Some(&INTERVAL));
        if ready.is_ok_and(|count| count == 0) {
            continue;
        }
        let Ok(len @ 1..) = screen.read(&mut piece) else { return };
        gathered.lock().expect("nobody panics while holding it").extend(&piece[..len]);
    }
}

/// The lines that a terminal shows after `bytes`: it wraps where a character has no column left, not
/// before, and knows the orders that move the cursor or clear.
fn seen(bytes: &str) -> Vec<String> {
    let mut lines = vec![vec![' '; WIDTH]];
    let (mut row, mut column) = (0_usize, 0);
    let mut rest = bytes.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                let order = rest.as_str().trim_start_matches('[');
                let digits = order.find(|c: char| !c.is_ascii_digit()).unwrap_or(order.len());
                let count = order[..digits].parse().unwrap_or(1);
                let mut after = order[digits..].chars();
                match after.next() {
                    Some('A') => row = row.saturating_sub(count),
                    Some('B') => row += count,
                    Some('K') => lines[row] = vec![' '; WIDTH],
                    _ => {}
                }
                rest = after;
            }
            c => {
                if column == WIDTH {
                    (row, column) = (row + 1, 0);
                }
                lines.resize_with(lines.len().max(row + 1), || vec![' '; WIDTH]);
                lines[row][column] = c;
                column += 1;
            }
        }
        lines.resize_with(lines.len().max(row + 1), || vec![' '; WIDTH]);
    }
    let lines = lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}
