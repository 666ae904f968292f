//! What is to be written to a stream: a queue with a bound, and a thread that writes it.
//!
//! Whoever puts something in waits for nobody, unless it asks to ([`OutputQueue::put_patiently`]). So a
//! terminal that is held, a pipe that is full or a program that stands still holds up its own output and
//! nothing else.

use crate::base::time::{Duration, Instant};
use crate::os::clock::Clock;
use crate::os::wait::Waiter;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Bytes that may wait for a stream, unless it is said otherwise.
pub(super) const WAITING_MAX: usize = 8 << 20;

/// Bytes of results that may wait beyond that.
const RESERVE: usize = 1 << 20;

/// Bytes written at a time: a pipe that has room takes that many at once (PIPE_BUF in pipe(7)), and whoever
/// takes them slowly is seen to.
const PIECE: usize = 4096;

/// Bytes taken out of the queue at a time.
const BATCH: usize = 32 << 10;

/// Between two looks at whether there is a reason to wait no longer.
const LOOK: Duration = Duration::from_millis(50);

/// Between two items that only the latest counts of.
const REFRESH: Duration = Duration::from_millis(50);

/// How much an item matters where there is little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It goes first.
    Passing,
    /// It goes when even the reserve is used up.
    Result,
}

#[derive(Debug)]
struct State<T> {
    /// What is to be written, with its size.
    queue: VecDeque<(T, usize)>,
    /// Bytes in it.
    waiting: usize,
    /// Takes the place of what it finds here.
    latest: Option<T>,
    /// Items for which there was no room.
    dropped: u64,
    /// Bytes that the stream took.
    written: u64,
    /// The thread has something in hand.
    is_writing: bool,
    /// Why nothing is written any more.
    error: Option<io::Error>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    bound: usize,
}

/// The way to the thread that writes.
#[derive(Debug)]
pub(super) struct OutputQueue<T> {
    shared: Arc<Shared<T>>,
    clock: Clock,
}

impl<T> Clone for OutputQueue<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), clock: self.clock }
    }
}

impl<T: Send + 'static> OutputQueue<T> {
    /// Starts to write to what `open` opens: what `bytes_of` makes of each item, which is told how many items
    /// have been dropped so far. `bound` is how many bytes may wait.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub(super) fn start<W: Write + AsFd, B: AsRef<[u8]>>(
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
        bound: usize,
        bytes_of: impl FnMut(T, u64) -> B + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::new(bound, None);
        let theirs = queue.clone();
        std::thread::Builder::new().name("output".into()).spawn(move || {
            let error = match open() {
                Ok(out) => theirs.write(out, bytes_of),
                Err(error) => error,
            };
            let mut state = theirs.lock();
            (state.queue, state.latest, state.waiting) = (VecDeque::new(), None, 0);
            (state.is_writing, state.error) = (false, Some(error));
            drop(state);
            theirs.shared.changed.notify_all();
        })?;
        Ok(queue)
    }

    /// One that takes everything and writes nothing, for that reason.
    pub(super) fn closed(error: io::Error) -> Self {
        Self::new(0, Some(error))
    }

    fn new(bound: usize, error: Option<io::Error>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            waiting: 0,
            latest: None,
            dropped: 0,
            written: 0,
            is_writing: false,
            error,
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), bound };
        Self { shared: Arc::new(shared), clock: Clock::start() }
    }

    /// Has an item of `size` bytes written, if there is room for it.
    pub(super) fn put(&self, item: T, size: usize, worth: Worth) {
        self.put_all([(item, size)], worth);
    }

    /// Has items written, each with its size, as far as there is room for them.
    pub(super) fn put_all(&self, items: impl IntoIterator<Item = (T, usize)>, worth: Worth) {
        let bound = self.shared.bound + if worth == Worth::Result { RESERVE } else { 0 };
        let mut state = self.lock();
        for (item, size) in items {
            // What is larger than all that may wait is written where nothing else waits.
            if state.waiting + size <= bound || state.waiting == 0 {
                state.push(item, size);
            } else {
                state.dropped += 1;
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Has an item of `size` bytes written, and waits for room if there is none, unless `is_over` first.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] then; or as the stream says.
    pub(super) fn put_patiently(
        &self,
        item: T,
        size: usize,
        is_over: impl Fn() -> bool,
    ) -> io::Result<()> {
        let mut state = self.lock();
        while state.error.is_none() && state.waiting >= self.shared.bound {
            if is_over() {
                state.dropped += 1;
                return Err(ErrorKind::TimedOut.into());
            }
            state = self.wait(state, Some(LOOK));
        }
        if let Some(error) = &state.error {
            return Err(copy(error));
        }
        state.push(item, size);
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Has an item written after all others, unless another one comes before it is.
    pub(super) fn replace(&self, item: T) {
        let mut state = self.lock();
        if state.error.is_none() {
            state.latest = Some(item);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Has an item of `size` bytes written in its turn, and none of those that it replaces after it; where there is
    /// no room, after all others.
    pub(super) fn replace_in_turn(&self, item: T, size: usize) {
        let mut state = self.lock();
        state.latest = None;
        if state.waiting + size <= self.shared.bound {
            state.push(item, size);
        } else if state.error.is_none() {
            state.latest = Some(item);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until all is written; no longer than the stream takes nothing for `patience`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] then; or as the stream says.
    pub(super) fn flush(&self, patience: Duration) -> io::Result<()> {
        let mut state = self.lock();
        let (mut before, mut since) = (state.written, self.clock.now());
        while state.error.is_none() && !state.is_idle() {
            let waited = self.clock.now().since(since);
            if state.written != before {
                (before, since) = (state.written, self.clock.now());
            } else if waited >= patience {
                return Err(ErrorKind::TimedOut.into());
            } else {
                state = self.wait(state, Some(patience - waited));
            }
        }
        state.error.as_ref().map_or(Ok(()), |error| Err(copy(error)))
    }

    /// Waits until all is written, or `is_over`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] then; or as the stream says.
    pub(super) fn flush_unless(&self, is_over: impl Fn() -> bool) -> io::Result<()> {
        loop {
            match self.flush(LOOK) {
                Err(error) if error.kind() == ErrorKind::TimedOut && !is_over() => {}
                flushed => return flushed,
            }
        }
    }

    /// Items for which there was no room.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Writes until that fails; says why it did.
    fn write<B: AsRef<[u8]>>(
        &self,
        mut out: impl Write + AsFd,
        mut bytes_of: impl FnMut(T, u64) -> B,
    ) -> io::Error {
        let mut next_latest = Instant::ZERO;
        loop {
            let (items, dropped) = self.next(&mut next_latest);
            let mut bytes = Vec::new();
            for item in items {
                bytes.extend_from_slice(bytes_of(item, dropped).as_ref());
            }
            if let Err(error) = self.write_all(&mut out, &bytes) {
                return error;
            }
        }
    }

    /// What is to be written next; waits for it.
    fn next(&self, next_latest: &mut Instant) -> (Vec<T>, u64) {
        let mut state = self.lock();
        state.is_writing = false;
        self.shared.changed.notify_all();
        loop {
            let wait = next_latest.since(self.clock.now().min(*next_latest));
            if !state.queue.is_empty() || (state.latest.is_some() && wait.is_zero()) {
                break;
            }
            let has_latest = state.latest.is_some();
            state = self.wait(state, has_latest.then_some(wait));
        }
        let (mut items, mut size) = (Vec::new(), 0);
        while size < BATCH
            && let Some((item, len)) = state.queue.pop_front()
        {
            size += len;
            items.push(item);
        }
        state.waiting -= size;
        if state.queue.is_empty()
            && let Some(latest) = state.latest.take()
        {
            items.push(latest);
            *next_latest = self.clock.now() + REFRESH;
        }
        state.is_writing = true;
        let dropped = state.dropped;
        drop(state);
        self.shared.changed.notify_all();
        (items, dropped)
    }

    fn write_all(&self, out: &mut (impl Write + AsFd), mut bytes: &[u8]) -> io::Result<()> {
        /// Nothing else is to be done than to wait.
        const LONG: Duration = Duration::from_secs(3600);
        while !bytes.is_empty() {
            if !Waiter::wait_writable(out, LONG)? {
                continue;
            }
            match out.write(&bytes[..bytes.len().min(PIECE)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    self.lock().written += written as u64;
                    self.shared.changed.notify_all();
                }
                // Somebody else may have made the stream one that does not wait.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State<T>> {
        let changed = &self.shared.changed;
        match limit {
            None => changed.wait(state).expect("nobody panics while holding it"),
            Some(limit) => {
                changed.wait_timeout(state, limit).expect("nobody panics while holding it").0
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.shared.state.lock().expect("nobody panics while holding it")
    }
}

impl<T> State<T> {
    fn push(&mut self, item: T, size: usize) {
        if self.error.is_none() {
            self.waiting += size;
            self.queue.push_back((item, size));
        }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.latest.is_none() && !self.is_writing
    }
}

/// The same error once more.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Read};

    /// A queue of lines of a kibibyte into a pipe, and the pipe's other end.
    fn lines(bound: usize) -> (OutputQueue<u64>, PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let bytes_of = |number, dropped| format!("{number:>7} {dropped:>7}{:>1008}\n", "");
        (OutputQueue::start(|| Ok(writer), bound, bytes_of).expect("a thread"), reader)
    }

    fn put(queue: &OutputQueue<u64>, numbers: std::ops::Range<u64>, worth: Worth) {
        queue.put_all(numbers.map(|number| (number, 1024)), worth);
    }

    /// The lines that come until `last`, with how many had been dropped before each.
    fn read_until(reader: &mut PipeReader, last: u64) -> Vec<(u64, u64)> {
        let mut read = Vec::new();
        while read.last().is_none_or(|(number, _)| *number != last) {
            let mut line = [0; 1024];
            reader.read_exact(&mut line).expect("written");
            let text = std::str::from_utf8(&line).expect("written so");
            let mut words = text.split_whitespace().map(|word| word.parse().expect("a number"));
            read.push((words.next().expect("two"), words.next().expect("two")));
        }
        read
    }

    #[test]
    fn who_reads_nothing_holds_nobody_up_and_what_found_no_room_is_counted() {
        let (queue, mut reader) = lines(1 << 20);
        put(&queue, 0..5_000, Worth::Passing);
        let dropped = queue.dropped();
        assert!(dropped > 3_500, "a mebibyte waits, and a pipe holds some: {dropped}");
        put(&queue, 9_000..9_001, Worth::Result);
        assert_eq!(queue.dropped(), dropped, "it has a reserve");
        put(&queue, 10_000..20_000, Worth::Result);
        let all = queue.dropped();
        assert!(all > dropped + 8_000, "which has a bound: {all}");
        assert!(
            queue.flush(Duration::from_millis(20)).is_err_and(|e| e.kind() == ErrorKind::TimedOut)
        );
        let reading = std::thread::spawn(move || read_until(&mut reader, 30_000));
        queue.put_patiently(30_000, 1024, || false).expect("it reads");
        queue.flush(Duration::MAX).expect("it reads");
        let read = reading.join().expect("it does not panic");
        assert_eq!(read.len() as u64 + all, 5_000 + 1 + 10_000 + 1);
        assert_eq!(read.last(), Some(&(30_000, all)));
    }

    #[test]
    fn only_the_latest_counts_of_what_is_replaced() {
        let (queue, mut reader) = lines(1 << 20);
        put(&queue, 0..200, Worth::Result);
        (1_000..1_500).for_each(|number| queue.replace(number));
        let read = read_until(&mut reader, 1_499);
        assert!(read.len() < 300, "{}", read.len());
        queue.flush(Duration::MAX).expect("it was read");
        queue.replace(2_000);
        queue.replace_in_turn(2_001, 1024);
        put(&queue, 2_002..2_003, Worth::Result);
        let read = read_until(&mut reader, 2_002);
        let last: Vec<u64> = read.iter().rev().map(|(number, _)| *number).take(2).collect();
        assert_eq!(last, [2_002, 2_001]);
    }

    #[test]
    fn who_waits_for_room_can_be_told_not_to() {
        let (queue, reader) = lines(1024);
        // Until the pipe is full, and then the queue.
        while queue.flush(Duration::from_millis(50)).is_ok() {
            queue.put(0, 1024, Worth::Passing);
        }
        while queue.put_patiently(0, 1024, || true).is_ok() {}
        let unread = queue.flush_unless(|| true).expect_err("nobody reads");
        assert_eq!(unread.kind(), ErrorKind::TimedOut);
        drop(reader);
        let kind = |done: io::Result<()>| done.map_err(|error| error.kind());
        assert_eq!(kind(queue.flush(Duration::MAX)), Err(ErrorKind::BrokenPipe));
        assert_eq!(kind(queue.put_patiently(0, 1, || false)), Err(ErrorKind::BrokenPipe));
    }

    #[test]
    fn what_cannot_be_opened_is_told_by_whoever_waits() {
        let open = || Err::<io::PipeWriter, _>(ErrorKind::PermissionDenied.into());
        let queue = OutputQueue::start(open, 1, |text: String, _| text).expect("a thread");
        queue.put("a".into(), 1, Worth::Result);
        let flushed = queue.flush(Duration::MAX).map_err(|error| error.kind());
        assert_eq!(flushed, Err(ErrorKind::PermissionDenied));
    }
}
