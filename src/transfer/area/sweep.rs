//! Taking away what is left of transfers that were killed, and of which no later one has any use.

use super::{DATA, JOURNAL, LIST, Waiting, lockable, open};
use crate::base::time::Duration;
use crate::transfer::disk::{Call, Disk};
use crate::transfer::journal::Journal;
use crate::transfer::name::PARTIAL_AREA;
use cap_std::fs::Dir;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::time::SystemTime;

/// How long unfinished files wait for a transfer that goes on with them.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes what receivers left that were killed, unless one that lives has a file there. Says what waits.
pub(in crate::transfer) fn sweep(dir: &Dir, disk: &Disk) -> io::Result<Waiting> {
    let area = open(dir, disk)?;
    let lock = lockable(&area)?;
    let is_ours = match lock.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    };
    let now = now_of(&lock)?;
    let (mut halves, mut rest) = (BTreeMap::<String, Halves>::new(), Vec::new());
    for entry in area.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            // No transfer left it.
            continue;
        }
        let name = entry.file_name();
        let text = name.to_str().unwrap_or_default();
        let (stem, is_data) = match (text.strip_suffix(DATA), text.strip_suffix(JOURNAL)) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) => (stem, false),
            (None, None) => {
                let written = entry.metadata()?.modified()?.into_std();
                if !(text.ends_with(LIST) && is_recent(written, now)) {
                    rest.push(name);
                }
                continue;
            }
        };
        let metadata = entry.metadata()?;
        let half = halves.entry(stem.to_owned()).or_default();
        if is_data {
            half.data = Some(allocated(&metadata)).filter(|_| has_one_name(&metadata));
        } else if Journal::is_of_use(metadata.len()) {
            let written = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
            half.written = written;
        }
    }
    let mut waiting = Waiting::default();
    for (stem, half) in halves {
        match half.waits(now) {
            Some(bytes) => {
                waiting.files += 1;
                waiting.bytes += bytes;
            }
            None => rest.extend([DATA, JOURNAL].map(|end| format!("{stem}{end}").into())),
        }
    }
    if is_ours {
        for name in rest {
            disk.ask(&Call::Remove(&format!("{PARTIAL_AREA}/{}", name.to_string_lossy())))?;
            match area.remove_file(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(waiting)
}

/// What there is of an unfinished file.
#[derive(Debug, Default)]
struct Halves {
    /// Bytes that its data take, where they have no other name.
    data: Option<u64>,
    /// When its journal was written last, where that says anything.
    written: Option<SystemTime>,
}

impl Halves {
    /// The bytes that wait for a transfer to go on with; nothing, if none can or did in all the time.
    fn waits(&self, now: SystemTime) -> Option<u64> {
        let written = self.written?;
        self.data.filter(|_| is_recent(written, now))
    }
}

pub(super) fn is_recent(written: SystemTime, now: SystemTime) -> bool {
    now.duration_since(written).unwrap_or_default() < KEPT_FOR
}

/// A file that has its own name already may be changed through that: it is unfinished no more.
pub(super) fn has_one_name(metadata: &cap_std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        metadata.nlink() == 1
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

fn allocated(metadata: &cap_std::fs::Metadata) -> u64 {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        metadata.blocks().saturating_mul(512)
    }
    #[cfg(not(unix))]
    metadata.len()
}

/// What the file system takes for now: the clock by which the ages of its files count.
pub(super) fn now_of(area: &File) -> io::Result<SystemTime> {
    #[cfg(unix)]
    {
        use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times =
            Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        futimens(area, &times)?;
    }
    area.metadata()?.modified()
}
