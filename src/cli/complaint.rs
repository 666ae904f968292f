//! What is said of a command line that makes no sense: one sentence that names what is wrong and says
//! what to write instead. Whatever was typed is escaped before it is shown.

use super::args::Arguments;
use crate::base::text::escape;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};
use std::error::Error;
use std::num::{IntErrorKind, ParseIntError};
use std::path::Path;

/// Words that people try, and what they mean here.
const HINTS: [(&str, &str, &str); 20] = [
    ("lab", "--jsonl", "it tells of transfers, and a lab knows of none; use --json"),
    ("relay", "--jsonl", "it tells of transfers, and a relay knows of none; use --json"),
    ("get", "--port", "write the port after the host, as HOST:PORT"),
    ("get", "-p", "write the port after the host, as HOST:PORT"),
    ("get", "--cc", "the sharing side chooses the rate, with `volley share --cc`"),
    ("share", "--tcp", "it serves UDP and TCP at once, and who gets chooses"),
    ("share", "--udp", "it serves UDP and TCP at once, and who gets chooses"),
    ("share", "--overwrite", "the getting side decides that, with `volley get --overwrite`"),
    ("share", "--dry-run", "who gets asks, with `volley get --dry-run`"),
    ("recv", "--dry-run", "who sends asks, with `volley send --dry-run`"),
    ("send", "--port", "write the port after the host, as HOST:PORT"),
    ("send", "-p", "write the port after the host, as HOST:PORT"),
    ("send", "--overwrite", "the receiving side decides that, with `volley recv --overwrite`"),
    ("send", "--force", "the receiving side decides that, with `volley recv --overwrite`"),
    ("recv", "--force", "existing files are replaced with --overwrite"),
    ("recv", "--tcp", "it serves UDP and TCP at once, and the sender chooses"),
    ("recv", "--udp", "it serves UDP and TCP at once, and the sender chooses"),
    ("recv", "--retry", "who sends tries again, with `volley send --retry`"),
    ("share", "--retry", "who gets tries again, with `volley get --retry`"),
    ("recv", "--cc", "the sender chooses the rate, with `volley send --cc`"),
];

/// The text that ends the program with the exit code for usage.
#[must_use]
pub fn usage(sentence: &str) -> String {
    format!("error: {sentence}\n\nFor more information, try '--help'.")
}

/// What is wrong with the words after the program's name.
#[must_use]
pub fn sentence(error: &clap::Error, typed: &[String]) -> String {
    let mut root = Arguments::command();
    root.build();
    let verb = typed.iter().find(|word| !word.starts_with('-'));
    let verb = verb.and_then(|verb| root.find_subcommand(verb));
    let command = verb.unwrap_or(&root);
    let argument = text_of(error, ContextKind::InvalidArg);
    // clap shows an option with what it takes: "--loss <P%>".
    let option = argument.split(' ').next().unwrap_or_default();
    let value = text_of(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            no_command(&root, &text_of(error, ContextKind::InvalidSubcommand))
        }
        ErrorKind::UnknownArgument => unknown(&root, command, &argument, typed),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            bad_value(error, &argument, &value, typed)
        }
        ErrorKind::TooManyValues => format!("{option} takes no value; leave \"={value}\" away"),
        ErrorKind::ArgumentConflict => conflict(option, &text_of(error, ContextKind::PriorArg)),
        ErrorKind::MissingRequiredArgument => format!("something is missing; {}", form(command)),
        ErrorKind::InvalidUtf8 => "an option's value is not UTF-8; write it in UTF-8".into(),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            escape(first.trim_start_matches("error: "))
        }
    }
}

/// Two options that exclude each other, or one that excludes itself.
#[must_use]
pub fn conflict(option: &str, prior: &str) -> String {
    let other = prior.split(' ').next().unwrap_or_default();
    if other == option || other.is_empty() {
        return format!("{option} is given more than once; give it once");
    }
    format!("{option} cannot be had with {other}; leave one of them away")
}

fn no_command(root: &Command, word: &str) -> String {
    let commands = root.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<&str> = commands.flat_map(Command::get_name_and_visible_aliases).collect();
    if let Some(name) = nearest(word, names.iter().copied()) {
        return format!("there is no command \"{word}\"; did you mean \"volley {name}\"?");
    }
    if long_options(root).any(|option| option[2..] == *word) {
        return format!("there is no command \"{word}\"; write: volley --{word}");
    }
    if Path::new(word).exists() {
        return format!("\"{word}\" is no command; to send it, write: volley send {word} HOST");
    }
    format!("there is no command \"{word}\"; the commands are {}", names.join(", "))
}

fn unknown(root: &Command, command: &Command, flag: &str, typed: &[String]) -> String {
    if !flag.starts_with('-') {
        return format!("\"{flag}\" is one word too many; {}", form(command));
    }
    let place = typed.iter().position(|word| escape(word).starts_with(flag));
    let word = place.map_or_else(|| flag.to_owned(), |place| escape(&typed[place]));
    let is_number = flag.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if let Some(before) = place.and_then(|place| typed.get(place.wrapping_sub(1)))
        && is_number
        && before.starts_with('-')
    {
        return format!("\"{word}\" is no value for {}: it cannot be negative", escape(before));
    }
    let verb = command.get_name();
    let path = if verb == root.get_name() { verb.into() } else { format!("volley {verb}") };
    if let Some((_, _, hint)) = HINTS.iter().find(|(v, f, _)| *v == verb && *f == flag) {
        return format!("`{path}` has no {flag}: {hint}");
    }
    let word = word.split('=').next().unwrap_or_default();
    let options: Vec<String> = long_options(command).collect();
    if options.iter().any(|option| option[1..] == *word) {
        return format!("\"{word}\" has one dash too few; write -{word}");
    }
    if let Some(near) = nearest(word, options.iter().map(String::as_str)) {
        return format!("`{path}` has no {flag}; did you mean {near}?");
    }
    let has_it = |other: &&Command| long_options(other).any(|option| option == flag);
    if let Some(other) = root.get_subcommands().find(has_it) {
        let other = other.get_name();
        return format!("`{path}` has no {flag}; it is an option of `volley {other}`");
    }
    format!("`{path}` has no {flag}; `{path} --help` shows what it has")
}

fn bad_value(error: &clap::Error, argument: &str, value: &str, typed: &[String]) -> String {
    let option = argument.split(' ').next().unwrap_or_default();
    let is_option = option.starts_with('-');
    let wants = match error.source() {
        Some(source) => match source.downcast_ref::<ParseIntError>().map(ParseIntError::kind) {
            Some(IntErrorKind::PosOverflow) => "it is too large; write a smaller number".into(),
            Some(_) => "write a whole number, such as 42".into(),
            None => escape(&source.to_string()),
        },
        None => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(values)) if !values.is_empty() => {
                format!("write one of {}", values.join(", "))
            }
            _ => format!("write {}", argument.replace(['<', '>'], "")),
        },
    };
    let is_missing = value.is_empty() && error.source().is_none();
    match (is_option, is_missing && !typed.iter().any(String::is_empty)) {
        (true, true) => format!("{option} needs a value; {wants}"),
        (true, false) => format!("\"{value}\" is no value for {option}: {wants}"),
        (false, _) if value.is_empty() => {
            "an empty word (\"\") is no name; leave it away, or write the name".into()
        }
        (false, _) => format!("\"{value}\" is no {argument}: {wants}"),
    }
}

/// What to write, as a whole.
fn form(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.lines().next().unwrap_or_default();
    format!("write: {}", usage.trim_start_matches("Usage:").trim())
}

fn long_options(command: &Command) -> impl Iterator<Item = String> {
    command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
}

fn text_of(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => escape(text),
        Some(ContextValue::Strings(texts)) => escape(&texts.join(" ")),
        _ => String::new(),
    }
}

/// The candidate that a slip of the fingers makes `word`, if there is one.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let slips = |candidate: &&str| distance(word, candidate);
    let best = candidates.min_by_key(slips)?;
    let allowed = best.chars().count().min(word.chars().count()).div_ceil(3);
    (distance(word, best) <= allowed).then_some(best)
}

/// Characters to add, leave out, replace or swap with their neighbour; case does not count.
fn distance(one: &str, other: &str) -> usize {
    let [one, other] = [one, other].map(|text| text.to_lowercase().chars().collect::<Vec<_>>());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1);
            least = least.min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, other, slips) in [
            ("send", "send", 0),
            ("sned", "send", 1),
            ("SEND", "send", 0),
            ("snd", "send", 1),
            ("recieve", "receive", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), slips, "{one} {other}");
        }
    }

    #[test]
    fn only_what_is_near_is_proposed() {
        let options = ["--loss", "--once", "--open", "--seed"];
        let near = |word| nearest(word, options.into_iter());
        assert_eq!(near("--los"), Some("--loss"));
        assert_eq!(near("--opne"), Some("--open"));
        assert_eq!(near("--verbose"), None);
        assert_eq!(near("x"), None);
    }
}
