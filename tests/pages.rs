//! What the README and the lessons point to exists: files behind links, tests behind names.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_link_leads_to_a_file() {
    let faults: Vec<_> = pages().iter().flat_map(|page| link_faults(page, &read(page))).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let readme = read(&root().join("README.md"));
    let names = tests_named(&readme);
    assert!(
        names.len() > 10,
        "the table of what the notes teach names a test in each row: {names:?}"
    );
    let faults: Vec<_> = names.into_iter().filter(|name| !is_test(name)).collect();
    assert!(faults.is_empty(), "no such tests: {faults:?}");
}

#[test]
fn each_rule_finds_its_fault() {
    let page = root().join("samples/page.md");
    let right = "[a](README.md), [b](../src/net/udp.rs#L1), [c](https://example.org), [d](#here)";
    assert_eq!(link_faults(&page, right), [""; 0]);
    assert_eq!(link_faults(&page, "see [a](README.md) and\n[b](nowhere.md)").len(), 1);
    assert_eq!(tests_named("| `a.rs` | `pages.rs::f` | `x::y` |"), [("pages.rs", "f")]);
    assert!(is_test(&("pages.rs", "each_rule_finds_its_fault")));
    assert!(!is_test(&("pages.rs", "link_faults")));
    assert!(!is_test(&("nowhere.rs", "each_rule_finds_its_fault")));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The README and all pages of samples/.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("samples")).expect("samples can be listed");
    let mut pages: Vec<PathBuf> = entries
        .map(|entry| entry.expect("samples can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Relative links that lead nowhere.
fn link_faults(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().expect("a page is in a folder");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://"))
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("{}: {target} does not exist", page.display()))
        .collect()
}

/// What is written as `file.rs::name`.
fn tests_named(text: &str) -> Vec<(&str, &str)> {
    let words = text.split('`').skip(1).step_by(2);
    words
        .filter_map(|word| word.split_once("::"))
        .filter(|(file, _)| file.ends_with(".rs"))
        .collect()
}

fn is_test((file, name): &(&str, &str)) -> bool {
    let text = fs::read_to_string(root().join("tests").join(file)).unwrap_or_default();
    let Some((before, _)) = text.split_once(&format!("fn {name}()")) else {
        return false;
    };
    let mut attributes = before.lines().rev().take_while(|line| !line.trim().is_empty());
    attributes.any(|line| line.trim() == "#[test]")
}
