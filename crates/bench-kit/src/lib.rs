//! What the benchmarks share: servers that are measured in turn, what they
//! cost, and the table that BENCHMARKS.md records.
//!
//! It knows neither the engine nor a protocol, and is not published. A
//! benchmark is a program of `harness = false` whose `main` is [`run`] of its
//! rows; `cargo xtask bench NAME` runs it.
//!
//! A server has one thread and one current-thread runtime, or is a process;
//! its clients have another runtime. All of them share one core, unless
//! `--apart`: what wakes the other core differs from run to run by more than
//! what is measured. Sides take turns of some milliseconds within a round and
//! are compared within it; what is reported is the median of the rounds'
//! ratios. Processor time is that of the server, user and system together.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports on standard output, and stops where it cannot measure"
)]

mod compare;
pub mod meter;
mod program;
mod record;
mod report;
mod side;

pub use compare::{Load, compare, compare_servers};
pub use program::{Again, Benchmark, Options, Row, run};
pub use report::{Line, Sample, Spread, Target, print_samples};
pub use side::{Running, Serving, Side, Told, by_hand, connect, runtime};
