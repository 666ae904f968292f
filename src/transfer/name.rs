//! Where a received entry may lie, and what it may be called. The sender proposes, this decides, on both
//! sides.

use crate::base::text::{escape, escape_os};
use std::fmt;

/// Where the receiver keeps what is not committed yet. Never a name for anything received.
pub const PARTIAL_AREA: &str = ".volley-partial";

/// Bytes of one name, at most: what the file systems of Linux, macOS and Windows take.
pub const NAME_MAX: usize = 255;

/// Bytes of a path, at most.
pub const PATH_MAX: usize = 4096;

/// Names in a path, at most.
pub const DEPTH_MAX: usize = 128;

/// A path below the receiver's directory: names with `/` between them, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

/// Why a path is none, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name \"{name}\" is not acceptable: {fault}")]
pub struct NameError {
    /// The path, escaped.
    name: String,
    fault: String,
}

impl NameError {
    fn new(name: &str, fault: impl Into<String>) -> Self {
        Self { name: show_start(name), fault: fault.into() }
    }
}

impl TreePath {
    /// Takes a proposed path, or says what is wrong with it.
    ///
    /// # Errors
    /// It is too long or too deep, or one of its names is empty, too long, `.`, `..`, the partial
    /// area, or holds a separator or a control character.
    pub fn parse(path: &str) -> Result<Self, NameError> {
        match fault(path) {
            None => Ok(Self(path.to_owned())),
            Some(fault) => Err(NameError::new(path, fault)),
        }
    }

    /// A path of one name, as the system gives it.
    ///
    /// # Errors
    /// As for [`TreePath::parse`], or the name is not UTF-8.
    pub fn top(name: &std::ffi::OsStr) -> Result<Self, NameError> {
        Self::parse_name(name).and_then(|name| Self::parse(&name))
    }

    /// The path of what is called `name` in this directory.
    ///
    /// # Errors
    /// As for [`TreePath::parse`], or the name is not UTF-8.
    pub fn join(&self, name: &std::ffi::OsStr) -> Result<Self, NameError> {
        let name = Self::parse_name(name)?;
        Self::parse(&format!("{}/{name}", self.0))
    }

    fn parse_name(name: &std::ffi::OsStr) -> Result<String, NameError> {
        let text = name.to_str().map(str::to_owned);
        let is_one = |text: &String| !text.contains('/');
        text.filter(is_one).ok_or_else(|| {
            let fault = "it is not UTF-8; rename the file".into();
            NameError { name: escape_os(name), fault }
        })
    }

    /// The path with a number behind the last name, in front of what tells its kind: `a-1.txt`.
    ///
    /// # Errors
    /// It would be too long.
    pub fn numbered(&self, number: u32) -> Result<Self, NameError> {
        let name = self.name();
        let (stem, kind) = match name.rfind('.') {
            Some(dot) if dot > 0 => name.split_at(dot),
            _ => (name, ""),
        };
        let directory = &self.0[..self.0.len() - name.len()];
        Self::parse(&format!("{directory}{stem}-{number}{kind}"))
    }

    /// The path as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The path of the directory that it lies in; nothing for the receiver's own.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// How many directories it lies in.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.matches('/').count()
    }

    /// Whether it would lie in the receiver's directory under a name that listings leave out and programs
    /// read unasked. What lies deeper is hidden in something that a person named.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.starts_with('.')
    }
}

impl fmt::Display for TreePath {
    /// Escaped for showing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

/// The beginning of a path that may be no path at all, escaped for showing.
#[must_use]
pub fn show_start(path: &str) -> String {
    escape(&path[..path.floor_char_boundary(NAME_MAX)])
}

/// What is wrong with a symbolic link at `at` that says `target`, if anything is: it may lead to what
/// lies below the receiver's directory, and nowhere else.
///
/// Only at its beginning may a target lead upwards. There it is known where that leads, because the
/// directories above a link are none themselves.
#[must_use]
pub fn link_fault(at: &TreePath, target: &str) -> Option<String> {
    if target.len() > PATH_MAX {
        return Some(format!("it is longer than {PATH_MAX} bytes"));
    }
    let names: Vec<&str> = target.split('/').collect();
    let up = names.iter().take_while(|name| **name == "..").count();
    if target.starts_with('/') {
        return Some("it is absolute, and only relative ones lead to the same place there".into());
    }
    if up > at.depth() {
        return Some("it leads out of the receiver's directory".into());
    }
    names[up..].iter().find_map(|name| name_fault(name))
}

/// What a symbolic link says, without what means nothing in it: `./`, a slash at the end, slashes in a row.
#[must_use]
pub fn plain_target(target: &str) -> String {
    let is_meant = |name: &&str| !name.is_empty() && *name != ".";
    let names: Vec<&str> = target.split('/').filter(is_meant).collect();
    let root = if target.starts_with('/') { "/" } else { "" };
    match names.is_empty() {
        true => target.to_owned(),
        false => format!("{root}{}", names.join("/")),
    }
}

/// Whether a symbolic link at `at` whose target has no fault leads to a hidden name: one at the top of the
/// receiver's directory, as for paths.
#[must_use]
pub fn leads_to_hidden(at: &TreePath, target: &str) -> bool {
    let up = target.split('/').take_while(|name| *name == "..").count();
    if up < at.depth() {
        return at.is_hidden();
    }
    let mut rest = target.split('/').skip(up);
    rest.next().is_some_and(|name| name.starts_with('.'))
}

fn fault(path: &str) -> Option<String> {
    if path.len() > PATH_MAX {
        return Some(format!("it is longer than {PATH_MAX} bytes"));
    }
    let names = path.split('/');
    if names.clone().count() > DEPTH_MAX {
        return Some(format!("it lies deeper than {DEPTH_MAX} directories"));
    }
    let mut start = 0;
    for name in names {
        if let Some(fault) = name_fault(name) {
            let is_only = start == 0 && name.len() == path.len();
            return Some(if is_only { fault } else { format!("at byte {start}, {fault}") });
        }
        start += name.len() + 1;
    }
    None
}

/// What is wrong with one name, if anything is.
fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".into());
    }
    if name.len() > NAME_MAX {
        return Some(format!("it is longer than {NAME_MAX} bytes"));
    }
    if name == "." || name == ".." {
        return Some("it means a directory".into());
    }
    if name.eq_ignore_ascii_case(PARTIAL_AREA) {
        return Some("volley keeps unfinished files under it".into());
    }
    let (at, bad) = name.char_indices().find(|(_, c)| matches!(c, '/' | '\\') || c.is_control())?;
    Some(format!("byte {at} of it is {}, which no file name may hold", bad.escape_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    #[test]
    fn ordinary_paths_are_taken() {
        let longest = ["x".repeat(255).as_str(); 16].join("/");
        assert_eq!(longest.len(), PATH_MAX - 1);
        let deepest = ["d"; DEPTH_MAX].join("/");
        for path in
            ["a", "report 2026.pdf", "Füße/文件.txt", "..a/a..", "-rf", "a/.b", &longest, &deepest]
        {
            assert_eq!(TreePath::parse(path).expect(path).as_str(), path);
        }
    }

    #[test]
    fn a_path_knows_its_parts() {
        let path = TreePath::parse("photos/2026/a.jpg").expect("a path");
        assert_eq!((path.name(), path.parent(), path.depth()), ("a.jpg", Some("photos/2026"), 2));
        let top = TreePath::parse("a.jpg").expect("a path");
        assert_eq!((top.name(), top.parent(), top.depth()), ("a.jpg", None, 0));
        assert_eq!(top.join(OsStr::new("b")).expect("a path").as_str(), "a.jpg/b");
        assert!(top.join(OsStr::new("..")).is_err() && top.join(OsStr::new("b/c")).is_err());
    }

    #[test]
    fn a_number_goes_in_front_of_what_tells_the_kind() {
        let numbered = |path: &str| {
            let path = TreePath::parse(path).expect("a path");
            path.numbered(2).expect("short").as_str().to_owned()
        };
        assert_eq!(numbered("a.txt"), "a-2.txt");
        assert_eq!(numbered("d.x/a"), "d.x/a-2");
        assert_eq!(numbered("d/.hidden"), "d/.hidden-2");
        assert_eq!(numbered("Füße.tar.gz"), "Füße.tar-2.gz");
        assert!(TreePath::parse(&"a".repeat(254)).expect("short").numbered(1).is_err());
    }

    #[test]
    fn only_what_lies_at_the_top_can_be_hidden() {
        let is_hidden = |path| TreePath::parse(path).expect("a path").is_hidden();
        assert!(is_hidden(".bashrc") && is_hidden(".ssh/authorized_keys"));
        assert!(!is_hidden("project/.git/config"));
    }

    #[test]
    fn the_limits_are_exact() {
        for (path, fits) in [
            ("x".repeat(255), true),
            ("x".repeat(256), false),
            (["d"; DEPTH_MAX].join("/"), true),
            (["d"; DEPTH_MAX + 1].join("/"), false),
            (
                [&["x".repeat(255).as_str(); 15].join("/"), "y".repeat(255).as_str()].join("/")
                    + "",
                true,
            ),
            ([&["x".repeat(255).as_str(); 16].join("/"), "y"].join("/"), false),
        ] {
            assert_eq!(TreePath::parse(&path).is_ok(), fits, "{} bytes", path.len());
        }
    }

    /// What people have tried on such tools, at every depth: at least 500 ways to say somewhere else.
    fn hostile() -> Vec<String> {
        let mut bad: Vec<String> = [
            "",
            ".",
            "..",
            "/",
            "//",
            "\\",
            "../a",
            "a\0",
            "\0",
            "a\nb",
            "a\rb",
            "a\tb",
            "\u{1b}[2J",
            "\u{1b}]52;c;x\u{7}",
            "\u{7f}",
            "\u{85}",
            "\u{9b}31m",
            "a\\b",
            "..\\a",
            "C:\\x",
            "\\\\host\\share",
            "\\\\?\\C:\\x",
            "%2e%2e\\a",
            "..\\..\\a",
            ".volley-partial",
            ".Volley-Partial",
            ".VOLLEY-PARTIAL",
            ".volley-PARTIAL",
        ]
        .map(str::to_owned)
        .to_vec();
        bad.push("x".repeat(256));
        bad.push("ü".repeat(128));
        bad.extend((0u8..0x20).map(|c| format!("a{}b", char::from(c))));
        bad.extend((0x80u8..0xa0).map(|c| format!("{}b", char::from(c))));
        let mut all = Vec::new();
        for name in &bad {
            all.extend([
                name.clone(),
                format!("/{name}"),
                format!("a/{name}"),
                format!("{name}/a"),
                format!("a/{name}/b"),
                format!("a/b/c/{name}"),
                format!("{name}/{name}"),
            ]);
        }
        for depth in 1..20 {
            let up = "../".repeat(depth);
            all.extend([
                format!("{up}etc/passwd"),
                format!("a/{up}etc/passwd"),
                format!("./{up}x"),
                format!("/{up}x"),
                format!("a/b/{up}"),
            ]);
        }
        all.extend(
            ["/etc/passwd", "//etc/passwd", "a//b", "a/", "a/.", "./a", "a/./b"].map(str::to_owned),
        );
        all
    }

    #[test]
    fn every_way_to_say_somewhere_else_is_refused() {
        let hostile = hostile();
        assert!(hostile.len() >= 500, "{}", hostile.len());
        for path in hostile {
            assert!(TreePath::parse(&path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn links_lead_to_what_lies_below() {
        let at = TreePath::parse("a/b/link").expect("a path");
        for target in ["x", "x/y", "..", "../x", "../..", "../../x/y", "..a"] {
            assert_eq!(link_fault(&at, target), None, "{target}");
        }
        for target in [
            "",
            "/",
            "/etc/passwd",
            "../../..",
            "../../../x",
            "x/..",
            "x/../../../..",
            "./x",
            ".",
            "x//y",
            "x/",
            "a\\b",
            "C:\\x",
            "x\0",
            "../.volley-partial/x",
            "\u{1b}[2J",
        ] {
            assert!(link_fault(&at, target).is_some(), "{target:?}");
        }
        assert!(link_fault(&at, &"x/".repeat(PATH_MAX)).is_some());
    }

    #[test]
    fn what_means_nothing_in_a_link_does_not_travel() {
        for (says, plain) in [
            ("./x", "x"),
            ("x/", "x"),
            ("a//b", "a/b"),
            (".././x/.", "../x"),
            ("../", ".."),
            ("x", "x"),
            ("//etc/./passwd", "/etc/passwd"),
            (".", "."),
            ("", ""),
        ] {
            assert_eq!(plain_target(says), plain, "{says}");
        }
        let at = TreePath::parse("a/link").expect("a path");
        let fault = |target| link_fault(&at, target).expect("it leads out");
        assert!(fault("/etc/passwd").contains("absolute"));
        assert!(fault("../../x").contains("leads out"));
    }

    #[test]
    fn a_link_to_a_hidden_name_is_one_that_leads_there() {
        let leads = |at, target| leads_to_hidden(&TreePath::parse(at).expect("a path"), target);
        assert!(leads("link", ".bashrc") && leads("a/link", "../.ssh/x") && leads("link", ".a/b"));
        assert!(!leads("link", "a/.b") && !leads("a/link", ".bashrc") && !leads("a/link", ".."));
        assert!(!leads("a/b/link", "../.x") && leads(".a/b/link", "../x"));
    }

    #[test]
    fn the_error_names_the_byte_and_is_safe_to_show() {
        let error = TreePath::parse("d/ab\u{1b}[2J").expect_err("a control character").to_string();
        assert!(error.contains("at byte 2, byte 2 of it"), "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");
        let long = TreePath::parse(&"\u{1b}".repeat(5000)).expect_err("too long").to_string();
        assert!(long.len() < 3000 && !long.contains('\u{1b}'), "{long}");
    }

    proptest! {
        #[test]
        fn an_accepted_path_is_its_names_and_nothing_else(path in "[a-z./\\\\]{0,12}|.{0,40}") {
            if let Ok(accepted) = TreePath::parse(&path) {
                let system = std::path::Path::new(accepted.as_str());
                let is_plain = |part| matches!(part, std::path::Component::Normal(_));
                prop_assert!(system.components().all(is_plain));
                prop_assert_eq!(system.components().count(), accepted.depth() + 1);
                prop_assert_eq!(system.file_name(), Some(OsStr::new(accepted.name())));
            }
        }

        #[test]
        fn an_accepted_link_never_leaves(target in "(\\.\\./|[ab]/|\\./){0,5}(\\.\\.|a|\\.|)") {
            let at = TreePath::parse("x/y/link").expect("a path");
            if link_fault(&at, &target).is_none() {
                let mut depth = 2i32;
                for part in target.split('/') {
                    depth += if part == ".." { -1 } else { 1 };
                    prop_assert!(depth >= 0, "{}", target);
                }
            }
        }
    }
}
