//! The examples, run as a reader would run them.
#![allow(
    clippy::unwrap_used,
    reason = "an error in a test is a failure of the test"
)]

#[path = "examples/client.rs"]
mod client;
#[path = "examples/server.rs"]
mod server;
