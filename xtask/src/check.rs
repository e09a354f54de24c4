//! `cargo xtask check`: what is run before each change, in minutes.

use std::path::Path;
use std::process::Command;

use crate::cargo::{self, Package, Workspace, cargo, root};
use crate::failure::Result;
use crate::steps::{Outcome, Steps};
use crate::tools;

/// Runs every check, and sums up.
pub(crate) fn run() -> Result {
    let workspace = Workspace::read()?;
    let mut steps = Steps::default();
    steps.step("format", || {
        Ok(cargo::run(&mut cargo(["fmt", "--all", "--check"]))?.into())
    });
    if root().join("fuzz/Cargo.toml").exists() {
        let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
        steps.step("format of fuzz targets", || {
            Ok(cargo::run(&mut cargo(fuzz))?.into())
        });
    }
    steps.step("clippy", || {
        let arguments = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ];
        Ok(cargo::run(&mut cargo(arguments))?.into())
    });
    for package in &workspace.packages {
        each_feature(package, &mut steps);
    }
    steps.step("docs", || {
        let mut doc = cargo(["doc", "--no-deps", "--workspace", "--all-features"]);
        Ok(cargo::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?.into())
    });
    dependencies(&workspace, &mut steps);
    steps.step("package", || {
        Ok(cargo::run(package(&workspace).arg("--no-verify"))?.into())
    });
    Ok(steps.end())
}

/// Clippy with no feature, and with each alone: what one feature needs of another shows here.
///
/// Without tests and examples, which say themselves what they need.
fn each_feature(package: &Package, steps: &mut Steps) {
    if package.features.is_empty() {
        return;
    }
    let name = &package.name;
    steps.step(&format!("clippy of {name} with each feature alone"), || {
        let mut success = true;
        for feature in std::iter::once(None).chain(package.features.iter().map(Some)) {
            let mut clippy = cargo(["clippy", "--package", name, "--no-default-features"]);
            if let Some(feature) = feature {
                clippy.args(["--features", feature]);
            }
            success &= cargo::run(clippy.args(["--", "-D", "warnings"]))?;
        }
        Ok(success.into())
    });
}

/// What cargo-deny says of our dependencies, after deny.toml.
fn dependencies(workspace: &Workspace, steps: &mut Steps) {
    let mut program = None;
    steps.step("licences, bans and sources", || {
        let deny = program.insert(tools::DENY.program(&workspace.target)?);
        Ok(cargo::run(deny_check(deny).args(["licenses", "bans", "sources"]))?.into())
    });
    let Some(program) = program else { return };
    steps.step("advisories", || {
        // Their database is a git repository, on another host than the registry.
        let fetched = cargo::output(cargo::command(&program).args(["fetch", "db"]))?;
        if !fetched.status.success() {
            return Ok(Outcome::Skipped(
                "their database cannot be reached from here".into(),
            ));
        }
        Ok(cargo::run(deny_check(&program).arg("advisories"))?.into())
    });
}

fn deny_check(program: &Path) -> Command {
    let mut command = cargo::command(program);
    command.args(["--all-features", "--locked", "check"]);
    command
}

/// `cargo package` of all that is published, together: they depend on each other, and no registry has
/// them yet.
pub(crate) fn package(workspace: &Workspace) -> Command {
    // What is not committed is what the check is for.
    let mut command = cargo(["package", "--workspace", "--allow-dirty"]);
    for package in workspace
        .packages
        .iter()
        .filter(|package| !package.published)
    {
        command.args(["--exclude", &package.name]);
    }
    command
}
