//! Runs the real binary, as an operator does: arguments, listening lines, exit statuses, drains, the
//! lab, and other people's programs as clients of it.
//!
//! The system chooses the ports, and tests wait for lines and ends of files, never for a time.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy cannot know"
)]

mod arguments;
mod common;
mod dns;
mod drain;
mod forward;
mod interop;
mod irc;
mod lab;
mod operating;
mod site;
mod small;
mod user;
mod web;
