//! Cargo as a child process, and the workspace as `cargo metadata` describes it.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tinyjson::JsonValue;

use crate::failure::{Failure, Result};

/// The repository's root folder.
pub(crate) fn root() -> PathBuf {
    let here =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here)
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A program to run in the root, with no standard input, and without what `cargo run` set for this
/// process: build scripts must see what they see when a person runs cargo.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name == "CARGO_MANIFEST_DIR"
            || name == "CARGO_MANIFEST_PATH"
        {
            command.env_remove(name);
        }
    }
    command
}

/// The cargo that runs us, to be run with these arguments.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Shows a command, runs it to its end, and says whether it succeeded.
pub(crate) fn run(command: &mut Command) -> Result {
    println!("$ {}", shown(command));
    match command.status() {
        Ok(status) => Ok(status.success()),
        Err(error) => Err(cannot_run(command, &error)),
    }
}

/// Runs a command for what it prints.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command
        .output()
        .map_err(|error| cannot_run(command, &error))
}

/// The sentence for a program that did not even start.
pub(crate) fn cannot_run(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run `{}`: {error}", shown(command)))
}

/// What the tasks ask of the workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The members, in cargo's order.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

/// One member.
#[derive(Debug, PartialEq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Sorted, without `default`.
    pub(crate) features: Vec<String>,
    /// It has a library, and so may have doctests.
    pub(crate) library: bool,
    /// It goes to a registry.
    pub(crate) published: bool,
    pub(crate) benches: Vec<String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let output = output(&mut cargo(["metadata", "--no-deps", "--format-version=1"]))?;
        if !output.status.success() {
            return Err(Failure::new(format!(
                "cargo metadata failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        Self::parse(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
            Failure::new("`cargo metadata` printed something that is not the format of version 1")
        })
    }

    fn parse(metadata: &str) -> Option<Self> {
        let metadata: JsonValue = metadata.parse().ok()?;
        let metadata: &HashMap<_, _> = metadata.get()?;
        let packages: &Vec<_> = metadata.get("packages")?.get()?;
        let target: &String = metadata.get("target_directory")?.get()?;
        let packages = packages.iter().map(Package::parse).collect::<Option<_>>()?;
        Some(Self {
            packages,
            target: target.into(),
        })
    }

    /// The member of this name.
    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        self.packages
            .iter()
            .find(|package| package.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = self
                    .packages
                    .iter()
                    .map(|package| package.name.as_str())
                    .collect();
                Failure::usage(format!(
                    "no package {name} in the workspace; there are: {}",
                    names.join(", ")
                ))
            })
    }
}

impl Package {
    fn parse(json: &JsonValue) -> Option<Self> {
        let package: &HashMap<String, JsonValue> = json.get()?;
        let features: &HashMap<String, JsonValue> = package.get("features")?.get()?;
        let mut features: Vec<_> = features
            .keys()
            .filter(|name| *name != "default")
            .cloned()
            .collect();
        features.sort();
        let (mut library, mut benches) = (false, Vec::new());
        for target in package.get("targets")?.get::<Vec<_>>()? {
            let target: &HashMap<String, JsonValue> = target.get()?;
            for kind in target.get("kind")?.get::<Vec<_>>()? {
                match kind.get::<String>()?.as_str() {
                    "lib" | "rlib" | "proc-macro" => library = true,
                    "bench" => benches.push(target.get("name")?.get::<String>()?.clone()),
                    _ => {}
                }
            }
        }
        Some(Self {
            name: package.get("name")?.get::<String>()?.clone(),
            features,
            library,
            // `null` is "to any registry", an empty list is `publish = false`.
            published: package
                .get("publish")?
                .get::<Vec<_>>()
                .is_none_or(|registries| !registries.is_empty()),
            benches,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_understood() {
        let workspace = Workspace::parse(
            r#"{
                "packages": [
                    {
                        "name": "ropewalk-core", "publish": null,
                        "features": {"default": ["tls"], "tls": [], "run": []},
                        "targets": [{"name": "ropewalk_core", "kind": ["lib"]}, {"name": "core", "kind": ["bench"]}]
                    },
                    {"name": "xtask", "publish": [], "features": {}, "targets": [{"name": "xtask", "kind": ["bin"]}]}
                ],
                "target_directory": "/r/target"
            }"#,
        )
        .unwrap();
        let core = Package {
            name: "ropewalk-core".into(),
            features: vec!["run".into(), "tls".into()],
            library: true,
            published: true,
            benches: vec!["core".into()],
        };
        assert_eq!(*workspace.package("ropewalk-core").unwrap(), core);
        let xtask = workspace.package("xtask").unwrap();
        assert!(!xtask.library && !xtask.published && xtask.features.is_empty());
        assert_eq!(workspace.target, PathBuf::from("/r/target"));
        assert!(
            workspace
                .package("core")
                .unwrap_err()
                .to_string()
                .contains("ropewalk-core, xtask")
        );
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"packages": [{}], "target_directory": ""}"#,
        ] {
            assert!(Workspace::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/usr/local/bin/cargo");
        command.args(["test", "--doc"]);
        assert_eq!(shown(&command), "cargo test --doc");
    }
}
