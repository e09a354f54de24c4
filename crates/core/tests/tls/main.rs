//! TLS over a whole server: which certificate is served to whom and until
//! when, who may come in, what is resumed, and what bad input does.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]
#![cfg(feature = "tls")]

mod authority;
mod bad_input;
mod clients;
mod folder;
mod interop;
#[path = "../common/log.rs"]
mod log;
mod reload;
mod resumption;
mod site;
