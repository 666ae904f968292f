//! A whole transfer, on either side of the file, with real files.

use super::input::Input;
use super::peer::{Peer, Side, config, parameters};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use volley::base::ecn::Ecn;
use volley::base::time::Instant;
use volley::transfer::directory::Directory;
use volley::transfer::keeping::Keeping;
use volley::transfer::name::PARTIAL_AREA;
use volley::transfer::outcome::{Failure, Reason};
use volley::transfer::receiver::Receiving;
use volley::transfer::sender::Sending;
use volley::transfer::session::Session;
use volley::transfer::sink::{Sink, SinkPolicy};
use volley::transfer::source::Source;
use volley::transfer::walk::Selection;
use volley::transport::batch::Batch;
use volley::transport::{Connection, PathId};
use volley::wire::handshake::{Hello, Role, Suite, VERSION};
use volley::wire::header::ConnectionId;

/// A file that the receiver had before the transfer.
const MINE: &str = "mine";

/// Jobs of one turn.
const JOBS_MAX: usize = 1 << 16;

/// Any packets in any order to a receiving session.
pub(crate) fn receiver(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (config, how) = (config(input.u8()), input.u8());
    let hello = Hello {
        connection_id: ConnectionId(1),
        versions: vec![VERSION],
        suite: Suite::Open,
        role: Role::Sender,
        parameters: parameters(&mut input),
        cookie: Vec::new(),
    };
    let root = tempfile::tempdir().expect("room for temporary files");
    let target = root.path().join("target");
    fs::create_dir(&target).expect("room for temporary files");
    fs::write(target.join(MINE), "mine").expect("room for temporary files");
    let directory = Directory::open(&target).expect("it is empty");
    let keeping = Keeping { discards: how & 4 != 0, ..Keeping::default() };
    let policy = SinkPolicy { keeping, can_repeat: how & 1 == 0, ..SinkPolicy::default() };
    let connection = Connection::respond(Instant::ZERO, config, ConnectionId(2), &hello, 0);
    let mut owner = Owner {
        session: Session::receiving(connection, Receiving::new(how & 2 == 0)),
        sink: Some(Sink::new(Arc::new(directory), policy, 1)),
        source: None,
        is_stalled: false,
    };
    Peer::new(&[]).torment(&mut owner, &mut input);
    drop(owner);
    expect_confined(root.path(), &target);
}

/// Whatever the peer did: nothing lies outside of the directory, what was there is as it was, and
/// what is there beside it was committed.
fn expect_confined(root: &Path, target: &Path) {
    assert_eq!(fs::read_dir(root).expect("it can be listed").count(), 1, "outside");
    assert_eq!(fs::read(target.join(MINE)).expect("it is there"), b"mine");
    expect_only_committed(target);
}

fn expect_only_committed(target: &Path) {
    for entry in fs::read_dir(target).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        if entry.file_name() == PARTIAL_AREA {
            expect_only_unfinished(&entry.path());
            continue;
        }
        let kind = entry.file_type().expect("it is there");
        if kind.is_symlink() {
            let says = fs::read_link(entry.path()).expect("it is there");
            assert!(says.is_relative(), "{says:?}");
            continue;
        }
        if kind.is_dir() && entry.file_name() == PARTIAL_AREA {
            expect_only_unfinished(&entry.path());
            continue;
        }
        if kind.is_dir() {
            expect_only_committed(&entry.path());
            continue;
        }
        assert!(kind.is_file(), "{:?}", entry.file_name());
        let contents = fs::read(entry.path()).expect("it can be read");
        let is_committed = contents.iter().all(|byte| *byte == 0);
        assert!(entry.file_name() == MINE || is_committed, "{:?}", entry.file_name());
    }
}

/// What a later transfer can go on with, and no more.
fn expect_only_unfinished(area: &Path) {
    for entry in fs::read_dir(area).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let other = match path.extension().and_then(|end| end.to_str()) {
            Some("part") => "journal",
            Some("journal") => "part",
            Some("made") => continue,
            _ => panic!("{path:?} is left"),
        };
        assert!(path.with_extension(other).is_file(), "{path:?} is left alone");
    }
}

/// Any packets in any order to a sending session.
pub(crate) fn sender(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (config, how) = (config(input.u8()), input.u8());
    let root = tempfile::tempdir().expect("room for temporary files");
    let sizes = [
        ("empty", 0),
        ("short", 5_000),
        ("longer than the first flight", 100_000),
        ("of two groups", (1 << 20) + 5_000),
    ];
    let paths = sizes.map(|(name, size)| {
        let path = root.path().join(name);
        fs::write(&path, vec![0; size]).expect("room for temporary files");
        path
    });
    let selection = Selection { paths: paths.to_vec(), ..Selection::default() };
    let sending = match how & 2 {
        0 => Sending::new(&selection),
        _ => Sending::planning(&selection),
    };
    let connection = Connection::initiate(Instant::ZERO, config, ConnectionId(1), Role::Sender);
    let session = Session::sending(connection, sending);
    let source = Some(Source::new(&selection));
    let mut owner = Owner { session, sink: None, source, is_stalled: false };
    let mut peer = Peer::new(&sizes.map(|(_, size)| size as u64));
    if how & 1 == 0 {
        peer.welcome(&mut owner, parameters(&mut input));
    }
    peer.torment(&mut owner, &mut input);
}

struct Owner {
    session: Session,
    /// Only who receives has one.
    sink: Option<Sink>,
    /// Only who sends has one.
    source: Option<Source>,
    /// The disk is busy.
    is_stalled: bool,
}

impl Owner {
    /// Has the source do what it is told; false if that was nothing.
    fn read(&mut self, now: Instant) -> bool {
        let Some(source) = self.source.as_mut().filter(|_| !self.is_stalled) else {
            return false;
        };
        let mut jobs = 0;
        while let Some(job) = self.session.next_source_job() {
            let reports = source.run(job);
            self.session.on_source_reports(now, reports);
            jobs += 1;
            assert!(jobs < JOBS_MAX, "it does not stop finding work");
        }
        let reports = source.rest();
        self.session.on_source_reports(now, reports);
        jobs > 0
    }
}

impl Side for Owner {
    fn handle_datagram(&mut self, now: Instant, path: PathId, ecn: Ecn, datagram: &[u8]) {
        self.session.handle_datagram(now, path, ecn, datagram);
    }

    fn paths(&self) -> [PathId; 2] {
        let (path, other) = self.session.paths();
        [path, other.unwrap_or(path)]
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) -> bool {
        while !self.session.poll_transmit(now, batch) {
            if !self.read(now) {
                return false;
            }
        }
        true
    }

    fn act(&mut self, now: Instant, input: &mut Input<'_>) {
        match input.u8() {
            0xff => self.session.abort(now, Failure::new(Reason::User, "interrupted")),
            _ => self.is_stalled = !self.is_stalled,
        }
    }

    fn turn(&mut self, now: Instant) {
        let progress = self.session.progress();
        assert!(progress.done <= progress.total, "{progress:?}");
        self.session.take_trace();
        self.read(now);
        let mut jobs = 0;
        let Some(sink) = self.sink.as_mut().filter(|_| !self.is_stalled) else {
            return;
        };
        while let Some(job) = self.session.next_job(now) {
            for report in sink.run(job) {
                self.session.on_report(now, report);
            }
            jobs += 1;
            assert!(jobs < JOBS_MAX, "it does not stop finding work");
        }
        for report in sink.rest() {
            self.session.on_report(now, report);
        }
    }

    fn is_over(&self) -> bool {
        self.session.is_over()
    }
}
