//! Files that a later transfer can go on with: their bytes, their journal, and who may write to them.
//!
//! One transfer at a time holds a [`Claim`] on an unfinished file. A later one for the same file takes it
//! over, with all that the earlier one has verified: that one's peer is most likely gone, and only its
//! silence will tell. What loses its claim cannot write any more.

use super::area::leftovers::{Kind, Leftovers, lock, there};
use super::area::{Area, Partial};
use super::disk::OpenedFile;
use super::hash::Hash;
use super::holes::Layout;
use super::journal::{Journal, Key};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What is kept of a file on its way, to go on with later.
#[derive(Debug)]
pub(super) struct Unfinished {
    size: u64,
    data: Partial,
    opened: OpenedFile,
    journal_name: Partial,
    /// There from the beginning on, so that there is room for it when there is none for more bytes.
    journal: Journal,
    /// The names of both are on stable storage.
    is_named: bool,
    /// Groups that are verified and not in the journal.
    unsaved: Vec<(u64, Hash)>,
}

impl Unfinished {
    /// Begins a file of which nothing is there.
    ///
    /// # Errors
    /// Something is there, or as the system says.
    pub(super) fn begin(area: &Arc<Area>, key: Key, size: u64, mode: u16) -> io::Result<Self> {
        area.settle()?;
        let stem = key.stem();
        let data = Partial::data(area, &stem);
        let opened = data.create(mode)?;
        if !lock(&opened)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let journal_name = Partial::journal(area, &stem);
        let journal = begin_journal(&journal_name, key, size)
            .inspect_err(|_| discard(&data, &journal_name))?;
        // One that was in its place is gone for good before a byte is written.
        area.settle()?;
        let (is_named, unsaved) = (false, Vec::new());
        Ok(Self { size, data, opened, journal_name, journal, is_named, unsaved })
    }

    /// What an earlier transfer left of the file; nothing, if it left nothing that is of use, or another
    /// program has it.
    ///
    /// # Errors
    /// As the system says.
    fn find(area: &Arc<Area>, key: Key, size: u64) -> io::Result<Option<Self>> {
        let stem = key.stem();
        let (data, journal_name) = (Partial::data(area, &stem), Partial::journal(area, &stem));
        match there(data.is_file())? {
            None => return Ok(None),
            Some(true) => {}
            // What has its name is of no use, and goes if it can.
            Some(false) => {
                discard(&data, &journal_name);
                return Ok(None);
            }
        }
        let opened = match there(data.open()) {
            // It is somebody else's, and stays.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            opened => opened?,
        };
        let Some(opened) = opened else { return Ok(None) };
        if !lock(&opened)? {
            return Ok(None);
        }
        let journal = match Self::are_ours(&data, &journal_name)? {
            true => there(journal_name.open())?,
            false => None,
        };
        let journal = match journal {
            Some(file) => {
                let len = file.file().metadata()?.len();
                Journal::open(file, len, key, size)?
            }
            None => None,
        };
        let Some(journal) = journal else {
            discard(&data, &journal_name);
            return Ok(None);
        };
        let (is_named, unsaved) = (false, Vec::new());
        Ok(Some(Self { size, data, opened, journal_name, journal, is_named, unsaved }))
    }

    /// Whether both are there, and nobody else can change them.
    fn are_ours(data: &Partial, journal: &Partial) -> io::Result<bool> {
        let [data, journal] = [data, journal].map(|half| there(half.is_ours_alone()));
        Ok(data? == Some(true) && journal? == Some(true))
    }

    /// The file that its bytes are in.
    pub(super) fn opened(&self) -> &OpenedFile {
        &self.opened
    }

    /// The name of the file that its bytes are in.
    pub(super) fn data(&self) -> &Partial {
        &self.data
    }

    /// Puts its bytes on stable storage.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let synced = self.opened.sync_all();
        if synced.is_err() {
            self.doubt();
        }
        synced
    }

    /// Its bytes could not be put on stable storage. The system may have forgotten them, and says that only
    /// once: what is not written down by now never is.
    pub(super) fn doubt(&mut self) {
        self.unsaved.clear();
    }

    /// Takes note of a group that is verified. Says how many wait for a checkpoint.
    pub(super) fn note(&mut self, group: u64, value: Hash) -> usize {
        self.unsaved.push((group, value));
        self.unsaved.len()
    }

    /// Puts what is verified on stable storage, and then writes it down.
    ///
    /// # Errors
    /// As the system says. What was not written down before will not be.
    pub(super) fn checkpoint(&mut self) -> io::Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        self.sync()?;
        let unsaved = std::mem::take(&mut self.unsaved);
        if !self.is_named {
            self.journal_name.sync_name()?;
            self.is_named = true;
        }
        self.journal.append(&unsaved)
    }

    /// Bytes that are written down of the file, which may be under way.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn written_down(area: &Arc<Area>, key: Key, layout: &Layout) -> io::Result<u64> {
        let stem = key.stem();
        let (data, journal) = (Partial::data(area, &stem), Partial::journal(area, &stem));
        // A journal without its file says nothing.
        if !Self::are_ours(&data, &journal)? {
            return Ok(0);
        }
        let Some(file) = there(journal.open_as_it_is())? else {
            return Ok(0);
        };
        let len = file.file().metadata()?.len();
        let mut groups = BTreeSet::new();
        if let Some(journal) = Journal::open(file, len, key, layout.size())? {
            journal.scan(|group, _| {
                groups.insert(group);
            })?;
        }
        Ok(groups
            .into_iter()
            .map(|group| layout.group_in_space(group))
            .map(|at| at.end - at.start)
            .sum())
    }

    /// All groups that are written down, and their values.
    fn groups(&mut self, found: impl FnMut(u64, Hash)) -> io::Result<()> {
        self.journal.read(found)
    }

    /// Whether a later transfer has something to go on with.
    fn is_of_use(&self) -> bool {
        self.journal.records() > 0
    }

    /// Leaves it for a later transfer, or takes it away if that would have nothing of it.
    pub(super) fn leave(mut self) {
        // What was written down before still is.
        let _ = self.checkpoint();
        if !self.is_of_use() {
            self.discard();
        }
    }

    /// Takes the journal away: the file has its name.
    pub(super) fn finish(&self) {
        self.journal_name.discard();
    }

    /// Takes all of it away.
    pub(super) fn discard(&self) {
        discard(&self.data, &self.journal_name);
    }
}

/// A journal without its file says nothing, a file without its journal may be taken for new.
fn discard(data: &Partial, journal: &Partial) {
    data.discard();
    journal.discard();
}

fn begin_journal(name: &Partial, key: Key, size: u64) -> io::Result<Journal> {
    // One that is there has lost its file.
    Journal::begin(name.create_anew(0o600)?, key, size)
}

/// The right to write to an unfinished file.
#[derive(Clone, Debug)]
pub(super) struct Claim(Arc<Mutex<Option<Unfinished>>>);

impl Claim {
    fn new(unfinished: Unfinished) -> Self {
        Self(Arc::new(Mutex::new(Some(unfinished))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unfinished>> {
        // A panic while somebody held it ended his transfer; what is written down is sound at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the file, and nobody else meanwhile.
    ///
    /// # Errors
    /// A later transfer has taken it over, or as `work` says.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Unfinished) -> io::Result<T>,
    ) -> io::Result<T> {
        self.lock().as_mut().map_or_else(|| Err(taken_over()), work)
    }

    /// Does the last thing with the file. If that succeeds the claim is given up.
    ///
    /// # Errors
    /// A later transfer has taken it over, or as `last` says.
    pub(super) fn conclude(
        &self,
        last: impl FnOnce(&Unfinished) -> io::Result<()>,
    ) -> io::Result<Unfinished> {
        let mut held = self.lock();
        last(held.as_ref().ok_or_else(taken_over)?)?;
        held.take().ok_or_else(taken_over)
    }

    /// Gives the claim up: does the last thing with the file, if nobody has taken it over.
    pub(super) fn release(&self, last: impl FnOnce(Unfinished)) {
        if let Some(unfinished) = self.lock().take() {
            last(unfinished);
        }
    }

    fn take(&self) -> Option<Unfinished> {
        self.lock().take()
    }
}

fn taken_over() -> io::Error {
    io::ErrorKind::ResourceBusy.into()
}

/// The claims on the unfinished files of a directory.
#[derive(Debug)]
pub(super) struct Claims {
    known: Mutex<HashMap<Key, WeakClaim>>,
    /// All unfinished files, claimed or not.
    files: Leftovers,
}

type WeakClaim = Weak<Mutex<Option<Unfinished>>>;

impl Default for Claims {
    fn default() -> Self {
        Self { known: Mutex::default(), files: Leftovers::new(Kind::Unfinished) }
    }
}

impl Claims {
    /// Takes up what there is of a file; of a transfer that is under way, too. Tells which groups of it are
    /// there.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn take_up(
        &self,
        area: &Arc<Area>,
        key: Key,
        size: u64,
        found: impl FnMut(u64, Hash),
    ) -> io::Result<Option<Claim>> {
        // Others do not wait while this one waits for a disk, or for who has the file now.
        let held = self.known().get(&key).and_then(Weak::upgrade).map(Claim);
        let unfinished = match held.as_ref().and_then(Claim::take) {
            Some(mut taken) if taken.size == size => {
                // What cannot be written down now has to come again.
                let _ = taken.checkpoint();
                Some(taken)
            }
            Some(other) => {
                other.discard();
                None
            }
            None => Unfinished::find(area, key, size)?,
        };
        let Some(mut unfinished) = unfinished else {
            return Ok(None);
        };
        unfinished.groups(found)?;
        let claim = Claim::new(unfinished);
        self.known().insert(key, Arc::downgrade(&claim.0));
        Ok(Some(claim))
    }

    /// Begins a file of which nothing is there, for who comes from `origin`. What another version of the same
    /// file left is of no use any more.
    ///
    /// # Errors
    /// Something is there, or as the system says.
    pub(super) fn begin(
        &self,
        area: &Arc<Area>,
        origin: Option<IpAddr>,
        (key, size, mode): (Key, u64, u16),
    ) -> io::Result<Claim> {
        let (stem, path_stem) = (key.stem(), key.path_stem());
        let held: HashSet<String> = {
            let mut known = self.known();
            known.retain(|_, claim| claim.strong_count() > 0);
            known.keys().map(Key::stem).collect()
        };
        self.files.make_room(
            area,
            (&stem, origin),
            |other| other != stem && other.starts_with(&path_stem),
            |other| other == stem || held.contains(other),
        )?;
        let claim = Claim::new(Unfinished::begin(area, key, size, mode)?);
        self.known().insert(key, Arc::downgrade(&claim.0));
        Ok(claim)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, WeakClaim>> {
        self.known.lock().expect("nobody panics while holding it")
    }
}
