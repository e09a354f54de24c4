//! What is on the wire and in zone files: names, records, messages. No I/O and
//! no clock.

mod code;
mod edns;
mod header;
mod layout;
mod message;
pub mod name;
pub mod notify;
pub mod rdata;
mod serial;
pub mod transfer;
pub mod tsig;
pub(crate) mod words;
mod writer;

pub use code::{Class, Opcode, Rcode, RecordType, UnknownMnemonic};
pub use edns::{Edns, OptionCode, Options, put_option};
pub use header::Header;
pub use message::{Message, NameBuffer, Question, Questions, Record, Records, Section, WireError};
pub use name::{Name, NameError, NameRef};
pub use serial::{Serial, SoaNumbers};
pub(crate) use writer::OWNER;
pub use writer::{Full, LONGEST_MESSAGE, Mark, MessageWriter};
