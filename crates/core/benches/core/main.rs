//! The engine beside its peers, in one run.
//!
//! `cargo xtask bench core [--rounds N] [--quick] [--apart] [--twisted] [--record] [ROW]...`
//!
//! `--record` puts the table into BENCHMARKS.md, which says how to read it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports on standard output, and stops where it cannot measure"
)]

mod crowd;
mod echo;
mod fanout;
mod forward;
mod handshakes;
mod idle;
mod shards;
mod side;
mod twisted;

use std::process::ExitCode;

use ropewalk_bench_kit::{Benchmark, run};
use ropewalk_core::raise_open_files;

const CORE: Benchmark = Benchmark {
    name: "core",
    sources: "crates/core/src",
    rows: &[
        ("echo-small", echo::small),
        ("echo-large", echo::large),
        ("lines", echo::lines),
        ("handshakes", handshakes::handshakes),
        ("idle", idle::idle),
        ("crowd", crowd::crowd),
        ("fanout", fanout::fanout),
        ("forward", forward::forwards),
        ("shards", shards::shards),
    ],
    extra: &[("--twisted", twisted::twisted)],
    again: &[(crowd::HOLD, crowd::hold), (shards::SERVE, shards::serve)],
    crates: &[
        "tokio",
        "tokio-util",
        "hyper",
        "rustls",
        "tokio-rustls",
        "aws-lc-rs",
    ],
    programs: Vec::new,
};

fn main() -> ExitCode {
    // Both ends of 500 subscribers of three sides are here.
    let _ = raise_open_files();
    run(&CORE)
}
