//! Text in diagrams: wrapped, measured, and made safe for SVG.

use crate::base::text;

/// The text in lines of at most `width` characters, broken between words where that is possible.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(width.max(1)) {
            if used > 0 && used + 1 + piece.len() > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.extend(piece);
            used += piece.len();
        }
    }
    lines.push(line);
    lines
}

/// About how wide the text is at font size 100. Measured on the widest of the usual sans-serif fonts: what
/// fits here fits with any of them.
pub(super) fn width_at_100(text: &str) -> u32 {
    text.chars().map(letter_width).sum()
}

/// The text as it may stand in an SVG element or attribute.
pub(super) fn svg_text(text: &str) -> String {
    markup(&printable(text))
}

/// Text that is fit to be shown, as it may stand in an element or attribute of HTML or XML.
pub(super) fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

/// The text with everything spelled out that a terminal or an XML parser would stumble over.
pub(super) fn printable(text: &str) -> String {
    // XML 1.0 2.2: these two are the only characters beyond control characters that must not occur.
    text::escape(text).replace(['\u{fffe}', '\u{ffff}'], "?")
}

fn letter_width(letter: char) -> u32 {
    match letter {
        ' ' | 'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'I' => 35,
        'm' | 'M' | 'w' | 'W' | '@' | '%' => 100,
        'A'..='Z' | '+' | '=' | '<' | '>' | '&' => 84,
        c if c.is_ascii() => 65,
        _ => 105,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_words_break_only_when_they_must() {
        assert_eq!(wrap("5  bytes", 8), ["5  bytes"]);
        assert_eq!(wrap("three later packets", 11), ["three later", "packets"]);
        assert_eq!(wrap("incomprehensible", 10), ["incomprehe", "nsible"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn what_xml_reserves_or_forbids_is_spelled_out() {
        assert_eq!(svg_text("a<b & \"c\">\u{7}\u{ffff}"), "a&lt;b &amp; &quot;c&quot;&gt;\\u{7}?");
    }
}
