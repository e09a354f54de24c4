//! `cargo xtask test` and `interop`: every test that can run here, and the names of those that cannot.
//!
//! Plain `cargo test` does the work, so that a machine with Rust and a C compiler is enough. Tests that
//! need real programs are marked `#[ignore]`; we list them, leave out those whose programs are missing,
//! and run the rest with `--include-ignored`. Doctests run apart: for them `ignore` means "not a test".

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use crate::cargo::{self, Workspace, cargo, shown};
use crate::failure::{Failure, Result};
use crate::tally::Tally;
use crate::{listing, programs, python, stream};

/// What to test, and how.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Install the programs that the tests need; one that is missing all the same is a failure.
    pub(crate) interop: bool,
    /// Only the tests that need programs.
    pub(crate) only_interop: bool,
    /// Let the heavy cases grow to their whole size.
    pub(crate) deep: bool,
    /// Only these packages; all of the workspace where there are none.
    pub(crate) packages: Vec<String>,
    /// Filters and options for the test binaries.
    pub(crate) arguments: Vec<String>,
}

/// How long a test may be silent before it is killed. The slowest end within a minute or two.
const PATIENCE: Duration = Duration::from_secs(300);
/// The same for the whole of the heavy ones.
const DEEP_PATIENCE: Duration = Duration::from_secs(3600);

/// Runs the tests, and closes with the line `N passed, N failed, N skipped`.
pub(crate) fn run(options: &Options) -> Result {
    if let Some(option) = options
        .arguments
        .iter()
        .find(|argument| RESERVED.contains(&argument.as_str()))
    {
        return Err(Failure::usage(format!(
            "{option} is for us to give; call `cargo test` itself for that"
        )));
    }
    let workspace = Workspace::read()?;
    let packages = options
        .packages
        .iter()
        .map(|name| workspace.package(name))
        .collect::<Result<Vec<_>>>()?;

    // All targets, so that examples are built as well: tests run them.
    if !cargo::run(cargo_test(options).arg("--no-run"))? {
        return Err(Failure::new("the tests do not compile"));
    }
    let all = list(options, &[])?;
    let ignored = list(options, &["--ignored"])?;
    let (all, ignored) = (listing::tests(&all), listing::tests(&ignored));
    check_names(&all, &ignored)?;

    let needed = listing::all_needs(all.iter().copied());
    let mut missing = missing(&needed);
    if options.interop && !missing.is_empty() {
        // What could not be installed fails its tests below; the others run all the same.
        if let Err(why) = programs::install(missing.iter().copied()) {
            eprintln!("error: {why}");
        }
        missing = self::missing(&needed);
    }
    let lacking = listing::lacking(&all, &missing);

    let mut tally = Tally::default();
    let present = needed
        .difference(&missing)
        .map(|program| listing::pattern(program));
    if !options.only_interop {
        run_binaries(options, &[], &missing, &mut tally)?;
        if packages.is_empty() || packages.iter().any(|package| package.library) {
            let libraries = packages
                .iter()
                .filter(|package| package.library)
                .map(|package| package.name.clone());
            run_doctests(options, libraries.collect(), &mut tally)?;
        }
    } else if needed.len() > missing.len() {
        run_binaries(options, &present.collect::<Vec<_>>(), &missing, &mut tally)?;
    }

    println!();
    report(&mut tally, &lacking, options.interop);
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Runs the tests that are `chosen` by their paths, with a variable in their environment; none if there
/// are none.
pub(crate) fn run_chosen(
    options: &Options,
    chosen: impl Fn(&str) -> bool,
    (variable, value): (&str, &str),
) -> Result<Option<Tally>> {
    let all = list(options, &[])?;
    let tests: Vec<_> = listing::tests(&all)
        .into_iter()
        .filter(|test| chosen(test))
        .collect();
    if tests.is_empty() {
        return Ok(None);
    }
    let mut command = cargo_test(options);
    command
        .env(variable, value)
        .args(["--tests", "--no-fail-fast", "--", "--exact"])
        .args(tests);
    let mut tally = Tally::default();
    count(&mut command, options, &mut tally)?;
    paragraph("failed:", &tally.failures);
    Ok(Some(tally))
}

/// What would change the meaning of our own `--skip`, or of what we read.
const RESERVED: &[&str] = &[
    "--exact",
    "--list",
    "--format",
    "--ignored",
    "--include-ignored",
];

fn cargo_test(options: &Options) -> Command {
    let mut command = cargo(["test", "--all-features"]);
    if options.packages.is_empty() {
        command.arg("--workspace");
    }
    for package in &options.packages {
        command.args(["--package", package]);
    }
    if options.deep {
        command.env("ROPEWALK_DEEP", "1");
    }
    command.env("PATH", programs::search_path());
    if let Some(python) = python::interpreter() {
        command.env(python::VARIABLE, python);
    }
    command
}

/// The output of a listing of the tests that the filters leave.
fn list(options: &Options, more: &[&str]) -> Result<String> {
    let mut command = cargo_test(options);
    command
        .args(["--quiet", "--tests", "--", "--list", "--format", "terse"])
        .args(more)
        .args(&options.arguments);
    let output = cargo::output(&mut command)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!(
            "the tests cannot be listed by `{}`:\n{why}",
            shown(&command)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The programs among these modules' that are not here.
fn missing<'a>(needed: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let is_here = |module: &str| programs::find(module).is_some_and(programs::Program::is_here);
    needed
        .iter()
        .copied()
        .filter(|module| !is_here(module))
        .collect()
}

/// Tests whose name promises what their attributes or our table do not hold.
fn check_names(all: &[&str], ignored: &[&str]) -> Result<()> {
    for test in all {
        if let Some(unknown) = listing::needs(test).find(|module| programs::find(module).is_none())
        {
            return Err(Failure::new(format!(
                "test {test} stands in a module with_{unknown}, which names a program that the table in \
                 xtask/src/programs.rs does not know: add its line, or call the module something else"
            )));
        }
    }
    let unmarked = all
        .iter()
        .find(|test| listing::needs(test).next().is_some() && !ignored.contains(test));
    if let Some(test) = unmarked {
        return Err(Failure::new(format!(
            "test {test} needs a real program and would fail under plain `cargo test` where that is missing: mark it \
             #[ignore = \"needs PROGRAM; cargo xtask test runs it where it is installed\"]"
        )));
    }
    Ok(())
}

/// Runs the test binaries, adding to the sums.
fn run_binaries(
    options: &Options,
    only: &[String],
    missing: &BTreeSet<&str>,
    tally: &mut Tally,
) -> Result<()> {
    let mut command = cargo_test(options);
    command
        .args(["--tests", "--no-fail-fast", "--", "--include-ignored"])
        .args(only)
        .args(&options.arguments);
    for program in missing {
        command.args(["--skip", &listing::pattern(program)]);
    }
    count(&mut command, options, tally)
}

/// Runs the doctests of these packages' libraries, or of all.
fn run_doctests(options: &Options, packages: Vec<String>, tally: &mut Tally) -> Result<()> {
    let options = Options {
        packages,
        arguments: options.arguments.clone(),
        ..*options
    };
    let mut command = cargo_test(&options);
    command
        .args(["--doc", "--no-fail-fast", "--"])
        .args(&options.arguments);
    count(&mut command, &options, tally)
}

fn count(command: &mut Command, options: &Options, tally: &mut Tally) -> Result<()> {
    println!("$ {}", shown(command));
    let patience = if options.deep {
        DEEP_PATIENCE
    } else {
        PATIENCE
    };
    let mut run = Tally::default();
    let status = stream::watch(command, patience, &mut std::io::stdout(), |line| {
        run.line(line)
    })?;
    run.end_of_run(status.success());
    tally.add(run);
    Ok(())
}

/// Names what failed and what did not run. What lacks its program is a failure where all was to run.
fn report(tally: &mut Tally, lacking: &[(&str, &str)], all_must_run: bool) {
    if all_must_run {
        for (test, program) in lacking {
            tally.fail(format!("{test}: needs {program}, which is not installed"));
        }
    } else {
        tally.skipped += lacking.len();
        let mut by_program = BTreeMap::<&str, Vec<&str>>::new();
        for (test, program) in lacking {
            by_program.entry(program).or_default().push(test);
        }
        for (program, tests) in by_program {
            paragraph(&format!("skipped for lack of {program}:"), &tests);
        }
    }
    paragraph("skipped, marked to be ignored:", &tally.ignored);
    paragraph("failed:", &tally.failures);
}

fn paragraph(title: &str, names: &[impl AsRef<str>]) {
    if !names.is_empty() {
        println!("{title}");
        names
            .iter()
            .for_each(|name| println!("    {}", name.as_ref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_test_is_in_the_table_and_marked() {
        let good = "lab::with_curl::fetches";
        assert!(check_names(&[good, "plain"], &[good]).is_ok());
        assert!(check_names(&["plain"], &[]).is_ok());
        let unknown =
            check_names(&["lab::with_crul::fetches"], &["lab::with_crul::fetches"]).unwrap_err();
        assert!(unknown.to_string().contains("lab::with_crul::fetches"));
        let unmarked = check_names(&[good], &[]).unwrap_err();
        assert!(unmarked.to_string().contains("#[ignore"));
    }

    #[test]
    fn a_skipped_test_is_counted_once_and_fails_where_all_must_run() {
        let lacking = [("with_curl::with_nc::both", "curl"), ("with_nc::one", "nc")];
        let mut tally = Tally::default();
        report(&mut tally, &lacking, false);
        assert_eq!(tally.to_string(), "0 passed, 0 failed, 2 skipped");
        let mut tally = Tally::default();
        report(&mut tally, &lacking, true);
        assert_eq!(tally.to_string(), "0 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn our_own_options_are_refused() {
        let options = Options {
            arguments: vec!["--exact".into()],
            ..Options::default()
        };
        assert!(run(&options).unwrap_err().to_string().contains("--exact"));
    }
}
