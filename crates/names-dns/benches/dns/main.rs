//! The authority beside NSD and Knot, in one run.
//!
//! `cargo xtask bench dns [--rounds N] [--quick] [--apart] [--record] [ROW]...`
//!
//! Each server is a process with one thread that answers, the same zone, and no
//! limits. Clients keep some questions in flight. What is compared is processor
//! time of the server's process a query, user and system together.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports on standard output, and stops where it cannot measure"
)]

#[path = "../../tests/authority/ask.rs"]
#[allow(dead_code, reason = "shared with the tests, which need all of it")]
mod ask;
mod authority;
#[path = "../../tests/authority/daemon.rs"]
#[allow(dead_code, reason = "shared with the tests, which need all of it")]
mod daemon;
mod load;
mod zone;

use std::process::{Command, ExitCode};

use ropewalk_bench_kit::{Benchmark, run};

const DNS: Benchmark = Benchmark {
    name: "dns",
    sources: "crates/names-dns/src",
    rows: &[
        ("udp-mix", authority::udp_mix),
        ("udp-hit", authority::udp_hit),
        ("udp-missing", authority::udp_missing),
        ("udp-wildcard", authority::udp_wildcard),
        ("udp-referral", authority::udp_referral),
        ("tcp-mix", authority::tcp_mix),
    ],
    extra: &[],
    again: &[(authority::SERVE, authority::serve)],
    crates: &["tokio"],
    programs,
};

fn main() -> ExitCode {
    run(&DNS)
}

/// NSD and Knot as they tell their versions.
fn programs() -> Vec<String> {
    let version = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Some(text.lines().next()?.replace(" version", ""))
    };
    [("nsd", "-v"), ("knotd", "-V")]
        .into_iter()
        .filter_map(|(program, argument)| version(program, argument))
        .collect()
}
