//! Servers: an [`Authority`] answers from [`Zones`](crate::zone::Zones), over
//! datagrams, TCP and TLS.
//!
//! What an authority says to a question is made without I/O, and tested so;
//! what it says again is copied. Transfers, NOTIFY and UPDATE are an
//! [`Extension`]'s.

mod answer;
mod authority;
pub(crate) mod cookies;
mod counters;
mod datagram;
mod deny;
mod extension;
mod hot;
mod options;
mod rate;
pub mod replication;
mod request;
mod responder;
mod special;
mod stream;

pub use authority::Authority;
pub use cookies::CookieSecret;
pub use datagram::{AuthorityDatagrams, LateAnswer};
pub use extension::{Asker, Extension, Reply, Via};
pub use options::AuthorityOptions;
pub use rate::RateLimit;
pub use request::Request;
