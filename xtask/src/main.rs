//! What cargo cannot say, as `cargo xtask COMMAND`: the tests with the real programs they need, the
//! checks of each change, and the heavy ones.
//!
//! Every command works from any folder of the repository, prints what it runs, and ends with 0 if all
//! went well, 1 if something failed, 2 if the command line was wrong.
//! Nothing here is a part of what Ropewalk ships.

// Speaking on standard output is what these tasks are for.
#![allow(clippy::print_stdout)]

mod bench;
mod cargo;
mod check;
mod deep;
mod failure;
mod fuzz;
mod listing;
mod programs;
mod python;
mod simulate;
mod steps;
mod stream;
mod tally;
mod test;
mod tools;

use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

use crate::failure::{Failure, Result};

fn main() -> ExitCode {
    match command().and_then(Command::run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

const HELP: &str = "\
cargo xtask COMMAND

  test [--interop] [-p PACKAGE]... [-- FILTER]...
          All tests and doctests. Those that need a program which is not installed are skipped and
          named. With --interop, or where CI=true, the programs are installed from Debian's packages
          (as root) and from PyPI (into the target folder), and nothing is skipped. What stands behind
          `--` goes to the test binaries.
  interop [-p PACKAGE]...
          Only the tests that need real programs; installs these first.
  check   Before each change: format, clippy with each feature alone, docs, licences and bans,
          `cargo package`. Goes on after a failure and sums up.
  deep    The heavy whole: tests with ROPEWALK_DEEP=1, features in pairs, packages built from their
          archives, a minute for each fuzz target.
  simulate [--seeds N | --seeds A..B] [-p PACKAGE]... [FILTER]
          The tests of modules named `simulation`, over 1,000 seeds each or as many as it says.
  bench NAME [ARGUMENT]...
          Describes the machine, then runs the benchmark NAME of ropewalk-NAME: `cargo xtask bench core`.
  fuzz [TARGET] [--seconds N]
          Fuzzes one target or all of them, 60 seconds each. Needs a C++ compiler, but no nightly Rust.
";

/// A command line that has been understood.
#[derive(Debug, PartialEq)]
enum Command {
    Help,
    Test(test::Options),
    Check,
    Deep,
    Simulate(simulate::Options),
    Bench {
        name: String,
        arguments: Vec<String>,
    },
    Fuzz {
        target: Option<String>,
        time: Duration,
    },
}

fn command() -> Result<Command> {
    Command::parse(lexopt::Parser::from_env())
}

impl Command {
    fn parse(mut args: lexopt::Parser) -> Result<Self> {
        let name = match args.next()? {
            None | Some(Short('h') | Long("help")) => return Ok(Self::Help),
            Some(Value(name)) => name.string()?,
            Some(other) => return Err(other.unexpected().into()),
        };
        let command = match name.as_str() {
            "help" => Self::Help,
            "test" => Self::parse_test(&mut args)?,
            "interop" => match Self::parse_test(&mut args)? {
                Self::Test(options) if !options.arguments.is_empty() => {
                    return Err(Failure::usage(
                        "interop takes no filter; `cargo xtask test --interop -- FILTER` does",
                    ));
                }
                Self::Test(options) => Self::Test(test::Options {
                    interop: true,
                    only_interop: true,
                    ..options
                }),
                other => other,
            },
            "check" => Self::Check,
            "deep" => Self::Deep,
            "simulate" => Self::parse_simulate(&mut args)?,
            "bench" => match args.next()? {
                Some(Value(name)) => Self::Bench {
                    name: name.string()?,
                    arguments: rest(&mut args)?,
                },
                Some(Short('h') | Long("help")) => Self::Help,
                _ => {
                    return Err(Failure::usage(
                        "bench needs a name: `cargo xtask bench core`",
                    ));
                }
            },
            "fuzz" => Self::parse_fuzz(&mut args)?,
            unknown => {
                return Err(Failure::usage(format!(
                    "no such command: {unknown}; `cargo xtask help` lists them"
                )));
            }
        };
        match args.next()? {
            None => Ok(command),
            Some(Short('h') | Long("help")) => Ok(Self::Help),
            Some(other) => Err(other.unexpected().into()),
        }
    }

    fn parse_test(args: &mut lexopt::Parser) -> Result<Self> {
        let mut options = test::Options::default();
        loop {
            // lexopt would swallow the `--`; behind it all belongs to the test binaries.
            if let Some(mut raw) = args.try_raw_args()
                && raw.next_if(|word| word == "--").is_some()
            {
                options.arguments.extend(rest(args)?);
                break;
            }
            match args.next()? {
                None => break,
                Some(Long("interop")) => options.interop = true,
                Some(Short('p') | Long("package")) => {
                    options.packages.push(args.value()?.string()?)
                }
                Some(Short('h') | Long("help")) => return Ok(Self::Help),
                Some(Value(filter)) => options.arguments.push(filter.string()?),
                Some(other) => return Err(other.unexpected().into()),
            }
        }
        Ok(Self::Test(options))
    }

    fn parse_simulate(args: &mut lexopt::Parser) -> Result<Self> {
        let mut options = simulate::Options::default();
        loop {
            match args.next()? {
                None => break,
                Some(Long("seeds")) => options.seeds = Some(args.value()?.string()?),
                Some(Short('p') | Long("package")) => {
                    options.packages.push(args.value()?.string()?)
                }
                Some(Short('h') | Long("help")) => return Ok(Self::Help),
                Some(Value(filter)) if options.filter.is_none() => {
                    options.filter = Some(filter.string()?);
                }
                Some(other) => return Err(other.unexpected().into()),
            }
        }
        Ok(Self::Simulate(options))
    }

    fn parse_fuzz(args: &mut lexopt::Parser) -> Result<Self> {
        let (mut target, mut seconds) = (None, fuzz::A_MINUTE.as_secs());
        loop {
            match args.next()? {
                None => break,
                Some(Long("seconds")) => seconds = args.value()?.parse()?,
                Some(Short('h') | Long("help")) => return Ok(Self::Help),
                Some(Value(name)) if target.is_none() => target = Some(name.string()?),
                Some(other) => return Err(other.unexpected().into()),
            }
        }
        Ok(Self::Fuzz {
            target,
            time: Duration::from_secs(seconds),
        })
    }

    fn run(self) -> Result<bool> {
        match self {
            Self::Help => {
                print!("{HELP}");
                Ok(true)
            }
            Self::Test(mut options) => {
                options.interop |= std::env::var_os("CI").is_some_and(|ci| ci == "true");
                test::run(&options)
            }
            Self::Check => check::run(),
            Self::Deep => deep::run(),
            Self::Simulate(options) => simulate::run(&options),
            Self::Bench { name, arguments } => bench::run(&name, &arguments),
            Self::Fuzz { target, time } => fuzz::run(target.as_deref(), time),
        }
    }
}

/// All that is left, taken literally.
fn rest(args: &mut lexopt::Parser) -> Result<Vec<String>> {
    Ok(args
        .raw_args()?
        .map(|word| word.string())
        .collect::<std::result::Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn help_by_every_name() {
        for line in [
            "",
            "help",
            "--help",
            "-h",
            "test --help",
            "check -h",
            "bench --help",
        ] {
            assert_eq!(parse(line).unwrap(), Command::Help, "{line}");
        }
    }

    #[test]
    fn test_takes_packages_and_passes_on_what_follows() {
        let options = test::Options {
            interop: true,
            packages: vec!["ropewalk-core".into(), "ropewalk".into()],
            arguments: vec!["drain".into(), "--nocapture".into()],
            ..test::Options::default()
        };
        assert_eq!(
            parse("test --interop -p ropewalk-core --package=ropewalk -- drain --nocapture")
                .unwrap(),
            Command::Test(options)
        );
    }

    #[test]
    fn test_takes_a_bare_filter() {
        let options = test::Options {
            arguments: vec!["drain".into()],
            ..test::Options::default()
        };
        assert_eq!(parse("test drain").unwrap(), Command::Test(options));
    }

    #[test]
    fn interop_is_test_with_less() {
        let options = test::Options {
            interop: true,
            only_interop: true,
            ..test::Options::default()
        };
        assert_eq!(parse("interop").unwrap(), Command::Test(options));
        assert!(parse("interop drain").is_err());
    }

    #[test]
    fn fuzz_takes_a_target_and_a_time() {
        let whole = Command::Fuzz {
            target: None,
            time: Duration::from_secs(60),
        };
        assert_eq!(parse("fuzz").unwrap(), whole);
        let one = Command::Fuzz {
            target: Some("endpoint".into()),
            time: Duration::from_secs(5),
        };
        assert_eq!(parse("fuzz endpoint --seconds 5").unwrap(), one);
        assert!(parse("fuzz --seconds soon").is_err());
    }

    #[test]
    fn simulate_takes_seeds_packages_and_a_filter() {
        let options = simulate::Options {
            seeds: Some("5..9".into()),
            filter: Some("relay".into()),
            packages: vec!["ropewalk-core".into()],
        };
        assert_eq!(
            parse("simulate --seeds 5..9 relay -p ropewalk-core").unwrap(),
            Command::Simulate(options)
        );
        assert_eq!(
            parse("simulate").unwrap(),
            Command::Simulate(simulate::Options::default())
        );
        assert!(parse("simulate one other").is_err());
    }

    #[test]
    fn bench_passes_all_on() {
        let bench = Command::Bench {
            name: "core".into(),
            arguments: vec!["--rows".into(), "echo".into()],
        };
        assert_eq!(parse("bench core --rows echo").unwrap(), bench);
        assert!(parse("bench").is_err());
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert!(parse("tset").unwrap_err().to_string().contains("tset"));
        assert!(
            parse("test --interp")
                .unwrap_err()
                .to_string()
                .contains("--interp")
        );
        assert!(parse("check all").unwrap_err().to_string().contains("all"));
    }
}
