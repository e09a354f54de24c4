//! DNS: an authority, a forwarder and a client.
//!
//! # Zones
//!
//! A [`Zone`](zone::Zone) is read from a file, built of records, or received in
//! a transfer; it never changes, and is shared. [`Zones`](zone::Zones) are those of a server, in
//! which one takes another's place while questions are answered. What is wrong with a file is told
//! with line and column, and a linter tells what only looks right:
//!
#![cfg_attr(feature = "server", doc = "```")]
#![cfg_attr(not(feature = "server"), doc = "```text")]
//! use ropewalk_names_dns::proto::{Name, RecordType};
//! use ropewalk_names_dns::zone::{Zone, Zones};
//!
//! let zone = Zone::from_text("example.org".parse()?, "
//! $TTL 1h
//! @    SOA ns hostmaster 2026010100 4h 1h 2w 5m
//!      NS  ns
//! ns   A   192.0.2.1
//! *    CNAME ns
//! ")?;
//! let zones = Zones::new();
//! zones.insert(zone.into());
//!
//! let name: Name = "Www.Example.ORG".parse()?;
//! let map = zones.current();
//! let zone = map.find(name.as_ref()).and_then(|entry| entry.zone()).ok_or("not ours")?;
//! let walk = zone.walk(name.as_ref()).ok_or("not in the zone")?;
//! let wildcard = walk.wildcard().ok_or("no wildcard")?;
//! assert!(wildcard.rrset(RecordType::CNAME).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Asking
//!
//! A [`client::Resolver`] looks names up: by UDP and TCP, over TLS and (with the feature `doh`) over
//! HTTPS, with a cache, along aliases, as the system is configured or with servers of one's own. Its
//! verbs give addresses in the order to try them, or the data of one type; its errors tell "there is
//! no such name" from "nobody knows, and here is who was asked".
//!
//! ```no_run
//! use ropewalk_names_dns::client::Resolver;
//!
//! # async fn example() -> ropewalk_core::Result {
//! let resolver = Resolver::system();
//! for address in resolver.lookup_ip("example.org").await? {
//!     println!("{address}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`client::SrvScheme`] makes `srv:_imaps._tcp.example.org:tls` an endpoint, and
//! [`Schemes::resolve_with`](ropewalk_core::Schemes::resolve_with) has other endpoints ask our
//! resolver. A [`forward::Forwarder`] answers others from its cache and by asking servers.
//! [`testing::FakeDns`] is a name server for the tests of whoever asks: records, failures and delays,
//! in virtual time.
//!
//! What decides all this stands in [`proto::exchange`] and [`proto::cache`], without I/O and without
//! a clock.

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
