//! Servers that have zones from each other: transfers, NOTIFY, secondaries, in virtual time.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy cannot know"
)]

mod attacks;
mod secondaries;
mod servers;
mod simulation;
mod transfers;
