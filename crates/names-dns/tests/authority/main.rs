//! The authority as others see it: beside NSD and Knot, under attack, and over
//! sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

mod ask;
mod daemon;
mod differential;
