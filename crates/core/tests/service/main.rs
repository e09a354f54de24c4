//! Services: their order, their failures, their end; clients that connect
//! again, and scheduled work; in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

mod client;
mod privileges;
mod schedule;
mod tree;

const fn secs(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n)
}
