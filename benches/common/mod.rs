//! What benchmarks of whole transfers share: the program as a user starts it, and a look at its memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// A number from the environment.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Where files cost no disk, if there is such a place.
pub(crate) fn default_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// A file of `size` bytes without holes.
pub(crate) fn write_file(path: &Path, size: u64) {
    let block: Vec<u8> =
        (0..1u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut file = std::fs::File::create(path).expect("writable");
    let mut left = size;
    while left > 0 {
        let len = left.min(block.len() as u64);
        file.write_all(&block[..usize::try_from(len).expect("a block")]).expect("space");
        left -= len;
    }
}

/// Sends `source` to a receiver in `inbox`: how long the sender took, and the largest memory of sender
/// and receiver in MiB.
pub(crate) fn transfer(source: &Path, inbox: &Path, options: &[&str]) -> (Duration, [u64; 2]) {
    let receiver = Receiver::start(inbox);
    let start = Instant::now();
    let mut sender = receiver.start_sender(source, options);
    let memory = watch_memory(&mut sender, &receiver.process);
    let elapsed = start.elapsed();
    receiver.finish();
    (elapsed, memory)
}

/// A receiver of one transfer that waits on loopback.
pub(crate) struct Receiver {
    pub(crate) process: Child,
    words: BufReader<ChildStderr>,
    address: String,
}

impl Receiver {
    /// Receives into `inbox`.
    pub(crate) fn start(inbox: &Path) -> Self {
        let mut process = volley()
            .args(["recv", "--open", "--once", "--bind", "127.0.0.1:0"])
            .arg(inbox)
            .stderr(Stdio::piped())
            .spawn()
            .expect("volley was built");
        let mut words = BufReader::new(process.stderr.take().expect("piped"));
        let address = listening_address(&mut words);
        Self { process, words, address }
    }

    /// Begins to send it `source`.
    pub(crate) fn start_sender(&self, source: &Path, options: &[&str]) -> Child {
        volley()
            .arg("send")
            .arg(source)
            .args([&self.address, "--open", "-q"])
            .args(options)
            .spawn()
            .expect("volley was built")
    }

    /// Waits until it has ended, and sees that all came.
    pub(crate) fn finish(mut self) {
        let _ = self.words.read_to_end(&mut Vec::new());
        assert!(self.process.wait().expect("a child").success(), "the receiver failed");
    }
}

/// The program, without the flags that the environment of this benchmark may hold.
pub(crate) fn volley() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volley"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"VOLLEY_") {
            command.env_remove(name);
        }
    }
    command
}

/// The address in the line that says what to type.
fn listening_address(words: &mut impl BufRead) -> String {
    let lines = words.lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.contains("volley send ")).expect("a greeting");
    line.split_whitespace().nth(3).expect("an address").to_owned()
}

/// Waits for the sender; the largest memory of both meanwhile, in MiB.
fn watch_memory(sender: &mut Child, receiver: &Child) -> [u64; 2] {
    let mut most = [0; 2];
    loop {
        let ended = sender.try_wait().expect("a child");
        for (most, process) in most.iter_mut().zip([sender.id(), receiver.id()]) {
            *most = peak_memory(process).unwrap_or(0).max(*most);
        }
        if let Some(status) = ended {
            assert!(status.success(), "the sender failed");
            return most;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What Linux calls the high water mark of a process's resident memory, in MiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024)
}
