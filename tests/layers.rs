//! The rules of the house that the compiler does not hold: floors, file length, module docs.

use std::fs;
use std::path::Path;

/// The modules of each floor, lowest first. A module imports from lower floors only.
const FLOORS: [&[&str]; 6] = [
    &["base"],
    &["wire", "link"],
    &["transport"],
    &["transfer", "os"],
    &["net", "sim", "lab", "report"],
    &["cli"],
];

/// Who may ask the operating system for the time: everything else repeats from a seed.
const DRIVERS: [&str; 3] = ["net", "lab", "cli"];

/// The longest a file may be, without its tests.
const CODE_LINES_MAX: usize = 400;

#[test]
fn modules_import_from_lower_floors_only() {
    hold_everywhere(import_faults);
}

#[test]
fn files_are_short_and_begin_with_what_they_are() {
    hold_everywhere(shape_faults);
}

#[test]
fn tables_are_hashed_with_a_secret() {
    hold_everywhere(hash_faults);
}

#[test]
fn each_rule_finds_its_fault() {
    let refused = [
        ("link/mod.rs", "use crate::wire::frame;"),
        ("link/mod.rs", "fn f() { crate::cli::run() }"),
        ("link/mod.rs", "use crate::{base, wire};"),
        ("link/loss.rs", "use super::super::wire;"),
        ("sim/world.rs", "use crate::os::clock::Clock;"),
        ("attic/mod.rs", ""),
    ];
    for (file, text) in refused {
        assert_eq!(import_faults(file, text).len(), 1, "{file}: {text}");
    }
    let allowed = [
        ("link/mod.rs", "use crate::base::time;"),
        ("link/mod.rs", "use crate::link::loss;"),
        ("link/loss.rs", "use super::queue; // crate::wire"),
        ("link/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::wire;"),
    ];
    for (file, text) in allowed {
        assert!(import_faults(file, text).is_empty(), "{file}: {text}");
    }
    assert_eq!(hash_faults("a.rs", "type Fast<K, V> = HashMap<K, V, FxBuildHasher>;").len(), 1);
    assert_eq!(hash_faults("a.rs", "impl Hasher for Sum {").len(), 1);
    assert!(hash_faults("a.rs", "let all: HashMap<u64, u64> = HashMap::new();").is_empty());
    let long = "//! Doc.\n".repeat(CODE_LINES_MAX + 1);
    assert_eq!(shape_faults("lib.rs", &long).len(), 1);
    assert_eq!(shape_faults("lib.rs", "pub mod base;").len(), 1);
}

/// Fails with every fault that `rule`, given a path below src/ and its text, finds in the sources.
fn hold_everywhere(rule: impl Fn(&str, &str) -> Vec<String>) {
    let mut files = Vec::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&sources, "", &mut files);
    assert!(!files.is_empty(), "no sources in {}", sources.display());
    let faults = files.iter().flat_map(|(file, text)| rule(file, text));
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("sources can be listed") {
        let path = entry.expect("sources can be listed").path();
        let name = path.file_name().expect("an entry has a name");
        let file = format!("{prefix}{}", name.to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{file}/"), files);
        } else if file.ends_with(".rs") {
            files.push((file, fs::read_to_string(&path).expect("sources are UTF-8")));
        }
    }
    files.sort();
}

fn import_faults(file: &str, text: &str) -> Vec<String> {
    let first = file.split('/').next().unwrap_or(file);
    let module = first.trim_end_matches(".rs");
    if matches!(file, "lib.rs" | "main.rs") {
        return Vec::new();
    }
    let Some(floor) = floor_of(module) else {
        let rule = format!("module `{module}` has no floor: add it to FLOORS");
        return vec![format!("src/{file}:1: {rule}")];
    };
    // As many steps up as lead from this file's module to the crate.
    let over_the_root = "super::".repeat(file.trim_end_matches("/mod.rs").split('/').count());
    let mut faults = Vec::new();
    for (number, line) in code(file, text) {
        let line = line.split("//").next().unwrap_or_default();
        if line.contains(&over_the_root) {
            let rule = "reaches another module by `super`: write `crate::<module>`";
            faults.push(format!("src/{file}:{number}: {rule}"));
        }
        for path in line.split("crate::").skip(1) {
            let mut words = path.split(|c: char| !c.is_alphanumeric() && c != '_');
            let name = words.next().unwrap_or_default();
            let rule = match floor_of(name) {
                _ if name == module => continue,
                _ if name == "os" && !DRIVERS.contains(&module) => {
                    format!("`{module}` imports `os`: only {} do", DRIVERS.join(", "))
                }
                Some(other) if other < floor => continue,
                Some(other) => format!(
                    "`{module}` (floor {floor}) imports `{name}` (floor {other}): lower floors only"
                ),
                None => "`crate::` goes with one module's name: no braces, `*` or root item".into(),
            };
            faults.push(format!("src/{file}:{number}: {rule}"));
        }
    }
    faults
}

/// Whoever can say what is put into a table, and knows its hash, makes all of it collide. The hash of the
/// standard library's tables has a key of its own for each; any other has to be named.
fn hash_faults(file: &str, text: &str) -> Vec<String> {
    let names = ["BuildHasher", "impl Hasher", "impl std::hash::Hasher"];
    let is_fault = |line: &str| names.iter().any(|name| line.contains(name));
    let rule = "a table with a hash of its own: whose input chooses a peer?";
    let faults = code(file, text).filter(|(_, line)| is_fault(line));
    faults.map(|(number, _)| format!("src/{file}:{number}: {rule}")).collect()
}

fn shape_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        let rule = "a file begins with a `//!` line that says what it is";
        faults.push(format!("src/{file}:1: {rule}"));
    }
    let lines = code(file, text).count();
    if lines > CODE_LINES_MAX {
        let rule = format!("{lines} lines without tests, at most {CODE_LINES_MAX}: split it");
        faults.push(format!("src/{file}:{CODE_LINES_MAX}: {rule}"));
    }
    faults
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// The numbered lines before `mod tests` (clippy lets nothing follow it); none in a tests file.
fn code<'a>(file: &str, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let mut parts = file.split('/');
    let code = if parts.any(|part| matches!(part, "tests" | "tests.rs")) {
        ""
    } else {
        text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
    };
    (1..).zip(code.lines())
}
