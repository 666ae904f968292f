//! The journal of an unfinished file, as crashes, failing disks and strangers may leave it.

use super::input::Input;
use std::fs::File;
use std::os::unix::fs::FileExt;
use volley::transfer::disk::{Disk, OpenedFile};
use volley::transfer::entry::SourceId;
use volley::transfer::hash::{GROUP, Hash, group_count};
use volley::transfer::journal::{Journal, Key};
use volley::transfer::name::TreePath;

/// Bytes that a journal is made longer by at once, at most.
const GROWTH_MAX: u64 = 1 << 16;

/// Writes groups down, changes what is there, and reads it: what is read is what was written down first, and
/// more can follow it.
pub(crate) fn journal(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let size = GROUP + 1 + u64::from(input.u16()) * (GROUP / 2);
    let key = key_of("a");
    let file = tempfile::tempfile().expect("room for temporary files");
    let mut journal = Journal::begin(opened(&file), key, size).expect("room");
    let mut written = Vec::new();
    while !input.is_empty() {
        let len = length(&file);
        match input.u8() % 6 {
            0 | 1 => {
                let groups: Vec<_> = (0..input.u8() % 8).map(|_| group(&mut input, size)).collect();
                journal.append(&groups).expect("room");
                written.extend(groups);
            }
            2 => {
                let at = u64::from(input.u16()) % len.max(1);
                file.write_all_at(input.short(), at).expect("room");
            }
            3 => file.set_len(u64::from(input.u16()) % (len + GROWTH_MAX)).expect("room"),
            4 => {
                let rest = input.short();
                file.write_all_at(rest, len).expect("room");
            }
            _ => match read(&file, key, size) {
                Some((found, again)) => {
                    assert!(written.starts_with(&found), "{found:?} was not written");
                    (journal, written) = (again, found);
                }
                None => return,
            },
        }
    }
    if let Some((found, _)) = read(&file, key, size) {
        assert!(written.starts_with(&found), "{found:?} was not written");
        assert!(read(&file, key_of("b"), size).is_none(), "the journal of another file");
    }
}

fn key_of(path: &str) -> Key {
    Key::new(&TreePath::parse(path).expect("a path"), SourceId([7; 16]))
}

fn opened(file: &File) -> OpenedFile {
    let file = file.try_clone().expect("one more handle");
    OpenedFile::new(file, "journal", &Disk::default())
}

fn length(file: &File) -> u64 {
    file.metadata().expect("it is there").len()
}

fn group(input: &mut Input<'_>, size: u64) -> (u64, Hash) {
    (u64::from(input.u16()) % group_count(size), Hash([input.u8(); 32]))
}

/// What it says, and the journal itself, from which all is gone that says nothing.
fn read(file: &File, key: Key, size: u64) -> Option<(Vec<(u64, Hash)>, Journal)> {
    let mut journal = Journal::open(opened(file), length(file), key, size).expect("readable")?;
    let mut groups = Vec::new();
    journal.read(|group, value| groups.push((group, value))).expect("readable");
    assert!(groups.iter().all(|(group, _)| *group < group_count(size)));
    assert_eq!(journal.records(), groups.len() as u64);
    let mut again = Vec::new();
    journal.read(|group, value| again.push((group, value))).expect("readable");
    assert_eq!(groups, again);
    Some((groups, journal))
}
