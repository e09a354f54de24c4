//! The Python packages that tests talk to, at the versions of the table of programs, in a virtual
//! environment in cargo's target folder: what is installed on the machine stays as it is.
//!
//! Tests find its interpreter in `ROPEWALK_PYTHON`, and what its packages bring as commands on the path.
//! What these packages themselves stand on is pip's choice, as it is for whoever installs them.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;

use crate::cargo::{self, Workspace};
use crate::failure::{Failure, Result};

/// The variable that tests find the interpreter in.
pub(crate) const VARIABLE: &str = "ROPEWALK_PYTHON";

/// A package of PyPI.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

impl Package {
    /// Whether this version can be imported by tests.
    pub(crate) fn is_here(&self) -> bool {
        let Some(python) = interpreter().filter(|python| python.exists()) else {
            return false;
        };
        let ask = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))";
        let answer = cargo::output(
            cargo::command(python)
                .args(["-c", ask, self.name])
                .stderr(Stdio::null()),
        );
        answer.is_ok_and(|answer| {
            answer.status.success() && answer.stdout.trim_ascii() == self.version.as_bytes()
        })
    }
}

/// The environment's interpreter, there or not. There is none where cargo does not say where it builds.
pub(crate) fn interpreter() -> Option<PathBuf> {
    Some(folder()?.join("bin/python3"))
}

/// Where the environment has its commands.
pub(crate) fn commands() -> Option<PathBuf> {
    Some(folder()?.join("bin"))
}

fn folder() -> Option<PathBuf> {
    static FOLDER: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| Some(Workspace::read().ok()?.target.join("tools/python")));
    FOLDER.clone()
}

/// Whether the system's Python can make an environment; Debian has a package of its own for that.
pub(crate) fn can_make_environments() -> bool {
    let ask = cargo::output(cargo::command("python3").args(["-c", "import ensurepip, venv"]));
    ask.is_ok_and(|answer| answer.status.success())
}

/// Installs these packages by pip, and makes the environment first.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let Some(folder) = folder() else {
        return Err(Failure::new(
            "cargo does not say where it builds, so there is no place for Python packages",
        ));
    };
    // On one that exists this repairs what a newer Python of the system has left behind.
    let made = cargo::run(cargo::command("python3").args(["-m", "venv"]).arg(&folder))?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let wanted = packages
        .iter()
        .map(|package| format!("{}=={}", package.name, package.version));
    let python = folder.join("bin/python3");
    if !made || !cargo::run(cargo::command(python).args(pip).args(wanted))? {
        return Err(Failure::new(
            "the Python packages that tests need could not be installed; see above",
        ));
    }
    Ok(())
}
