//! How much of transfers that were cut off waits in the area: anybody who sends can leave something there.

use super::sweep::{is_recent, now_of};
use super::{Area, DATA, JOURNAL, LIST, Partial, lockable};
use crate::transfer::disk::OpenedFile;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::TryLockError;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Unfinished files, at most, but for those that are in use.
const UNFINISHED_MAX: usize = 256;

/// Lists of directories, at most, but for those that are in use.
const LISTS_MAX: usize = 64;

/// What a transfer can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) enum Kind {
    /// A list of directories.
    List,
    /// A file to go on with.
    Unfinished,
}

/// All of a kind that is in the area, and from where it came as far as this program has seen.
#[derive(Debug)]
pub(in crate::transfer) struct Leftovers {
    kind: Kind,
    origins: Mutex<HashMap<String, IpAddr>>,
}

#[derive(Debug)]
struct Leftover {
    stem: String,
    written: SystemTime,
}

/// What is there of one origin.
#[derive(Debug, Default)]
struct Share {
    count: usize,
    /// What nobody in this program has in use, the oldest first.
    idle: VecDeque<Leftover>,
}

impl Kind {
    fn max(self) -> usize {
        match self {
            Self::List => LISTS_MAX,
            Self::Unfinished => UNFINISHED_MAX,
        }
    }

    /// What the name ends with of the file that is locked, and of that which is written to.
    fn ends(self) -> (&'static str, &'static str) {
        match self {
            Self::List => (LIST, LIST),
            Self::Unfinished => (DATA, JOURNAL),
        }
    }

    fn all(self, area: &Area) -> io::Result<Vec<Leftover>> {
        let (locked, written) = self.ends();
        let mut all = Vec::new();
        for stem in area.stems(locked)? {
            let time = match area.modified(&format!("{stem}{written}"))? {
                None => area.modified(&format!("{stem}{locked}"))?,
                time => time,
            };
            all.extend(time.map(|written| Leftover { stem, written }));
        }
        Ok(all)
    }

    /// Removes it, unless somebody has it in use. Says whether it is gone.
    fn remove(self, area: &Arc<Area>, stem: &str) -> io::Result<bool> {
        let (locked, written) = self.ends();
        let main = Partial::named(area, format!("{stem}{locked}"));
        let opened = match there(main.open()) {
            Ok(None) => return Ok(true),
            Ok(Some(opened)) => opened,
            // What we may not even open is not ours to take away.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
            Err(error) => return Err(error),
        };
        if !lock(&opened)? {
            return Ok(false);
        }
        main.discard();
        if written != locked {
            Partial::named(area, format!("{stem}{written}")).discard();
        }
        Ok(true)
    }
}

impl Leftovers {
    pub(in crate::transfer) fn new(kind: Kind) -> Self {
        Self { kind, origins: Mutex::default() }
    }

    /// Makes room for a `new` one that comes from there: what `is_useless` goes, and what nobody went on with in
    /// all the time; beyond the bound the oldest of the origin that has most. What is in use stays, as this
    /// program knows (`is_held`) or a lock says.
    ///
    /// # Errors
    /// As the system says.
    pub(in crate::transfer) fn make_room(
        &self,
        area: &Arc<Area>,
        new: (&str, Option<IpAddr>),
        is_useless: impl Fn(&str) -> bool,
        is_held: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let now = now_of(&lockable(&area.dir)?)?;
        let mut kept = Vec::new();
        for leftover in self.kind.all(area)? {
            let is_over = is_useless(&leftover.stem) || !is_recent(leftover.written, now);
            let can_go = is_over && !is_held(&leftover.stem);
            if !can_go || !self.kind.remove(area, &leftover.stem)? {
                kept.push(leftover);
            }
        }
        let mut count = kept.len();
        let mut shares = self.share(kept, new, is_held);
        while count >= self.kind.max() {
            let shares = shares.values_mut().filter(|share| !share.idle.is_empty());
            let most = shares.max_by_key(|share| (share.count, Reverse(share.idle[0].written)));
            // All others are in use, and no more than the transfers under way can have.
            let Some(most) = most else { break };
            let oldest = most.idle.pop_front().expect("it is not empty");
            if self.kind.remove(area, &oldest.stem)? {
                most.count -= 1;
                count -= 1;
            }
        }
        Ok(())
    }

    /// What is there, by its origins, with the new one counted. What is not there is forgotten.
    fn share(
        &self,
        mut kept: Vec<Leftover>,
        (new, origin): (&str, Option<IpAddr>),
        is_held: impl Fn(&str) -> bool,
    ) -> BTreeMap<Option<IpAddr>, Share> {
        kept.sort_by_key(|leftover| leftover.written);
        let mut shares = BTreeMap::<_, Share>::new();
        shares.entry(origin).or_default().count += 1;
        let mut known: HashMap<String, IpAddr> =
            origin.map(|at| (new.to_owned(), at)).into_iter().collect();
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        for leftover in kept {
            let entry = origins.remove_entry(&leftover.stem);
            let share = shares.entry(entry.as_ref().map(|(_, origin)| *origin)).or_default();
            known.extend(entry);
            share.count += 1;
            if !is_held(&leftover.stem) {
                share.idle.push_back(leftover);
            }
        }
        *origins = known;
        shares
    }
}

/// Keeps others from the file, for as long as it is open; false if somebody has it.
///
/// # Errors
/// As the system says.
pub(in crate::transfer) fn lock(opened: &OpenedFile) -> io::Result<bool> {
    match opened.file().try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // Not every file system has locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What was found, if it is there.
///
/// # Errors
/// As the system says.
pub(in crate::transfer) fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::transfer::disk::Disk;
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;
    use std::fs::File;
    use std::path::PathBuf;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    struct Bench {
        temp: tempfile::TempDir,
        area: Arc<Area>,
        leftovers: Leftovers,
    }

    impl Bench {
        fn new(kind: Kind) -> Self {
            let temp = tempfile::tempdir().expect("room");
            let dir = Dir::open_ambient_dir(temp.path(), ambient_authority()).expect("there");
            let area = Arc::new(Area::enter(&dir, &Disk::default()).expect("writable"));
            Self { temp, area, leftovers: Leftovers::new(kind) }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.temp.path().join(crate::transfer::name::PARTIAL_AREA).join(name)
        }

        /// One more, which was written so many seconds ago; what it holds locked while it is kept.
        fn add(&self, stem: &str, origin: Option<u8>, age: Duration) -> OpenedFile {
            let origin = origin.map(|last| IpAddr::from([192, 0, 2, last]));
            let room = self.leftovers.make_room(&self.area, (stem, origin), |_| false, |_| false);
            room.expect("there is some");
            let now = now_of(&lockable(&self.area.dir).expect("open")).expect("known");
            let (locked, written) = self.leftovers.kind.ends();
            for end in [locked, written] {
                let file = File::create(self.path(&format!("{stem}{end}"))).expect("room");
                file.set_modified(now - age).expect("ours");
            }
            let opened = Partial::named(&self.area, format!("{stem}{locked}")).open();
            let opened = opened.expect("just made");
            assert!(lock(&opened).expect("locks"));
            opened
        }

        fn has(&self, stem: &str) -> bool {
            let (locked, written) = self.leftovers.kind.ends();
            let [first, second] =
                [locked, written].map(|end| self.path(&format!("{stem}{end}")).exists());
            assert_eq!(first, second, "{stem}: both halves go");
            first
        }

        fn count(&self) -> usize {
            self.leftovers.kind.all(&self.area).expect("readable").len()
        }
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes_of_who_left_most() {
        for kind in [Kind::List, Kind::Unfinished] {
            let bench = Bench::new(kind);
            let max = kind.max();
            drop(bench.add("modest", Some(1), DAY * 2));
            for number in 1..max {
                let age = Duration::from_secs(10_000 - number as u64);
                drop(bench.add(&format!("greedy-{number}"), Some(2), age));
            }
            assert_eq!(bench.count(), max);
            for number in 1..=9 {
                drop(bench.add(&format!("more-{number}"), Some(2), Duration::ZERO));
                assert_eq!(bench.count(), max);
                assert!(!bench.has(&format!("greedy-{number}")), "{number}: the oldest");
                assert!(bench.has(&format!("greedy-{}", number + 1)), "{number}: only that one");
            }
            drop(bench.add("another", Some(1), Duration::ZERO));
            assert!(!bench.has("greedy-10") && bench.has("modest"), "nobody else's");
        }
    }

    #[test]
    fn what_is_in_use_stays_and_the_newcomer_gets_in() {
        let bench = Bench::new(Kind::List);
        let mut held: Vec<_> =
            (0..LISTS_MAX + 3).map(|at| bench.add(&at.to_string(), None, DAY)).collect();
        assert_eq!(bench.count(), held.len());
        held.drain(..10);
        drop(bench.add("next", Some(1), Duration::ZERO));
        assert_eq!(bench.count(), LISTS_MAX);
        assert!(!bench.has("0") && !bench.has("3") && bench.has("4") && bench.has("10"));
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_stands_in_nobodys_way() {
        for kind in [Kind::List, Kind::Unfinished] {
            let bench = Bench::new(kind);
            let (locked, _) = kind.ends();
            std::fs::create_dir(bench.path(&format!("directory{locked}"))).expect("room");
            for target in ["nowhere", "../outside", "directory"] {
                let link = bench.path(&format!("to-{}{locked}", target.replace('/', "-")));
                std::os::unix::fs::symlink(target, link).expect("room");
            }
            let room = bench.leftovers.make_room(&bench.area, ("new", None), |_| true, |_| false);
            room.expect("nothing of that is a leftover");
            assert_eq!(bench.count(), 0);
            assert!(bench.path(&format!("directory{locked}")).exists());
        }
    }

    #[test]
    fn what_has_waited_for_too_long_goes_when_another_comes() {
        let bench = Bench::new(Kind::Unfinished);
        let held = bench.add("held", None, DAY * 8);
        drop(bench.add("young", None, DAY * 6));
        drop(bench.add("old", None, DAY * 8));
        assert!(bench.has("old"));
        drop(bench.add("new", None, Duration::ZERO));
        assert!(bench.has("held") && !bench.has("old") && bench.has("young"));
        drop(held);
    }
}
