//! The program as a process: what it is given, what it writes, how it ends.

use super::{PATIENCE, SILENCE, note, wait_at_most, wait_until};
use serde_json::Value;
use signal_hook::consts::SIGHUP;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails unless the process ended with `code`.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code; it wrote:\n{}{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Fails unless standard error contains all `words`.
    #[track_caller]
    pub(crate) fn expect_words(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "no \"{word}\" in:\n{}", self.stderr);
        }
        self
    }

    /// The one JSON object on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        let value: Value = parsed.unwrap_or_else(|error| panic!("{error} in \"{}\"", self.stdout));
        assert!(value.is_object(), "{value}");
        value
    }
}

/// What a process writes, gathered as it comes so that its pipe never fills.
#[derive(Debug)]
struct Gathered {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Gathered {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let gathered = bytes.clone();
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = pipe.read(&mut piece) {
                let mut gathered = gathered.lock().expect("nobody panics while holding it");
                gathered.extend_from_slice(&piece[..len]);
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> String {
        let bytes = self.bytes.lock().expect("nobody panics while holding it");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn all(self) -> String {
        self.reader.join().expect("the reader does not panic");
        let mut bytes = self.bytes.lock().expect("nobody panics while holding it");
        String::from_utf8(std::mem::take(&mut *bytes)).expect("the program writes UTF-8")
    }
}

/// Has programs that are started from here end when their terminal is closed, as they usually do: under `nohup`
/// they inherit that they do not. A signal that is caught is not one in the program that takes our place.
pub(crate) fn forget_nohup() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        signal_hook::flag::register(SIGHUP, Arc::default()).expect("a signal that can be caught");
    });
}

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_volley");

/// The program at work. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Where somebody reads it, and until it has been taken.
    stdout: Option<Gathered>,
    stderr: Option<Gathered>,
    /// What keeps an output as it is that nobody reads.
    held: Option<OwnedFd>,
}

impl Running {
    /// Starts the program in `directory`.
    pub(crate) fn start(directory: &Path, arguments: &[impl AsRef<OsStr>]) -> Self {
        Self::start_with(directory, arguments, &[])
    }

    /// Starts the program with these variables in its environment.
    pub(crate) fn start_with(
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::spawn(directory, arguments, variables, [Stdio::piped(), Stdio::piped()])
    }

    /// Starts the program with a standard output that somebody holds and does not read.
    pub(crate) fn start_unread(
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
    ) -> (Self, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        (Self::spawn(directory, arguments, &[], [writer.into(), Stdio::piped()]), reader)
    }

    /// Starts the program with these outputs, which `held` keeps as they are.
    pub(crate) fn start_held(
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
        outputs: [Stdio; 2],
        held: OwnedFd,
    ) -> Self {
        let mut running = Self::spawn(directory, arguments, &[], outputs);
        running.held = Some(held);
        running
    }

    /// Starts the program with a standard input that the caller writes.
    pub(crate) fn start_fed(
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
        variables: &[(&str, &str)],
    ) -> (Self, ChildStdin) {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(directory).stdin(Stdio::piped());
        let mut running = Self::run(command, variables, [Stdio::piped(), Stdio::piped()]);
        let stdin = running.child.stdin.take().expect("a pipe");
        (running, stdin)
    }

    /// Starts the program with both outputs closed at the other end.
    pub(crate) fn start_unheard(directory: &Path, arguments: &[impl AsRef<OsStr>]) -> Self {
        let closed = || std::io::pipe().expect("a pipe").1.into();
        Self::spawn(directory, arguments, &[], [closed(), closed()])
    }

    /// Starts the program by a shell that says `preparation` first, such as `ulimit -f 8`.
    pub(crate) fn start_prepared(
        directory: &Path,
        preparation: &str,
        arguments: &[impl AsRef<OsStr>],
    ) -> Self {
        let script = format!("{preparation}; exec \"$@\"");
        Self::start_in(&["sh", "-c", &script, "sh"], directory, arguments)
    }

    /// Starts the program by way of another one, `outside`, to which it is the arguments.
    pub(crate) fn start_in(
        outside: &[&str],
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
    ) -> Self {
        let mut command = Command::new(outside[0]);
        command.args(&outside[1..]);
        command.arg(PROGRAM).args(arguments).current_dir(directory).stdin(Stdio::null());
        Self::run(command, &[], [Stdio::piped(), Stdio::piped()])
    }

    fn spawn(
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
        variables: &[(&str, &str)],
        [stdout, stderr]: [Stdio; 2],
    ) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        Self::run(command, variables, [stdout, stderr])
    }

    fn run(mut command: Command, variables: &[(&str, &str)], [stdout, stderr]: [Stdio; 2]) -> Self {
        // Every flag can be given as a variable; those of whoever runs the tests are not meant.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"VOLLEY_") {
                command.env_remove(name);
            }
        }
        // What is known of paths is not written there, whoever runs the tests.
        command.env("XDG_STATE_HOME", "/dev/null");
        command.envs(variables.iter().copied());
        forget_nohup();
        let command = command.stdout(stdout).stderr(stderr);
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().map(Gathered::from);
        let stderr = child.stderr.take().map(Gathered::from);
        Self { child, stdout, stderr, held: None }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(self) -> Outcome {
        self.finish_within(PATIENCE)
    }

    /// Waits for its end, which must come sooner than after 30 s of silence.
    #[track_caller]
    pub(crate) fn finish_before_silence(self) -> Outcome {
        self.finish_within(SILENCE)
    }

    /// Waits until it has written all `words` to standard error, sooner than after 30 s of silence.
    #[track_caller]
    pub(crate) fn wait_for_words(&self, words: &[&str]) {
        self.wait_for_words_within(SILENCE, words);
    }

    /// Waits until it has written all `words` to standard error, however long that takes.
    #[track_caller]
    pub(crate) fn wait_long_for_words(&self, words: &[&str]) {
        self.wait_for_words_within(PATIENCE, words);
    }

    #[track_caller]
    fn wait_for_words_within(&self, limit: Duration, words: &[&str]) {
        wait_at_most(limit, &format!("{words:?} are said"), || {
            let said = self.stderr_so_far();
            words.iter().all(|word| said.contains(word))
        });
    }

    #[track_caller]
    fn finish_within(mut self, limit: Duration) -> Outcome {
        let mut status = None;
        wait_at_most(limit, "the program ends", || {
            status = self.status();
            status.is_some()
        });
        let code = status.and_then(|status| status.code());
        let [stdout, stderr] = [self.stdout.take(), self.stderr.take()]
            .map(|gathered| gathered.map(Gathered::all).unwrap_or_default());
        Outcome { code, stdout, stderr }
    }

    /// Sends it a signal: `CONT`, `HUP`, `INT`, `STOP`, `TERM`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let order = format!("kill -{name} {}", self.child.id());
        let done = Command::new("sh").args(["-c", &order]).status().expect("a shell");
        assert!(done.success(), "{order}");
    }

    /// Waits until signals are orders and not its end.
    #[track_caller]
    pub(crate) fn wait_until_it_watches_for_signals(&self) {
        let path = format!("/proc/{}/status", self.child.id());
        let term = 1 << (rustix::process::Signal::TERM.as_raw() - 1);
        wait_until("it watches for signals", || {
            let status = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(!status.contains("(zombie)"), "it has ended");
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            caught.is_some_and(|mask| {
                u64::from_str_radix(mask.trim(), 16).is_ok_and(|m| m & term != 0)
            })
        });
    }

    /// What it needed of memory at its peak, while it runs.
    pub(crate) fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches(" kB").parse().expect("a number"))
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is our child");
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.status().is_some()
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits until it has said what `read` looks for on standard error.
    #[track_caller]
    pub(crate) fn wait_to_read<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> T {
        let mut found = None;
        wait_until("the program says what it has to say", || {
            let said = self.stderr_so_far();
            found = read(&said);
            assert!(found.is_some() || self.status().is_none(), "it ended: {said}");
            found.is_some()
        });
        found.expect("waited for")
    }

    /// What it has written to standard error.
    pub(crate) fn stderr_so_far(&self) -> String {
        self.stderr.as_ref().map(Gathered::so_far).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a listener of a test listens.
pub(crate) const LISTEN: [&str; 5] = ["--open", "--bind", "127.0.0.1", "--port", "0"];

/// What a receiver is started with.
pub(crate) const RECEIVE: [&str; 7] = ["recv", ".", "--open", "--bind", "127.0.0.1", "--port", "0"];

/// `volley recv` or `volley share` at work. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) running: Running,
    /// What to give to `volley send` or `volley get`.
    pub(crate) address: String,
}

impl Receiver {
    pub(crate) fn start(directory: &Path, options: &[&str]) -> Self {
        Self::listen(Running::start(directory, &[&RECEIVE, options].concat()))
    }

    /// Waits until `running`, started with [`RECEIVE`], listens.
    pub(crate) fn listen(mut running: Running) -> Self {
        let address = running.wait_to_read(address_in);
        Self { running, address }
    }

    /// Waits until it has said `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        wait_until(text, || self.running.stderr_so_far().contains(text));
    }

    /// Waits for its end, which something else brings about.
    #[track_caller]
    pub(crate) fn finish(self) -> Outcome {
        self.running.finish()
    }

    /// Waits for its end, which must come because it hears that its peer is done.
    #[track_caller]
    pub(crate) fn finish_by_farewell(self) -> Outcome {
        self.running.finish_before_silence()
    }

    /// Ends it as Ctrl-C does, and waits until it has ended.
    #[track_caller]
    pub(crate) fn stop(self) -> Outcome {
        self.running.signal("INT");
        self.finish().expect_code(130)
    }
}

/// The address in the command that the greeting says to type, once its last digit is certain.
fn address_in(greeting: &str) -> Option<String> {
    let start = greeting.find("127.0.0.1:")?;
    let rest = &greeting[start..];
    Some(rest[..rest.find(' ')?].to_owned())
}

/// The tool is there and may do what it is needed for; says so where it is not.
pub(crate) fn can(tool: &[&str]) -> bool {
    let mut command = Command::new(tool[0]);
    let tried = command.args(&tool[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        note(&format!("skipped: this machine does not let {tool:?} run"));
    }
    can
}

/// Starts the program as somebody who may not do everything; `None` where that cannot be had.
pub(crate) fn start_as_ordinary_user(directory: &Path, arguments: &[&str]) -> Option<Running> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if !is_root {
        return Some(Running::start(directory, arguments));
    }
    let can = can(&[&nobody[..], &[PROGRAM, "--version"]].concat());
    can.then(|| Running::start_in(&nobody, directory, arguments))
}
