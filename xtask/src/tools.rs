//! The tools that tasks need beside cargo, at the versions pinned here, in cargo's target folder: what
//! is installed on the machine stays as it is.

use std::path::{Path, PathBuf};

use crate::cargo::{self, cargo};
use crate::failure::{Failure, Result};

/// A crate that installs a program of its own name.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, bans and sources of dependencies, after deny.toml.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};
/// Builds and runs fuzz targets.
pub(crate) const FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
};

impl Tool {
    /// The program, installed first unless this version is there.
    pub(crate) fn program(&self, target: &Path) -> Result<PathBuf> {
        let Self { name, version } = self;
        let root = target.join("tools");
        let program = root.join("bin").join(name);
        let is_pinned = || {
            let output = cargo::output(cargo::command(&program).arg("--version"));
            output.is_ok_and(|output| is_version(&String::from_utf8_lossy(&output.stdout), version))
        };
        if !is_pinned() {
            println!("installing {name} {version}, once: this takes some minutes");
            // Unoptimised: it compiles in half the time, and what it does here takes a second.
            let mut install = cargo([
                "install",
                name,
                "--version",
                &format!("={version}"),
                "--locked",
                "--debug",
            ]);
            install
                .args(["--force", "--quiet"])
                .arg("--root")
                .arg(&root);
            if !cargo::run(&mut install)? {
                return Err(Failure::new(format!(
                    "{name} {version} could not be installed; see above"
                )));
            }
        }
        Ok(program)
    }
}

/// Whether a tool's answer to `--version` is this version: `cargo-deny 0.20.2`.
fn is_version(output: &str, version: &str) -> bool {
    output.split_whitespace().nth(1) == Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert!(is_version("cargo-deny 0.20.2\n", "0.20.2"));
        assert!(is_version("cargo-fuzz 0.13.2 (abc 2026-01-01)\n", "0.13.2"));
        assert!(!is_version("cargo-deny 0.20.20\n", "0.20.2"));
        assert!(!is_version("", "0.20.2"));
    }
}
