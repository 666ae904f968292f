//! The table of cases, `tests/CASES.md`: each is there once, with a test or a reason, and the tests exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The families of cases and how many each has.
const FAMILIES: [(char, usize); 9] = [
    ('N', 24),
    ('A', 19),
    ('M', 32),
    ('F', 22),
    ('D', 16),
    ('K', 13),
    ('T', 5),
    ('U', 7),
    ('L', 7),
];

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    case: &'a str,
    /// File and function of each.
    tests: Vec<(&'a str, &'a str)>,
    reason: &'a str,
}

/// The rows of all tables, without their heads.
fn rows(text: &str) -> Vec<Row<'_>> {
    let cells = |line| -> Option<Vec<&str>> {
        let line: &str = str::strip_prefix(line, "| ")?;
        Some(line.strip_suffix('|')?.split('|').map(str::trim).collect())
    };
    let row = |cells: Vec<_>| match cells[..] {
        ["case", ..] => None,
        [case, _, tests, reason] => {
            let names = tests.split('`').skip(1).step_by(2);
            let tests = names.filter_map(|name| name.split_once("::")).collect();
            Some(Row { case, tests, reason })
        }
        _ => panic!("four cells in each row: {cells:?}"),
    };
    text.lines().filter_map(cells).filter_map(row).collect()
}

/// Whether the file of the repository has a test of that name.
fn is_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap_or_default();
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else {
        return false;
    };
    let mut attributes = before.trim_end().lines().rev().take_while(|line| !line.trim().is_empty());
    attributes.any(|line| line.trim() == "#[test]")
}

/// What is wrong with the table.
fn faults(text: &str) -> Vec<String> {
    let rows = rows(text);
    let mut faults = Vec::new();
    let mut missing: BTreeSet<String> = FAMILIES
        .iter()
        .flat_map(|(family, count)| (1..=*count).map(move |number| format!("{family}{number:02}")))
        .collect();
    for Row { case, tests, reason } in &rows {
        if !missing.remove(*case) {
            faults.push(format!("{case} is no case, or there twice"));
        }
        if tests.is_empty() && reason.is_empty() {
            faults.push(format!("{case} has neither a test nor a reason"));
        }
        let absent = tests.iter().filter(|(file, name)| !is_test(file, name));
        faults.extend(absent.map(|(file, name)| format!("{case}: no test {file}::{name}")));
    }
    faults.extend(missing.iter().map(|case| format!("{case} is not there")));
    faults
}

#[test]
fn every_case_is_there_once_and_every_test_that_is_named_exists() {
    let faults = faults(include_str!("CASES.md"));
    assert!(faults.is_empty(), "tests/CASES.md:\n{}", faults.join("\n"));
}

#[test]
fn each_fault_of_a_table_is_found() {
    let good = format!("| N01 | what | `tests/cases.rs::{}` | |", "each_fault_of_a_table_is_found");
    let rest = faults(&good).len();
    for (row, found) in [
        ("| N02 | what | | a reason |", rest - 1),
        ("| N02 | what | | |", rest),
        ("| N01 | again | | a reason |", rest + 1),
        ("| X01 | what | | a reason |", rest + 1),
        ("| N02 | what | `tests/cases.rs::is_test` | |", rest),
        ("| N02 | what | `tests/nowhere.rs::rows` | |", rest),
    ] {
        assert_eq!(faults(&format!("{good}\n{row}\n")).len(), found, "{row}");
    }
}
