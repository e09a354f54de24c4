//! HTTP without I/O: nothing here knows a socket, a clock or a task.
//!
//! What to read first: RFC 9110 (what messages mean) and RFC 9112 (what
//! HTTP/1.1 looks like).

pub mod h1;
