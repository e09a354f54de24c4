//! HTTP: so far the messages of HTTP/1.1 without I/O, for both sides.
//!
//! [`proto::h1`] reads and writes what is on the wire, and refuses what two
//! readers could understand differently:
//!
//! ```
//! use bytes::Bytes;
//! use ropewalk_web::proto::h1::{Body, Limits, Request, Scan};
//!
//! let wire = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
//! let limits = Limits::default();
//! let length = Scan::default().request(wire, &limits)?.expect("the head is whole");
//! let request = Request::parse(&Bytes::copy_from_slice(&wire[..length]), &limits)?;
//! assert_eq!(request.uri.path(), "/echo");
//! assert_eq!(request.body, Body::Length(5));
//! # Ok::<(), ropewalk_web::proto::h1::Malformed>(())
//! ```

pub mod proto;
