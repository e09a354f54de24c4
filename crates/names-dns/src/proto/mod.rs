//! What is on the wire and in zone files: names, records, messages. No I/O and
//! no clock.

#[cfg(feature = "client")]
pub(crate) mod aliases;
#[cfg(feature = "client")]
pub mod cache;
mod code;
mod edns;
#[cfg(feature = "client")]
pub mod exchange;
#[cfg(feature = "client")]
mod extended;
mod header;
#[cfg(feature = "client")]
mod hosts;
mod layout;
mod message;
pub mod name;
pub mod notify;
#[cfg(feature = "client")]
pub(crate) mod private;
#[cfg(feature = "client")]
mod query;
pub mod rdata;
#[cfg(feature = "client")]
mod resolv_conf;
mod serial;
#[cfg(feature = "client")]
pub(crate) mod special;
#[cfg(feature = "client")]
mod srv;
pub mod transfer;
pub mod tsig;
#[cfg(feature = "client")]
#[cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "the forwarder alone reads requests")
)]
pub(crate) mod walk;
pub(crate) mod words;
mod writer;

pub use code::{Class, Opcode, Rcode, RecordType, UnknownMnemonic};
pub use edns::{Edns, OptionCode, Options, put_option};
#[cfg(feature = "client")]
pub use extended::ExtendedError;
pub use header::Header;
#[cfg(feature = "client")]
pub use hosts::Hosts;
pub use message::{Message, NameBuffer, Question, Questions, Record, Records, Section, WireError};
pub use name::{Name, NameError, NameRef};
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) use query::Key;
#[cfg(feature = "client")]
pub use query::Query;
#[cfg(feature = "client")]
pub use resolv_conf::ResolvConf;
pub use serial::{Serial, SoaNumbers};
#[cfg(feature = "client")]
pub use srv::srv_order;
#[cfg(feature = "server")]
pub(crate) use writer::OWNER;
pub use writer::{Full, LONGEST_MESSAGE, Mark, MessageWriter};
