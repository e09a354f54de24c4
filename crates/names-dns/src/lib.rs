//! DNS: an authority, a forwarder and a client.

#[cfg(all(feature = "client", feature = "server"))]
pub mod answering;
#[cfg(feature = "client")]
pub mod client;
#[cfg(all(feature = "client", feature = "server"))]
pub mod forward;
pub mod proto;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "server")]
pub mod zone;

pub use hickory_proto;
#[cfg(feature = "client")]
pub use proto::Query;
