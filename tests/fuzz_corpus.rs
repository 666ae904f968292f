//! What the fuzzer learned, repeated: every file of every corpus through its target.

#[expect(unreachable_pub, reason = "for the fuzzer it is a library")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[test]
fn no_target_finds_a_fault_with_what_is_known() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut faults = Vec::new();
    for (name, _) in targets::TARGETS {
        let files = listed(&corpora.join(name));
        assert!(!files.is_empty(), "fuzz/corpus/{name} is empty");
        for file in files {
            let bytes = fs::read(&file).expect("it can be read");
            if catch_unwind(|| targets::run(name, &bytes)).is_err() {
                faults.push(file.display().to_string());
            }
        }
    }
    assert!(faults.is_empty(), "bytes that break something:\n{}", faults.join("\n"));
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = targets::TARGETS.map(|(name, _)| name.to_owned());
    for directory in ["corpus", "src/bin"] {
        let stem =
            |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let found: Vec<String> = listed(&fuzz.join(directory)).iter().map(stem).collect();
        assert_eq!(found, names, "fuzz/{directory}");
    }
}

fn listed(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it can be listed");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}
