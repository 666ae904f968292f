//! Where words go: standard error for people, standard output for programs. A closed stream is no
//! reason to fail, and one that nobody reads is no reason to stand still: each has a queue (`OutputQueue`).

use super::bars::{self, Bar};
use super::queue::{OutputQueue, WAITING_MAX, Worth};
use super::terminal::{Screen, Word};
use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::net::Interrupt;
use crate::transfer::outcome::{Failure, Reason};
use indicatif::MultiProgress;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// At the end, a reader that takes nothing for this long is not waited for any more;
const PATIENCE: Duration = Duration::from_secs(2);

/// where the end was ordered, or the other stream was waited for in vain, this long.
const HURRY: Duration = Duration::from_millis(500);

/// A stream was waited for in vain.
static IN_VAIN: AtomicBool = AtomicBool::new(false);

/// The queues of both streams. They are the process's own, and so is this.
static STREAMS: OnceLock<Streams> = OnceLock::new();

/// What orders the end.
static ORDER: OnceLock<Interrupt> = OnceLock::new();

#[derive(Debug)]
struct Streams {
    err: OutputQueue<Word>,
    /// The same queue, where both streams are one terminal, pipe or file: what goes there stays in order.
    out: OutputQueue<Word>,
}

impl Streams {
    fn get() -> &'static Self {
        STREAMS.get_or_init(|| {
            let mut screen = Screen::default();
            let show = Box::new(move |word, dropped| screen.show(word, dropped));
            let err = start(Stream(io::stderr()), show);
            if is_same(io::stderr(), io::stdout()) {
                return Self { out: err.clone(), err };
            }
            let out = start(stdout(), results(err.clone()));
            Self { err, out }
        })
    }
}

/// Starts to write to `stream`. Without a thread to spare nothing is said, and the exit code remains.
fn start<S: AsFd + Send + 'static>(stream: Stream<S>, show: Show) -> OutputQueue<Word> {
    let started = OutputQueue::start(move || Ok(stream), WAITING_MAX, show);
    started.unwrap_or_else(OutputQueue::closed)
}

/// How a word is shown.
type Show = Box<dyn FnMut(Word, u64) -> String + Send>;

/// Results as they are; how many had no room is for people to know.
fn results(err: OutputQueue<Word>) -> Show {
    let mut missing = 0;
    Box::new(move |word, dropped| {
        if dropped > missing {
            let text = format!(
                "{} results that nobody took from standard output are left out\n",
                dropped - missing
            );
            missing = dropped;
            put(&err, text);
        }
        match word {
            Word::Last(text) | Word::Text(text) => text,
            Word::Bars(_) => String::new(),
        }
    })
}

fn put(queue: &OutputQueue<Word>, text: String) {
    let size = text.len();
    queue.put(Word::Text(text), size, Worth::Result);
}

/// A stream of this process, written without a buffer or a lock that somebody else could hold.
#[derive(Debug)]
pub(super) struct Stream<S>(S);

/// Standard output.
pub(super) fn stdout() -> Stream<io::Stdout> {
    Stream(io::stdout())
}

impl<S: AsFd> AsFd for Stream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: AsFd> Write for Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let [one, other] = [one.as_fd(), other.as_fd()].map(rustix::fs::fstat);
    let facts = one.ok().zip(other.ok());
    facts.is_some_and(|(one, other)| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// From now on, output is waited for until `order` says that all is to end.
pub(super) fn obey(order: &Interrupt) {
    let _ = ORDER.set(order.clone());
}

/// Why all is to end, if it is.
pub(super) fn order() -> Option<Failure> {
    ORDER.get().and_then(Interrupt::failure)
}

/// Whether all is to end.
pub(super) fn is_ordered_to_end() -> bool {
    ORDER.get().is_some_and(|order| order.get().is_some())
}

/// Has words of a panic go the way of all others, so that the thread where it is does not wait.
pub(super) fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        put(&Streams::get().err, format!("thread {name}: {info}\n"));
        if name == "main" {
            finish();
        }
    }));
}

/// At the end, a reader that takes nothing for this long is not waited for any more.
pub(super) fn patience() -> Duration {
    if is_ordered_to_end() || IN_VAIN.load(Ordering::Relaxed) { HURRY } else { PATIENCE }
}

/// Says that standard output was waited for in vain. The other stream is not waited for as long then.
pub(super) fn tell_unread() {
    IN_VAIN.store(true, Ordering::Relaxed);
    let text = "nobody reads standard output: the last results were not written\n";
    put(&Streams::get().err, text.into());
}

/// The end of the program: waits until all is written, as long as somebody takes it.
pub(super) fn finish() {
    let Some(Streams { err, out }) = STREAMS.get() else { return };
    // No bar is left, whoever still has one.
    err.put(Word::Last(String::new()), 0, Worth::Result);
    if out.flush(patience()).is_err_and(|error| error.kind() == ErrorKind::TimedOut) {
        tell_unread();
    }
    let _ = err.flush(patience());
}

/// The end of the program at once: `text` is written if that takes no time.
pub(super) fn finish_at_once(text: &str) {
    let err = &Streams::get().err;
    err.put(Word::Last(format!("{text}\n")), text.len(), Worth::Result);
    let _ = err.flush(HURRY / 2);
}

/// Why there is no queue for a stream.
pub(super) fn no_thread(error: &io::Error) -> Failure {
    Failure::new(Reason::Other, format!("cannot start a thread: {}", show_error(error)))
}

/// Writes lines, above bars where there are some.
#[derive(Clone, Debug)]
pub struct Console {
    bars: MultiProgress,
    is_quiet: bool,
    is_terminal: bool,
    has_bars: bool,
}

impl Console {
    /// A console that says everything and draws bars on a terminal, or neither if `is_quiet`.
    #[must_use]
    pub fn new(is_quiet: bool) -> Self {
        // A terminal that calls itself dumb cannot move its cursor.
        let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        let plain = Self::without_bars(is_quiet);
        if !plain.is_terminal || is_dumb || is_quiet {
            return plain;
        }
        Self { bars: bars::on(Streams::get().err.clone()), has_bars: true, ..plain }
    }

    /// A console without bars.
    #[must_use]
    pub fn plain() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { bars: bars::nowhere(), is_quiet: false, is_terminal, has_bars: false }
    }

    /// A console without bars, that says everything unless `is_quiet`.
    #[must_use]
    pub fn without_bars(is_quiet: bool) -> Self {
        Self { is_quiet, ..Self::plain() }
    }

    /// A bar below the others, which is empty so far.
    #[must_use]
    pub fn bar(&self) -> Bar {
        Bar::below(&self.bars)
    }

    /// Whether bars are seen by anybody.
    #[must_use]
    pub fn draws(&self) -> bool {
        self.has_bars
    }

    /// Whether only errors are to be said.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Tells a person something, unless quiet.
    pub fn tell(&self, text: &str) {
        if !self.is_quiet {
            self.say(text);
        }
    }

    /// Tells a person something that must be said.
    pub fn say(&self, text: &str) {
        // Over the `^C` that a terminal may have put there.
        let start = if self.is_terminal { "\r" } else { "" };
        put(&Streams::get().err, format!("{start}{text}\n"));
    }

    /// Writes a line for programs, if somebody takes it: what goes on meanwhile is not held up.
    pub fn result(&self, line: &str) {
        put(&Streams::get().out, format!("{line}\n"));
    }

    /// Writes what the command is for, and waits until it is read. A closed stream is no reason to fail.
    ///
    /// # Errors
    /// The end was ordered first.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let out = &Streams::get().out;
        let line = format!("{text}\n");
        let size = line.len();
        let put = out.put_patiently(Word::Text(line), size, is_ordered_to_end);
        let written = put.and_then(|()| out.flush_unless(is_ordered_to_end));
        let is_unread = written.is_err_and(|error| error.kind() == ErrorKind::TimedOut);
        order().filter(|_| is_unread).map_or(Ok(()), Err)
    }

    /// Waits until all that was said is written, as long as somebody takes it: somebody else will write there.
    pub fn settle(&self) {
        let _ = Streams::get().err.flush(HURRY);
    }
}
