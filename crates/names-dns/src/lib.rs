//! DNS: an authority, a forwarder and a client.

pub mod proto;
