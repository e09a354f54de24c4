//! Replays what the fuzzers know, so that ordinary test runs keep what a long run once found.

use std::fs;
use std::path::Path;

#[path = "properties/endpoint.rs"]
mod endpoint;
#[path = "properties/framing.rs"]
mod framing;
#[path = "properties/proxy.rs"]
mod proxy;

#[test]
fn endpoint() {
    replay("endpoint", endpoint::check);
}

#[test]
fn framing() {
    replay("framing", framing::check);
}

#[test]
fn proxy() {
    replay("proxy", proxy::check);
}

/// Calls the target's own check with each file of its corpus.
fn replay(target: &str, check: fn(&[u8])) {
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
