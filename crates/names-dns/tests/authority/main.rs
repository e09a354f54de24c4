//! The authority as others see it: beside NSD and Knot, under attack, and over
//! sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

mod ask;
#[allow(dead_code, reason = "shared with the benchmark")]
mod daemon;
mod differential;
