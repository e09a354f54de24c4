//! `cargo xtask fuzz`: the targets in `fuzz/`, by a pinned cargo-fuzz, on the stable toolchain.
//!
//! `fuzz/corpus/TARGET` in git holds the inputs worth keeping, which the ordinary tests replay; a run
//! reads them and leaves what it finds in cargo's target folder. An input that crashes is kept in
//! `fuzz/artifacts/TARGET`: once it is understood, it moves to the corpus.

use std::fs;
use std::time::Duration;

use crate::cargo::{self, Workspace, root};
use crate::failure::{Failure, Result};
use crate::tools;

/// How long each target is fuzzed where nobody says.
pub(crate) const A_MINUTE: Duration = Duration::from_secs(60);

/// Fuzzes one target, or each of them; says whether none crashed.
pub(crate) fn run(target: Option<&str>, time: Duration) -> Result {
    let mut targets = targets()?;
    if let Some(only) = target {
        if !targets.iter().any(|target| target == only) {
            return Err(Failure::usage(format!(
                "no fuzz target {only}; there are: {}",
                targets.join(", ")
            )));
        }
        targets.retain(|target| target == only);
    }
    let workspace = Workspace::read()?;
    let program = tools::FUZZ.program(&workspace.target)?;
    let mut success = true;
    for target in targets {
        let kept = root().join("fuzz/corpus").join(&target);
        let found = workspace.target.join("fuzz-corpus").join(&target);
        for folder in [&kept, &found] {
            fs::create_dir_all(folder).map_err(|error| {
                Failure::new(format!("cannot make {}: {error}", folder.display()))
            })?;
        }
        let mut fuzz = cargo::command(&program);
        // Instrumentation is a nightly option, and works in a stable compiler that is told so.
        fuzz.env("RUSTC_BOOTSTRAP", "1");
        // New finds go to the first folder only.
        fuzz.args(["run", &target]).arg(found).arg(kept);
        fuzz.args([
            "--",
            &format!("-max_total_time={}", time.as_secs()),
            "-timeout=10",
            "-print_final_stats=1",
        ]);
        success &= cargo::run(&mut fuzz)?;
    }
    Ok(success)
}

/// The names of all targets, sorted.
pub(crate) fn targets() -> Result<Vec<String>> {
    let Ok(files) = fs::read_dir(root().join("fuzz/fuzz_targets")) else {
        return Ok(Vec::new());
    };
    let is_source =
        |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let files = files.flatten().map(|file| file.path()).filter(is_source);
    let mut names: Vec<_> = files
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}
