//! The authority beside NSD and Knot, and the forwarder beside Unbound, in one run.
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
mod cache;
#[path = "../../tests/authority/daemon.rs"]
#[allow(dead_code, reason = "shared with the tests, which need all of it")]
mod daemon;
mod load;
mod zone;
mod zone_load;

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
        ("cache", cache::cache),
        ("zone-load", zone_load::zone_load),
    ],
    extra: &[],
    again: &[
        (authority::SERVE, authority::serve),
        (cache::FORWARD, cache::run),
        (zone_load::READ, zone_load::read),
    ],
    crates: &["tokio"],
    programs,
};

fn main() -> ExitCode {
    run(&DNS)
}

/// The programs that are peers, as they tell their versions.
fn programs() -> Vec<String> {
    let version = |(program, argument, name): (&str, &str, &str)| {
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let version = text.lines().next()?.split_whitespace().last()?;
        Some(format!("{name} {version}"))
    };
    [
        ("nsd", "-v", "NSD"),
        ("knotd", "-V", "Knot"),
        ("unbound", "-V", "Unbound"),
    ]
    .into_iter()
    .filter_map(version)
    .collect()
}
