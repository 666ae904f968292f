//! What of an unfinished file is verified and on stable storage, written down beside it, so that a later
//! transfer of the same file goes on from there. It holds after a crash of the program, of the system and of
//! the power: a group is written down only after its bytes are on stable storage, and a record that is torn,
//! or stands behind one, counts for nothing.
//!
//! ```text
//! header, 64 bytes:  "volleyj1" (8)  path (8)  source (16)  size (8)  zeros (8)  checksum (16)
//! record, 64 bytes:  group (8)  value (32)  number of the record (8)  checksum (16)
//! ```
//!
//! Integers are big-endian. A checksum is the first half of the BLAKE3 hash of the header's fields, in a
//! record followed by its own: a record of another file's journal does not count.

use super::disk::OpenedFile;
use super::entry::SourceId;
use super::hash::{Hash, group_count};
use super::name::TreePath;
use crate::wire::cursor::{Malformed, Reader};
use std::fmt::Write;
use std::io;

const MAGIC: &[u8; 8] = b"volleyj1";

/// Bytes of the header, and of each record.
const RECORD_LEN: usize = 64;

/// Where a checksum begins.
const SUMMED: usize = RECORD_LEN - 16;

/// Records read at once.
const READ_MAX: u64 = 1 << 10;

/// Tells an unfinished file from all others, and from the same one after it was changed at the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    path: [u8; 8],
    source: [u8; 16],
}

impl Key {
    /// The key of the file offered as `path`.
    #[must_use]
    pub fn new(path: &TreePath, source: SourceId) -> Self {
        let path = path.as_str().as_bytes();
        let mut whole = blake3::Hasher::new();
        whole.update(&source.0).update(path);
        Self { path: first(blake3::hash(path)), source: first(whole.finalize()) }
    }

    /// What the names of its files begin with.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("{}-{}", self.path_stem(), hex(&self.source))
    }

    /// What the names of its files begin with, whatever was changed at the sender.
    #[must_use]
    pub fn path_stem(&self) -> String {
        hex(&self.path)
    }
}

fn first<const N: usize>(hash: blake3::Hash) -> [u8; N] {
    *hash.as_bytes().first_chunk().expect("32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// The journal of one file, open for more.
#[derive(Debug)]
pub struct Journal {
    file: OpenedFile,
    header: [u8; RECORD_LEN],
    groups: u64,
    records: u64,
}

impl Journal {
    /// Begins the journal of a file of `size` bytes in an empty file.
    ///
    /// # Errors
    /// As the system says.
    pub fn begin(file: OpenedFile, key: Key, size: u64) -> io::Result<Self> {
        let header = header(key, size);
        file.write_all_at(&header, 0)?;
        Ok(Self { file, header, groups: group_count(size), records: 0 })
    }

    /// Whether a journal of `len` bytes may say anything.
    #[must_use]
    pub fn is_of_use(len: u64) -> bool {
        len >= place(1)
    }

    /// The journal that `file`, of `len` bytes, holds; nothing if it is not that of this file.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(file: OpenedFile, len: u64, key: Key, size: u64) -> io::Result<Option<Self>> {
        let header = header(key, size);
        let mut found = [0; RECORD_LEN];
        if len < RECORD_LEN as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut found, 0)?;
        let records = len / RECORD_LEN as u64 - 1;
        let journal = Self { file, header, groups: group_count(size), records };
        Ok((found == header).then_some(journal))
    }

    /// Reads all records, each a group and its value, up to the first that is none; what stands from there
    /// on is taken away.
    ///
    /// # Errors
    /// As the system says.
    pub fn read(&mut self, found: impl FnMut(u64, Hash)) -> io::Result<()> {
        let sound = self.scan(found)?;
        if sound < self.records {
            self.records = sound;
            self.file.set_len(place(sound))?;
        }
        Ok(())
    }

    /// Reads all records, each a group and its value, up to the first that is none; says how many they are.
    ///
    /// # Errors
    /// As the system says.
    pub fn scan(&self, mut found: impl FnMut(u64, Hash)) -> io::Result<u64> {
        let (mut at, end) = (0, self.records);
        let mut bytes = Vec::new();
        'all: while at < end {
            let count = (end - at).min(READ_MAX);
            bytes.resize(usize::try_from(count).expect("few") * RECORD_LEN, 0);
            self.file.read_exact_at(&mut bytes, place(at))?;
            for record in bytes.chunks(RECORD_LEN) {
                let Some((group, value)) = self.record(at, record) else {
                    break 'all;
                };
                found(group, value);
                at += 1;
            }
        }
        Ok(at)
    }

    fn record(&self, number: u64, bytes: &[u8]) -> Option<(u64, Hash)> {
        let mut reader = Reader::new(bytes, "journal");
        let mut fields = || -> Result<_, Malformed> {
            let group = u64::from_be_bytes(reader.array()?);
            let value = Hash(reader.array()?);
            Ok((group, value, u64::from_be_bytes(reader.array()?)))
        };
        let (group, value, numbered) = fields().ok()?;
        let is_sound = bytes[SUMMED..] == self.checksum(&bytes[..SUMMED])
            && numbered == number
            && group < self.groups;
        is_sound.then_some((group, value))
    }

    /// Writes groups down, whose bytes are on stable storage, and brings that there, too.
    ///
    /// # Errors
    /// As the system says; none of them counts as written down then.
    pub fn append(&mut self, groups: &[(u64, Hash)]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(groups.len() * RECORD_LEN);
        for (number, (group, value)) in (self.records..).zip(groups) {
            let start = bytes.len();
            bytes.extend_from_slice(&group.to_be_bytes());
            bytes.extend_from_slice(&value.0);
            bytes.extend_from_slice(&number.to_be_bytes());
            let checksum = self.checksum(&bytes[start..]);
            bytes.extend_from_slice(&checksum);
        }
        self.file.write_all_at(&bytes, place(self.records))?;
        self.file.sync_data()?;
        self.records += groups.len() as u64;
        Ok(())
    }

    /// Groups written down.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    fn checksum(&self, fields: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header).update(fields);
        first(hasher.finalize())
    }
}

fn header(key: Key, size: u64) -> [u8; RECORD_LEN] {
    let mut bytes = Vec::with_capacity(RECORD_LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&key.path);
    bytes.extend_from_slice(&key.source);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let checksum: [u8; 16] = first(blake3::hash(&bytes));
    bytes.extend_from_slice(&checksum);
    bytes.try_into().expect("the fields are 64 bytes")
}

/// Where a record is in the file.
fn place(record: u64) -> u64 {
    (record + 1) * RECORD_LEN as u64
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::*;
    use std::os::unix::fs::FileExt;

    const SIZE: u64 = 1000 << 20;

    fn key(path: &str, source: u8) -> Key {
        Key::new(&TreePath::parse(path).expect("a path"), SourceId([source; 16]))
    }

    fn opened(file: &std::fs::File) -> OpenedFile {
        OpenedFile::new(file.try_clone().expect("a handle"), "journal", &Disk::default())
    }

    fn read(file: &std::fs::File, key: Key, size: u64) -> Option<Vec<(u64, Hash)>> {
        let len = file.metadata().expect("there").len();
        let mut journal = Journal::open(opened(file), len, key, size).expect("readable")?;
        let mut found = Vec::new();
        journal.read(|group, value| found.push((group, value))).expect("readable");
        assert_eq!(journal.records(), found.len() as u64);
        Some(found)
    }

    fn groups(count: u8) -> Vec<(u64, Hash)> {
        (0..count).map(|at| (u64::from(at) * 7 % 1000, Hash([at; 32]))).collect()
    }

    fn written(count: u8) -> std::fs::File {
        let file = tempfile::tempfile().expect("room");
        let mut journal = Journal::begin(opened(&file), key("a", 1), SIZE).expect("room");
        let groups = groups(count);
        groups.chunks(3).for_each(|part| journal.append(part).expect("room"));
        file
    }

    #[test]
    fn what_was_written_down_reads_back_and_more_can_follow() {
        let file = written(10);
        assert_eq!(read(&file, key("a", 1), SIZE), Some(groups(10)));
        let len = file.metadata().expect("there").len();
        let mut journal =
            Journal::open(opened(&file), len, key("a", 1), SIZE).expect("readable").expect("ours");
        journal.append(&groups(12)[10..]).expect("room");
        assert_eq!(read(&file, key("a", 1), SIZE), Some(groups(12)));
    }

    #[test]
    fn the_journal_of_another_file_is_none() {
        let file = written(2);
        assert_eq!(read(&file, key("b", 1), SIZE), None);
        assert_eq!(read(&file, key("a", 2), SIZE), None);
        assert_eq!(read(&file, key("a", 1), SIZE + 1), None);
        assert_ne!(key("a", 1).stem(), key("a", 2).stem());
        assert_eq!(key("a", 1).path_stem(), key("a", 2).path_stem());
        file.set_len(10).expect("ours");
        assert_eq!(read(&file, key("a", 1), SIZE), None);
    }

    /// Wherever the last write was torn, all before it counts and nothing after it.
    #[test]
    fn a_torn_record_ends_the_journal() {
        for cut in 0..=RECORD_LEN as u64 {
            let file = written(5);
            file.set_len(place(4) + cut).expect("ours");
            let whole = if cut == RECORD_LEN as u64 { 5 } else { 4 };
            assert_eq!(read(&file, key("a", 1), SIZE), Some(groups(whole)), "{cut} bytes");
            assert_eq!(
                file.metadata().expect("there").len(),
                place(whole.into()).max(place(4) + cut)
            );
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_journal_where_it_is() {
        for record in 0..5u64 {
            for byte in 0..RECORD_LEN as u64 {
                let file = written(5);
                let mut one = [0];
                file.read_exact_at(&mut one, place(record) + byte).expect("there");
                file.write_all_at(&[one[0] ^ 4], place(record) + byte).expect("ours");
                let sound = u8::try_from(record).expect("few");
                assert_eq!(read(&file, key("a", 1), SIZE), Some(groups(sound)));
                assert_eq!(file.metadata().expect("there").len(), place(record));
            }
        }
    }
}
