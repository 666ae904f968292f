//! Text that came from elsewhere, made safe to show.

use std::ffi::OsStr;

/// The text with everything escaped that could move a cursor, hide or reorder what a person reads:
/// control characters, bidirectional overrides, zero-width characters, and the backslash itself.
#[must_use]
pub fn escape(text: &str) -> String {
    text.chars()
        .map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().collect() })
        .collect()
}

/// The same for what the system calls something: bytes that are no UTF-8 are spelled out, so that names that
/// differ in them are shown apart.
#[must_use]
pub fn escape_os(text: impl AsRef<OsStr>) -> String {
    let chunks = text.as_ref().as_encoded_bytes().utf8_chunks();
    let shown = chunks.map(|chunk| {
        let spelled: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        escape(chunk.valid()) + &spelled
    });
    shown.collect()
}

/// What another program says to people, made safe to show. It has escaped the names in it already, so a
/// backslash is one.
#[must_use]
pub fn disarm(text: &str) -> String {
    let is_safe = |c| c == '\\' || is_plain(c);
    text.chars()
        .map(|c| if is_safe(c) { c.to_string() } else { c.escape_default().collect() })
        .collect()
}

/// What the system says, without its number.
#[must_use]
pub fn show_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.rfind(" (os error").map_or(text.clone(), |end| text[..end].to_owned())
}

fn is_plain(c: char) -> bool {
    !c.is_control()
        && c != '\\'
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_words() {
        let error = std::io::Error::from_raw_os_error(2);
        assert!(error.to_string().contains("os error"));
        assert!(!show_error(&error).contains("os error") && !show_error(&error).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_told_apart() {
        use std::os::unix::ffi::OsStrExt;
        let shown = |bytes| escape_os(OsStr::from_bytes(bytes));
        assert_eq!(shown(b"caf\xe9"), "caf\\xe9");
        assert_eq!(shown(b"caf\xe8"), "caf\\xe8");
        assert_eq!(shown("Füße\n".as_bytes()), "Füße\\n");
        assert_eq!(shown(b"\xf0\x9f.txt"), "\\xf0\\x9f.txt");
    }

    #[test]
    fn what_could_fool_a_reader_is_spelled_out() {
        assert_eq!(escape("notes.txt"), "notes.txt");
        assert_eq!(escape("Füße 文.txt"), "Füße 文.txt");
        assert_eq!(escape("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(escape("x\ny\\"), "x\\ny\\\\");
        assert_eq!(escape("exe\u{202e}txt.\u{200b}"), "exe\\u{202e}txt.\\u{200b}");
    }
}
