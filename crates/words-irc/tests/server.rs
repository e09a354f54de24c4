//! The server, as its clients see it.
#![allow(
    clippy::unwrap_used,
    reason = "an error in a test is a failure of the test"
)]

#[path = "server/live.rs"]
mod live;
#[path = "server/logins.rs"]
mod logins;
#[path = "server/script.rs"]
mod script;
#[path = "server/transcripts.rs"]
mod transcripts;
#[cfg(feature = "websocket")]
#[path = "server/websocket.rs"]
mod websocket;
