//! The stub client, the forwarder and connecting by SRV: whole, in memory and in virtual time, over
//! simulated networks, and with real programs.
#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(all(feature = "client", feature = "server", feature = "testing"))]

#[path = "client/forwarding.rs"]
mod forwarding;
#[cfg(feature = "doh")]
#[path = "client/https.rs"]
mod https;
#[path = "client/interop.rs"]
mod interop;
#[path = "client/lookups.rs"]
mod lookups;
#[path = "client/service.rs"]
mod service;
#[path = "client/simulation.rs"]
mod simulation;
