//! A benchmark's command line, and what it does with it.

use std::{env, fs, io, path::Path, process::ExitCode};

use crate::{Line, meter, record, report};

/// What the rows share.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Interleaved rounds.
    pub rounds: usize,
    /// A look, not a measurement: little of everything.
    pub quick: bool,
}

/// A row, or several of one kind: its name on the command line, and what
/// measures it.
pub type Row = (&'static str, fn(&Options) -> Vec<Line>);

/// This program once more, in another part: it is given its second argument.
pub type Again = fn(&str) -> io::Result<()>;

/// One benchmark: `cargo xtask bench NAME`.
#[derive(Clone, Copy)]
pub struct Benchmark {
    /// The NAME, which BENCHMARKS.md's marks bear too:
    /// `<!-- NAME: begin -->`.
    pub name: &'static str,
    /// The folder of the sources that are measured, from the root.
    pub sources: &'static str,
    /// Rows that always run, unless some are named.
    pub rows: &'static [Row],
    /// Rows that run only by an option of their own: its name with the dashes.
    pub extra: &'static [Row],
    /// What this program is once more, as the server or the clients of a row,
    /// by its first argument.
    pub again: &'static [(&'static str, Again)],
    /// Crates among the peers, whose versions are those of the lock file.
    pub crates: &'static [&'static str],
    /// Other peers, each with its version, as far as they are here.
    pub programs: fn() -> Vec<String>,
}

/// Runs what the command line asks for; `main` returns what it returns.
///
/// # Panics
/// Where something cannot be measured.
pub fn run(benchmark: &Benchmark) -> ExitCode {
    let usage = |wrong: &str| {
        let rows: Vec<_> = benchmark.rows.iter().map(|(name, _)| *name).collect();
        let extra: String = benchmark
            .extra
            .iter()
            .map(|(name, _)| format!(" [{name}]"))
            .collect();
        eprintln!(
            "{wrong}\nusage: cargo xtask bench {} [--rounds N] [--quick] [--apart]{extra} [--record] [ROW]...\nrows: {}",
            benchmark.name,
            rows.join(", ")
        );
        ExitCode::from(2)
    };
    let mut options = Options {
        rounds: 15,
        quick: false,
    };
    let (mut apart, mut to_record) = (false, false);
    let (mut wanted, mut extra) = (Vec::new(), Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if let Some((_, again)) = benchmark.again.iter().find(|(n, _)| *n == argument) {
            return match again(&arguments.next().unwrap_or_default()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => usage(&error.to_string()),
            };
        }
        if let Some(row) = benchmark.extra.iter().find(|(n, _)| *n == argument) {
            extra.push(row);
            continue;
        }
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--quick" => {
                options = Options {
                    rounds: 3,
                    quick: true,
                };
            }
            "--apart" => apart = true,
            "--record" => to_record = true,
            "--rounds" => match arguments.next().map(|n| n.parse()) {
                Some(Ok(n @ 1..)) => options.rounds = n,
                _ => return usage("--rounds takes a number"),
            },
            row if benchmark.rows.iter().any(|(name, _)| name.contains(row)) => {
                wanted.push(argument);
            }
            other => return usage(&format!("{other} is neither an option nor a row")),
        }
    }
    if to_record && !wanted.is_empty() {
        return usage("--record is for all rows");
    }
    if !apart {
        meter::stay_on_one_core().unwrap();
    }
    let peers = peers(benchmark);
    println!("peers   {peers}");
    println!("rounds  {}\n", options.rounds);
    let mut lines = Vec::new();
    for (name, row) in benchmark.rows {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            lines.extend(row(&options));
        }
    }
    for (_, row) in extra {
        lines.extend(row(&options));
    }
    let table = report::table(&lines);
    print!("{table}");
    if to_record {
        record::record(benchmark, &table, &peers, options.rounds).unwrap();
    }
    ExitCode::SUCCESS
}

/// The peers, each with its version.
fn peers(benchmark: &Benchmark) -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let version = |peer: &&str| {
        let at = lock.split_once(&format!("\nname = \"{peer}\"\nversion = \""))?;
        Some(format!("{peer} {}", at.1.split_once('"')?.0))
    };
    let crates = benchmark.crates.iter().filter_map(version);
    let all: Vec<_> = crates.chain((benchmark.programs)()).collect();
    all.join(", ")
}
