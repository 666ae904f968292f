//! What somebody does to files that lie in a receiver's directory.

use super::tree::{AREA, left};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use volley::transfer::hash::{GROUP, Hash, group_count, group_value};

/// The files of a partial area at some time, by name.
pub(crate) type Earlier = Vec<(String, Vec<u8>)>;

/// A header, and a record, of a journal.
const RECORD: usize = 64;

/// Nobody's number.
const STRANGER: u32 = 12_345;

/// Where somebody changes something.
pub(crate) struct Ground<'a> {
    /// The receiver's directory.
    pub(crate) to: &'a Path,
    /// A file that is not in it.
    pub(crate) victim: &'a Path,
    /// What is going to be sent.
    pub(crate) sent: &'a [(String, Vec<u8>)],
    /// The partial area as it was earlier.
    pub(crate) earlier: &'a Earlier,
}

impl Ground<'_> {
    fn area(&self) -> PathBuf {
        self.to.join(AREA)
    }

    /// Changes something; says what.
    pub(crate) fn change(&self, draws: &mut Xoshiro256PlusPlus) -> String {
        let names = left(self.to);
        if names.is_empty() || draws.random_range(0..4) == 0 {
            return self.change_target(draws);
        }
        let name = &names[draws.random_range(0..names.len())];
        let path = self.area().join(name);
        let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        let said = match draws.random_range(0..20) {
            0 => self.change_area(draws),
            1..=2 => self.put_back(draws),
            3..=4 => exchange(&self.area(), &names, draws),
            5..=7 => self.forge(&names, draws),
            8..=9 => replace(&path, self.victim, draws),
            _ if !is_file => "nothing".to_owned(),
            10..=15 => change_contents(&path, draws),
            16 => {
                let other = self.victim.with_file_name(name);
                fs::hard_link(&path, &other).map_or("nothing", |()| "has a name outside").to_owned()
            }
            17 => change_attributes(&path, draws),
            18 => {
                let other = ["00-00.part", "00-00.journal", "00.made"][draws.random_range(0..3)];
                fs::hard_link(&path, self.area().join(other))
                    .map_or("nothing", |()| other)
                    .to_owned()
            }
            _ => {
                fs::remove_file(&path).expect("ours");
                "removed".to_owned()
            }
        };
        format!("{name}: {said}")
    }

    /// Puts something in the place of what is to be sent.
    fn change_target(&self, draws: &mut Xoshiro256PlusPlus) -> String {
        let (name, bytes) = &self.sent[draws.random_range(0..self.sent.len())];
        let path = self.to.join(name);
        fs::create_dir_all(path.parent().expect("in the directory")).ok();
        let mut other = bytes.clone();
        let said = match draws.random_range(0..6) {
            0 => "the same",
            1 if !other.is_empty() => {
                let at = draws.random_range(0..other.len());
                other[at] ^= 1 << draws.random_range(0..8);
                "a bit less"
            }
            2 => {
                other.truncate(draws.random_range(0..=bytes.len()));
                "its beginning"
            }
            3 => {
                other.extend([0; 100]);
                "more than it"
            }
            _ => return format!("{name}: {}", replace(&path, self.victim, draws)),
        };
        // What is there may be a directory, or lead nowhere.
        let written = remove(&path).and_then(|()| fs::write(&path, other));
        format!("{name}: {}", written.map_or("nothing", |()| said))
    }

    fn change_area(&self, draws: &mut Xoshiro256PlusPlus) -> String {
        let mode = [0o700, 0o755, 0o777, 0o500][draws.random_range(0..4)];
        set_mode(&self.area(), mode);
        format!("the area has mode {mode:o}")
    }

    /// What was there earlier is there again.
    fn put_back(&self, draws: &mut Xoshiro256PlusPlus) -> String {
        if self.earlier.is_empty() {
            return "nothing".to_owned();
        }
        let (name, bytes) = &self.earlier[draws.random_range(0..self.earlier.len())];
        let path = self.area().join(name);
        let written = remove(&path).and_then(|()| fs::write(&path, bytes));
        format!("{name} {}", written.map_or("stays", |()| "is as it was"))
    }

    /// Writes a journal with right checksums for one of the files, of which nothing needs to be true.
    fn forge(&self, names: &[String], draws: &mut Xoshiro256PlusPlus) -> String {
        let stems: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".part")).collect();
        if stems.is_empty() {
            return "nothing".to_owned();
        }
        let stem = stems[draws.random_range(0..stems.len())];
        let sizes: Vec<u64> = self.sent.iter().map(|(_, bytes)| bytes.len() as u64).collect();
        let size = sizes[draws.random_range(0..sizes.len())];
        let there = fs::read(self.area().join(format!("{stem}.part"))).unwrap_or_default();
        let is_random = draws.random_range(0..3) == 0;
        let value = |group: u64| {
            let [start, end] = [group * GROUP, ((group + 1) * GROUP).min(size)]
                .map(|at| usize::try_from(at).expect("small").min(there.len()));
            match is_random {
                true => Hash([7; 32]),
                false if end == start => Hash([8; 32]),
                false => group_value(group, &there[start..end], size),
            }
        };
        let Some(header) = header(stem, size) else { return "nothing".to_owned() };
        let mut journal = header.to_vec();
        for number in 0..group_count(size) + 1 {
            let group = number.min(group_count(size) - 1);
            journal.extend(record(&header, number, group, &value(group)));
        }
        let path = self.area().join(format!("{stem}.journal"));
        let written = remove(&path).and_then(|()| fs::write(&path, journal));
        format!("{stem} {}", written.map_or("stays", |()| "has a forged journal"))
    }
}

/// The header of the journal of that name and size.
fn header(stem: &str, size: u64) -> Option<[u8; RECORD]> {
    let digits = stem.replace('-', "");
    let mut bytes = b"volleyj1".to_vec();
    for at in (0..digits.len()).step_by(2) {
        bytes.push(u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?);
    }
    bytes.extend(size.to_be_bytes());
    bytes.extend([0; 8]);
    let Hash(sum) = Hash::of(&bytes);
    bytes.extend(&sum[..16]);
    bytes.try_into().ok()
}

fn record(header: &[u8], number: u64, group: u64, value: &Hash) -> Vec<u8> {
    let mut fields = group.to_be_bytes().to_vec();
    fields.extend(value.0);
    fields.extend(number.to_be_bytes());
    let Hash(sum) = Hash::of(&[header, &fields].concat());
    fields.extend(&sum[..16]);
    fields
}

/// Takes away what is there, if it is no directory with something in it.
fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Puts what is no such file in its place.
fn replace(path: &Path, victim: &Path, draws: &mut Xoshiro256PlusPlus) -> String {
    if remove(path).is_err() {
        return "nothing".to_owned();
    }
    let (done, said) = match draws.random_range(0..6) {
        0 => (
            fs::create_dir(path).and_then(|()| fs::write(path.join("inner"), "mine")),
            "a directory",
        ),
        1 => (symlink(victim, path), "a link that leads out"),
        2 => (symlink("nowhere", path), "a link to nowhere"),
        3 => (symlink(neighbour(path), path), "a link to another"),
        4 => {
            let made = mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0);
            (made.map_err(Into::into), "a FIFO")
        }
        _ => (fs::hard_link(victim, path), "a name of a file outside"),
    };
    done.map_or("gone", |()| said).to_owned()
}

/// The name of something that lies beside it.
fn neighbour(path: &Path) -> PathBuf {
    let around = path.parent().expect("in a directory");
    let mut names: Vec<_> = fs::read_dir(around)
        .expect("it can be listed")
        .map(|entry| entry.expect("it can be listed").file_name())
        .collect();
    names.sort();
    names.first().map_or_else(|| "nowhere".into(), PathBuf::from)
}

/// Two files get each other's names.
fn exchange(area: &Path, names: &[String], draws: &mut Xoshiro256PlusPlus) -> String {
    let [one, other] = [(); 2].map(|()| &names[draws.random_range(0..names.len())]);
    let [from, to] = [one, other].map(|name| area.join(name));
    let done = renameat_with(CWD, &from, CWD, &to, RenameFlags::EXCHANGE);
    format!("is {}", done.map_or("itself", |()| other.as_str()))
}

fn change_contents(path: &Path, draws: &mut Xoshiro256PlusPlus) -> String {
    let file = fs::File::options().read(true).write(true).open(path);
    let Ok(file) = file else { return "nothing".to_owned() };
    let len = file.metadata().expect("it is there").len();
    if len == 0 {
        return "nothing".to_owned();
    }
    let at = draws.random_range(0..len);
    match draws.random_range(0..5) {
        0..=1 => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("it is there");
            byte[0] ^= 1 << draws.random_range(0..8);
            file.write_all_at(&byte, at).expect("ours");
            format!("a bit of byte {at}")
        }
        2 => {
            file.set_len(at).expect("ours");
            format!("cut to {at}")
        }
        3 => {
            let mut more = vec![0; draws.random_range(1..5_000)];
            draws.fill_bytes(&mut more);
            file.write_all_at(&more, len).expect("room");
            format!("{} bytes more", more.len())
        }
        _ => {
            let end = draws.random_range(at..len) + 1;
            let zeros = vec![0; usize::try_from(end - at).expect("small")];
            file.write_all_at(&zeros, at).expect("ours");
            format!("zeros from {at} to {end}")
        }
    }
}

fn change_attributes(path: &Path, draws: &mut Xoshiro256PlusPlus) -> String {
    match draws.random_range(0..4) {
        0 => {
            let mode = [0o000, 0o400, 0o200, 0o777][draws.random_range(0..4)];
            set_mode(path, mode);
            format!("mode {mode:o}")
        }
        // Only the superuser can.
        1 => chown(path, Some(STRANGER), None).map_or("nothing", |()| "a stranger's").to_owned(),
        past_or_future => {
            let weeks = Duration::from_secs(draws.random_range(1..4) * 7 * 24 * 3600);
            let set = fs::File::open(path).and_then(|file| {
                let now = file.metadata()?.modified()?;
                file.set_modified(if past_or_future == 2 { now - weeks } else { now + weeks })
            });
            set.map_or("nothing", |()| "of another time").to_owned()
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}
