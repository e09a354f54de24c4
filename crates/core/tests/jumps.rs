//! Jumps: headers of the PROXY protocol both ways, clients through proxies, sockets that the
//! service manager passed on.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

#[path = "common/log.rs"]
mod log;

#[path = "jumps/haproxy.rs"]
mod haproxy;
#[path = "jumps/interop.rs"]
mod interop;
#[path = "jumps/proxies.rs"]
mod proxies;
#[path = "jumps/systemd.rs"]
mod systemd;
