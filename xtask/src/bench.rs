//! `cargo xtask bench NAME`: a benchmark, headed by the machine that its figures hold for.

use std::fs;
use std::thread;

use crate::cargo::{self, Workspace, cargo};
use crate::failure::{Failure, Result};

/// Runs the benchmark of this name, whichever package has it.
pub(crate) fn run(name: &str, arguments: &[String]) -> Result {
    let workspace = Workspace::read()?;
    let packages = &workspace.packages;
    let of_name = packages
        .iter()
        .find(|package| package.benches.iter().any(|bench| bench == name));
    let Some(package) = of_name else {
        let mut known: Vec<_> = packages.iter().flat_map(|it| &it.benches).collect();
        known.sort();
        let known: Vec<_> = known.into_iter().map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "no package has a benchmark called {name}; there are: {}",
            known.join(", ")
        )));
    };
    println!("{}\n", machine());
    let mut command = cargo([
        "bench",
        "--package",
        &package.name,
        "--bench",
        name,
        "--all-features",
        "--",
    ]);
    cargo::run(command.args(arguments))
}

/// The machine's shape, a line each.
fn machine() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let rustc = cargo::output(cargo::command("rustc").arg("--version"))
        .map(|output| output.stdout)
        .unwrap_or_default();
    let facts = [
        (
            "cpu",
            field(&read("/proc/cpuinfo"), "model name").to_owned(),
        ),
        (
            "cores",
            thread::available_parallelism().map_or(String::new(), |n| n.to_string()),
        ),
        (
            "memory",
            field(&read("/proc/meminfo"), "MemTotal").to_owned(),
        ),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("load", read("/proc/loadavg")),
        ("rustc", String::from_utf8_lossy(&rustc).into_owned()),
    ];
    let line = |(name, fact): (&str, String)| {
        let fact = fact.trim();
        format!(
            "{name:<8}{}",
            if fact.is_empty() { "unknown" } else { fact }
        )
    };
    facts.map(line).join("\n")
}

/// The value of the first line `NAME : VALUE`.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(key, value)| (key.trim(), value.trim()))
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: A CPU @ 2:1\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(field(cpuinfo, "model name"), "A CPU @ 2:1");
        assert_eq!(field(cpuinfo, "flags"), "");
    }

    #[test]
    fn every_fact_has_a_line() {
        assert_eq!(machine().lines().count(), 6);
    }
}
