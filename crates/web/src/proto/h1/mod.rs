//! HTTP/1.0 and 1.1 on the wire (RFC 9112): heads, where bodies end, chunks.
//!
//! Two programs that disagree on where a message ends can be made to take one
//! client's bytes for another's request. So nothing is read here in two ways:
//! what RFC 9112 lets a recipient repair is refused instead, line ends are
//! CR LF, and a length is told once. Each refusal is a [`Malformed`], with the
//! status that answers it.
//!
//! | module | subject |
//! | --- | --- |
//! | [`Scan`] | where a head ends, however it arrives |
//! | [`Request`], [`Response`] | a head, parsed |
//! | [`Body`] | where its body ends |
//! | [`Chunked`] | the chunked coding, read |
//! | [`write`](mod@write) | heads and chunks, written |

mod body;
mod chunked;
mod field;
mod malformed;
mod request;
mod response;
mod scan;
mod target;
pub mod write;

pub use body::Body;
pub use chunked::{Chunked, Piece};
pub use malformed::Malformed;
pub use request::{Request, Version};
pub use response::Response;
pub use scan::{Limits, Scan};
