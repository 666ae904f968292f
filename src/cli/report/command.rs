//! What to type to do it again: the words of this command line as a shell takes them.

use crate::base::text::escape;
use crate::cli::environment::variable;
use crate::cli::lab;
use std::ffi::{OsStr, OsString};

/// The command line of this program, with the variables that count as flags in front of it, and with the
/// seed, if it was drawn and not given.
#[must_use]
pub fn again(seed: Option<u64>) -> String {
    let flags = crate::cli::flags();
    let variables = flags.filter_map(|flag| {
        let name = variable(&flag);
        let value = std::env::var_os(&name).filter(|value| !value.is_empty())?;
        Some((name, value))
    });
    line(&variables.collect::<Vec<_>>(), lab::typed_words().into_iter().skip(1), seed)
}

fn line(
    variables: &[(String, OsString)],
    words: impl Iterator<Item = OsString>,
    seed: Option<u64>,
) -> String {
    let variables = variables.iter().map(|(name, value)| format!("{name}={}", quote(value)));
    let words: Vec<String> = words.map(|word| quote(&word)).collect();
    let has_seed = variables.clone().any(|text| text.starts_with("VOLLEY_SEED="))
        || words.iter().any(|word| word == "--seed" || word.starts_with("--seed="));
    let seed = seed.filter(|_| !has_seed).map(|seed| format!("--seed {seed}"));
    let program = std::iter::once("volley".to_owned());
    // A seed behind `--` would be a file: it goes right behind the command.
    let (verb, rest) = words.split_at(words.len().min(1));
    let parts = variables.chain(program).chain(verb.iter().cloned()).chain(seed);
    parts.chain(rest.iter().cloned()).collect::<Vec<_>>().join(" ")
}

/// The word as a POSIX shell takes it, or one that knows `$'...'` where characters cannot be shown.
fn quote(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let is_safe = |c: char| c.is_alphanumeric() || "-_=+:,./@%^".contains(c);
    if !text.is_empty() && text.chars().all(is_safe) {
        return text.into_owned();
    }
    if escape(&text).replace(r"\\", r"\") == text {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let spelled = text.chars().map(|c| match c {
        '\'' => r"\'".to_owned(),
        c if escape(&c.to_string()).len() > c.len_utf8() => match u32::from(c) {
            0x5c => r"\\".to_owned(),
            code @ 0..0x1_0000 => format!("\\u{code:04x}"),
            code => format!("\\U{code:08x}"),
        },
        c => c.to_string(),
    });
    format!("$'{}'", spelled.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str], seed: Option<u64>) -> String {
        line(&[], words.iter().map(OsString::from), seed)
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        assert_eq!(shown(&["send", "a.bin", "host:7117"], None), "volley send a.bin host:7117");
        assert_eq!(shown(&["send", "my file", ""], None), "volley send 'my file' ''");
        assert_eq!(shown(&["send", "it's; rm *"], None), r"volley send 'it'\''s; rm *'");
        assert_eq!(shown(&["send", r"a\b"], None), r"volley send 'a\b'");
        assert_eq!(shown(&["send", "a\n\u{202e}'\\b"], None), r"volley send $'a\u000a\u202e\'\\b'");
    }

    #[test]
    fn a_seed_that_was_drawn_is_added_where_options_may_stand() {
        assert_eq!(
            shown(&["send", "--", "-a", "host"], Some(7)),
            "volley send --seed 7 -- -a host"
        );
        for given in [&["demo", "--seed", "1"][..], &["demo", "--seed=1"]] {
            assert_eq!(shown(given, Some(1)), format!("volley {}", given.join(" ")));
        }
        let variables = [("VOLLEY_SEED".to_owned(), OsString::from("5"))];
        let words = ["demo"].iter().map(OsString::from);
        assert_eq!(line(&variables, words, Some(5)), "VOLLEY_SEED=5 volley demo");
    }
}
