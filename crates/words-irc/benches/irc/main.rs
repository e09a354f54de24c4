//! The server beside ngIRCd and InspIRCd, and messages beside `irc-proto`, in
//! one run.
//!
//! `cargo xtask bench irc [--rounds N] [--quick] [--apart] [--record] [ROW]...`
//!
//! The peers are found by name (`apt-get install ngircd inspircd`); who is not
//! here is left out. `peers.rs` says how they are configured. `--record` puts
//! the table into BENCHMARKS.md, which says how to read it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports on standard output, and stops where it cannot measure"
)]

mod client;
mod crowd;
mod fanout;
mod ours;
mod parse;
mod peers;
mod registration;

use std::process::ExitCode;

use ropewalk_bench_kit::{Benchmark, run};
use ropewalk_core::raise_open_files;

const IRC: Benchmark = Benchmark {
    name: "irc",
    sources: "crates/words-irc/src",
    rows: &[
        ("fanout", fanout::bursts),
        ("paced", fanout::paced),
        ("crowd", crowd::crowd),
        ("registration", registration::registration),
        ("parse", parse::parse),
    ],
    extra: &[],
    again: &[(crowd::HOLD, crowd::hold), (ours::SERVE, ours::serve)],
    crates: &["tokio", "irc-proto"],
    programs: peers::versions,
};

fn main() -> ExitCode {
    // The clients of several servers at a time are here.
    let _ = raise_open_files();
    run(&IRC)
}
