//! The engine beside its peers, in one run.
//!
//! `cargo xtask bench core [--rounds N] [--quick] [--apart] [--twisted] [--record] [ROW]...`
//!
//! A server has one thread and one current-thread runtime, its clients have
//! another. All of them share one core, unless `--apart`: what wakes the other
//! core differs from run to run by more than what is measured. Sides take
//! turns of some milliseconds within a round and are compared within it; what
//! is reported is the median of the rounds' ratios. Processor time is that of
//! the server's thread, user and system together.
//!
//! `--record` puts the table into BENCHMARKS.md, which says how to read it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports on standard output, and stops where it cannot measure"
)]

mod compare;
mod crowd;
mod echo;
mod fanout;
mod forward;
mod handshakes;
mod idle;
mod meter;
mod record;
mod report;
mod shards;
mod side;
mod twisted;

use std::{env, fs, path::Path, process::ExitCode};

use report::{Line, Options};
use ropewalk_core::raise_open_files;

type Row = (&'static str, fn(&Options) -> Vec<Line>);

const ROWS: [Row; 9] = [
    ("echo-small", echo::small),
    ("echo-large", echo::large),
    ("lines", echo::lines),
    ("handshakes", handshakes::handshakes),
    ("idle", idle::idle),
    ("crowd", crowd::crowd),
    ("fanout", fanout::fanout),
    ("forward", forward::forwards),
    ("shards", shards::shards),
];

/// Those whose versions matter.
const PEERS: [&str; 6] = [
    "tokio",
    "tokio-util",
    "hyper",
    "rustls",
    "tokio-rustls",
    "aws-lc-rs",
];

fn main() -> ExitCode {
    let mut options = Options {
        rounds: 15,
        idle: 1000,
    };
    let (mut apart, mut with_twisted, mut to_record) = (false, false, false);
    let mut wanted = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            // This program once more, as what a row measures or needs.
            crowd::HOLD | shards::SERVE => {
                let _ = raise_open_files();
                let what = arguments.next().unwrap_or_default();
                let other = match argument == crowd::HOLD {
                    true => crowd::hold,
                    false => shards::serve,
                };
                return match other(&what) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => usage(&error.to_string()),
                };
            }
            "--quick" => {
                options = Options {
                    rounds: 3,
                    idle: 200,
                };
            }
            "--apart" => apart = true,
            "--twisted" => with_twisted = true,
            "--record" => to_record = true,
            "--rounds" => match arguments.next().map(|n| n.parse()) {
                Some(Ok(n @ 1..)) => options.rounds = n,
                _ => return usage("--rounds takes a number"),
            },
            row if ROWS.iter().any(|(name, _)| name.contains(row)) => {
                wanted.push(argument);
            }
            other => return usage(&format!("{other} is neither an option nor a row")),
        }
    }
    // Both ends of 500 subscribers of three sides are here.
    let _ = raise_open_files();
    if !apart {
        meter::stay_on_one_core().unwrap();
    }
    println!("peers   {}", versions());
    println!("rounds  {}\n", options.rounds);
    let mut lines = Vec::new();
    for (name, row) in ROWS {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            lines.extend(row(&options));
        }
    }
    if with_twisted {
        lines.extend(twisted::twisted(&options));
    }
    let table = report::table(&lines);
    print!("{table}");
    if to_record {
        record::record(&table, &versions(), options.rounds).unwrap();
    }
    ExitCode::SUCCESS
}

fn usage(wrong: &str) -> ExitCode {
    let rows = ROWS.map(|(name, _)| name).join(", ");
    eprintln!(
        "{wrong}\nusage: cargo xtask bench core [--rounds N] [--quick] [--apart] [--twisted] [--record] [ROW]...\nrows: {rows}"
    );
    ExitCode::from(2)
}

/// The peers, with the versions that the lock file gives them.
fn versions() -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let version = |peer: &str| {
        let at = lock.split_once(&format!("\nname = \"{peer}\"\nversion = \""))?;
        Some(format!("{peer} {}", at.1.split_once('"')?.0))
    };
    let found: Vec<_> = PEERS.iter().filter_map(|peer| version(peer)).collect();
    found.join(", ")
}
