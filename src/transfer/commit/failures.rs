//! Why an entry does not get its name, and what its users can do about it.

use super::Found;
use crate::base::text::show_error;
use crate::transfer::budget::is_shortage;
use crate::transfer::name::TreePath;
use crate::transfer::outcome::{Failure, Reason};
use std::io;

/// Something has the name of an entry.
pub(in crate::transfer) fn exists(path: &TreePath, found: Found) -> Failure {
    let text = match found {
        Found::Directory => {
            format!(
                "\"{path}\" is a directory at the receiver, which no file replaces; move it away"
            )
        }
        _ => format!(
            "\"{path}\" exists at the receiver with other contents; --overwrite there replaces it, \
             --rename keeps both, or move it away"
        ),
    };
    Failure::new(Reason::Exists, text)
}

/// Something is mounted on the way to the place of an entry.
pub(super) fn elsewhere(path: &TreePath) -> Failure {
    let text = format!(
        "what \"{path}\" lies in is on another file system than the receiver's directory, and no file can be \
         moved there; receive into a directory on that file system"
    );
    Failure::new(Reason::Other, text)
}

/// Why something does not get its place.
pub(super) fn placing_failure(path: &TreePath, error: &io::Error) -> Failure {
    match (error.kind(), path.parent()) {
        // A directory of the path is a link or a file there, or another program took it away.
        (io::ErrorKind::NotADirectory | io::ErrorKind::NotFound, Some(_)) => {
            let text = format!(
                "what \"{path}\" lies in is no directory at the receiver; move it away there"
            );
            Failure::new(Reason::Exists, text)
        }
        (io::ErrorKind::CrossesDevices, _) => elsewhere(path),
        _ => storage_failure(path, error),
    }
}

/// Why something cannot be stored.
pub(in crate::transfer) fn storage_failure(path: &TreePath, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::ResourceBusy {
        let text = format!("a newer transfer of \"{path}\" goes on with what there is of it");
        return Failure::new(Reason::Interrupted, text);
    }
    failure_of(&format!("cannot store \"{path}\" at the receiver"), error)
}

pub(super) fn failure_of(what: &str, error: &io::Error) -> Failure {
    let (reason, advice) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Reason::Full, "; make room there and send again")
        }
        io::ErrorKind::FileTooLarge => {
            (Reason::Full, "; its file system or its `ulimit -f` allows no file of that size")
        }
        _ if is_shortage(error) => {
            (Reason::Refused, "; it serves as many as it can; send again later")
        }
        _ => (Reason::Other, ""),
    };
    let said = show_error(error);
    Failure::new(reason, format!("{what}: {said}{advice}"))
}
