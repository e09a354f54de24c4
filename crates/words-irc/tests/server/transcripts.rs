//! What clients say and are told, as data: see `script` for how the files are written. With
//! `UPDATE_EXPECT=1` what was told is written into them.

use std::path::Path;

use super::script::play;

#[test]
fn every_transcript_is_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        eprintln!("{}", path.display());
        expect_test::expect_file![path].assert_eq(&play(&script));
    }
}
