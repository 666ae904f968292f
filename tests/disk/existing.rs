//! Every way to treat what is there, with everything that may be there.

use super::carrier::{Order, run};
use super::tree;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use volley::transfer::keeping::Existing;
use volley::transfer::outcome::Reason;

/// What has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Directory,
    Fifo,
    File,
    Link,
    Nothing,
    ReadOnly,
    Same,
}

const ALL: [There; 7] = [
    There::Directory,
    There::Fifo,
    There::File,
    There::Link,
    There::Nothing,
    There::ReadOnly,
    There::Same,
];

impl There {
    fn make(self, at: &Path) {
        match self {
            Self::Directory => {
                fs::create_dir(at).expect("room");
                fs::write(at.join("inner"), "mine").expect("room");
            }
            Self::Fifo => {
                mknodat(CWD, at, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO can be made");
            }
            Self::File => fs::write(at, "mine").expect("room"),
            Self::Link => symlink("target", at).expect("room"),
            Self::Nothing => {}
            Self::ReadOnly => {
                fs::write(at, "mine").expect("room");
                fs::set_permissions(at, Permissions::from_mode(0o400)).expect("ours");
            }
            Self::Same => fs::write(at, "sent").expect("room"),
        }
    }

    /// Whether it is as it was made.
    fn is_at(self, at: &Path) -> bool {
        let Ok(found) = fs::symlink_metadata(at) else { return self == Self::Nothing };
        let says = |text: &str| found.is_file() && fs::read(at).expect("a file") == text.as_bytes();
        match self {
            Self::Directory => fs::read(at.join("inner")).is_ok_and(|inner| inner == b"mine"),
            Self::Fifo => found.file_type().is_fifo(),
            Self::File => says("mine"),
            Self::Link => fs::read_link(at).is_ok_and(|says| says == Path::new("target")),
            Self::Nothing => false,
            Self::ReadOnly => says("mine") && found.permissions().mode() & 0o777 == 0o400,
            Self::Same => says("sent"),
        }
    }
}

/// What becomes of a file that is sent where that is: how it ends, and where its contents are then.
fn expected(existing: Existing, there: There) -> (Option<Reason>, Option<&'static str>) {
    match (existing, there) {
        (_, There::Nothing | There::Same) => (None, Some("name")),
        (Existing::Overwrite, There::Directory) => (Some(Reason::Exists), None),
        (Existing::Overwrite, _) => (None, Some("name")),
        (Existing::Refuse, _) => (Some(Reason::Exists), None),
        (Existing::Rename, _) => (None, Some("name-1")),
        (Existing::Skip, _) => (None, None),
    }
}

#[test]
fn each_treatment_does_the_same_with_whatever_is_there_as_its_table_says() {
    for existing in [Existing::Overwrite, Existing::Refuse, Existing::Rename, Existing::Skip] {
        for there in ALL {
            let root = tree::scratch();
            let [from, to] = ["from", "to"].map(|name| root.path().join(name));
            fs::create_dir(&from).expect("room");
            fs::create_dir(&to).expect("room");
            fs::write(from.join("name"), "sent").expect("room");
            fs::write(to.join("target"), "mine").expect("room");
            there.make(&to.join("name"));
            let mut order = Order::new(&from, &to);
            order.keeping.existing = existing;
            let over = run(&order).expect("it begins");
            let (reason, place) = expected(existing, there);
            let said = (over.sent.verdict(), over.received.verdict());
            assert_eq!(said, (reason, reason), "{existing:?} {there:?}: {:?}", over.received);
            for name in ["name", "name-1"] {
                let is_sent = There::Same.is_at(&to.join(name));
                assert_eq!(is_sent, place == Some(name), "{existing:?} {there:?}: {name}");
            }
            let stays = place != Some("name");
            assert!(!stays || there.is_at(&to.join("name")), "{existing:?} {there:?}: it stays");
            // Nothing is written through a link.
            assert_eq!(fs::read(to.join("target")).expect("there"), b"mine");
            assert_eq!(tree::left(&to), [""; 0], "{existing:?} {there:?}");
        }
    }
}
