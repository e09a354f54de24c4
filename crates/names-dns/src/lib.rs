//! DNS: an authority, a forwarder and a client.

pub mod proto;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod zone;
