//! The lessons show what the program prints and draws: every `volley simulate` in `samples/` runs again.
//!
//! `VOLLEY_WRITE_LESSONS=1 cargo test --test lessons` writes what it prints and draws today into the
//! pages and pictures, to be looked at and committed.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, words};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the pages have their pictures.
const PICTURES: &str = "samples/pictures";

/// Part of a page.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    /// Anything.
    Text(&'a str),
    /// A command as it stands there, and what it printed.
    Example { command: &'a str, printed: &'a str },
}

#[test]
fn every_example_prints_and_draws_what_its_page_shows() {
    let writes = std::env::var_os("VOLLEY_WRITE_LESSONS").is_some();
    let mut faults = Vec::new();
    let mut drawn = BTreeSet::new();
    for page in pages() {
        let text = read(&page);
        let bench = Bench::new();
        fs::create_dir_all(bench.from().join(PICTURES)).expect("room for pictures");
        let mut now = String::new();
        for part in parts(&text) {
            match part {
                Part::Text(text) => now += text,
                Part::Example { command, .. } => {
                    now += command;
                    now += &run(&bench, command);
                }
            }
        }
        if writes {
            fs::write(&page, &now).expect("pages can be written");
        }
        faults.extend(difference(&page, &text, &now));
        for entry in fs::read_dir(bench.from().join(PICTURES)).expect("made above") {
            let entry = entry.expect("made above");
            let kept = root().join(PICTURES).join(entry.file_name());
            let picture = read(&entry.path());
            if writes {
                fs::create_dir_all(root().join(PICTURES)).expect("pictures can be written");
                fs::write(&kept, &picture).expect("pictures can be written");
            }
            let before = fs::read_to_string(&kept).unwrap_or_default();
            faults.extend(difference(&kept, &before, &picture));
            drawn.insert(entry.file_name());
        }
    }
    let kept = fs::read_dir(root().join(PICTURES)).expect("there are pictures");
    let kept = kept.map(|entry| entry.expect("a picture").file_name());
    // The other pictures are of browsers, not of the simulator.
    let kept: BTreeSet<_> = kept.filter(|name| name.to_string_lossy().ends_with(".svg")).collect();
    assert_eq!(kept, drawn, "each picture is drawn by one of the pages");
    assert!(drawn.len() >= 8, "{drawn:?}");
    let how = "VOLLEY_WRITE_LESSONS=1 cargo test --test lessons writes them anew";
    assert!(writes || faults.is_empty(), "{}\n{how}", faults.join("\n"));
}

#[test]
fn every_command_of_the_lecture_works() {
    let page = read(&root().join("samples/lecture.md"));
    let lines = page.lines().filter(|line| line.starts_with("volley simulate"));
    let bench = Bench::new();
    let count = lines.map(|line| bench.volley(&words(&line["volley ".len()..])).expect_code(0));
    assert!(count.count() >= 8);
}

#[test]
fn examples_are_found_in_a_page() {
    let page = "one\n```\n$ volley simulate --x \\\n    --y\na\nb\n$ volley send z\nc\n```\ntwo\n";
    let example =
        Part::Example { command: "$ volley simulate --x \\\n    --y\n", printed: "a\nb\n" };
    let found: Vec<Part<'_>> = parts(page);
    assert!(found.contains(&example), "{found:?}");
    let text = |part: &Part<'_>| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Example { command, printed } => format!("{command}{printed}"),
    };
    assert_eq!(found.iter().map(text).collect::<String>(), page);
    assert_eq!(words_of("$ volley simulate --x \\\n    --y\n"), ["simulate", "--x", "--y"]);
    assert!(difference(Path::new("p"), "a\nb\n", "a\nc\n").is_some_and(|text| text.contains("c")));
}

fn run(bench: &Bench, command: &str) -> String {
    bench.volley(&words_of(command)).expect_code(0).stdout
}

/// The words after the program's name.
fn words_of(command: &str) -> Vec<&str> {
    words(command.trim_start_matches("$ volley "))
        .into_iter()
        .filter(|word| *word != "\\")
        .collect()
}

/// A page in parts that make the whole page again.
fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find("\n$ volley simulate") {
        let (before, after) = rest.split_at(at + 1);
        parts.push(Part::Text(before));
        let mut end = 0;
        for line in after.split_inclusive('\n') {
            end += line.len();
            if !line.ends_with("\\\n") {
                break;
            }
        }
        let (command, after) = after.split_at(end);
        let is_printed = |line: &&str| !line.starts_with("```") && !line.starts_with("$ ");
        let printed = after.split_inclusive('\n').take_while(is_printed).map(str::len).sum();
        let (printed, after) = after.split_at(printed);
        parts.push(Part::Example { command, printed });
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts
}

/// The first line that differs.
fn difference(path: &Path, before: &str, now: &str) -> Option<String> {
    if before == now {
        return None;
    }
    let pairs = before.lines().chain([""]).zip(now.lines().chain([""]));
    let (number, (was, is)) = (1..).zip(pairs).find(|(_, (was, is))| was != is)?;
    Some(format!("{}:{number}: shown:   {was}\n  today:   {is}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("samples")).expect("samples can be listed");
    let paths = entries.map(|entry| entry.expect("samples can be listed").path());
    let mut pages: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    pages.sort();
    pages
}
