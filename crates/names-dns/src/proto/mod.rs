//! What is on the wire and in zone files: names, records, messages. No I/O and
//! no clock.

mod code;
pub mod name;
pub mod tsig;

pub use code::{Class, Opcode, Rcode, RecordType, UnknownMnemonic};
pub use name::{Name, NameError, NameRef};
