//! What a received file may be called. The sender proposes, this decides, on both sides.

use crate::base::text::escape;
use std::ffi::OsStr;
use std::fmt;

/// Where the receiver keeps what is not committed yet. Never a name for a received file.
pub const PARTIAL_AREA: &str = ".volley-partial";

/// Bytes of a name, at most: what the file systems of Linux, macOS and Windows take.
pub const NAME_MAX: usize = 255;

/// A name that is one component of a path and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

/// Why a name is none, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name \"{name}\" is not acceptable: {fault}")]
pub struct NameError {
    /// The name, escaped.
    name: String,
    fault: String,
}

impl FileName {
    /// Takes a proposed name, or says what is wrong with it.
    ///
    /// # Errors
    /// It is empty, too long, `.`, `..`, the partial area, or holds a separator or a control
    /// character.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match fault(name) {
            None => Ok(Self(name.to_owned())),
            Some(fault) => {
                let shown = &name[..name.floor_char_boundary(NAME_MAX)];
                Err(NameError { name: escape(shown), fault })
            }
        }
    }

    /// The last component of a path that a person typed.
    ///
    /// # Errors
    /// As for [`FileName::parse`], or the name is not UTF-8.
    pub fn of(name: &OsStr) -> Result<Self, NameError> {
        let text = name.to_str().ok_or_else(|| NameError {
            name: escape(&name.to_string_lossy()),
            fault: "it is not UTF-8; rename the file".into(),
        })?;
        Self::parse(text)
    }

    /// The name as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether directory listings leave it out, and programs read it unasked.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.starts_with('.')
    }
}

impl fmt::Display for FileName {
    /// Escaped for showing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

fn fault(name: &str) -> Option<String> {
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
    Some(format!("byte {at} is {}, which no file name may hold", bad.escape_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in
            ["a", "report 2026.pdf", "Füße", "文件.txt", "..a", "a..", "-rf", &"x".repeat(255)]
        {
            assert_eq!(FileName::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "../a",
            "a/..",
            "/etc/passwd",
            "a\\b",
            "..\\a",
            "C:\\x",
            "a\0",
            "a\nb",
            "\u{1b}[2J",
            "\u{7f}",
            "\u{85}",
            ".volley-partial",
            ".Volley-Partial",
            &"x".repeat(256),
            &"ü".repeat(128),
        ] {
            assert!(FileName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_error_names_the_byte_and_is_safe_to_show() {
        let error = FileName::parse("ab\u{1b}[2J").expect_err("a control character").to_string();
        assert!(error.contains("byte 2") && !error.contains('\u{1b}'), "{error}");
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_one_component(name in ".{0,40}") {
            if let Ok(accepted) = FileName::parse(&name) {
                let path = std::path::Path::new(accepted.as_str());
                prop_assert_eq!(path.components().count(), 1);
                prop_assert_eq!(path.file_name(), Some(OsStr::new(&name)));
            }
        }
    }
}
