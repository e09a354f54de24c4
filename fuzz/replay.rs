//! A target's corpus, fed to its own check: shared by the tests of all crates that have a target.

use std::{fs, path::Path};

/// Calls the target's own check with each file of its corpus.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|e| panic!("{}: {e}", corpus.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    // In the order of names, so that the first to fail is always the same.
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", corpus.display());
    for path in paths {
        let data = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // Shown only if the check fails.
        eprintln!("{}", path.display());
        check(&data);
    }
}
