//! The program, listening.

use super::common::volley;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

pub(crate) struct Listener {
    process: Child,
    /// Held, so that what it says has somewhere to go.
    _words: BufReader<ChildStderr>,
    pub(crate) address: String,
}

impl Listener {
    /// Starts it with that command, for a file or a directory.
    pub(crate) fn start(command: &str, path: &Path) -> Self {
        let mut process = volley()
            .args([command, "--open", "--bind", "127.0.0.1:0"])
            .arg(path)
            .stderr(Stdio::piped())
            .spawn()
            .expect("volley was built");
        let mut words = BufReader::new(process.stderr.take().expect("piped"));
        let lines = words.by_ref().lines().map_while(Result::ok);
        let address = |line: String| {
            let mut words = line.split_whitespace().map(str::to_owned);
            words.find(|word| word.parse::<SocketAddr>().is_ok())
        };
        let address = lines.into_iter().find_map(address).expect("a greeting");
        Self { process, _words: words, address }
    }

    /// Processor time that all its threads have taken, as Linux tells it.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.unwrap_or_default();
        // Behind the name, which may hold anything: user and system time, in hundredths of a second.
        let fields = stat.rsplit(") ").next().into_iter().flat_map(str::split_whitespace);
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
