//! Endpoint strings: where to listen and where to connect, as plain data.
//!
//! [`ServerEndpoint`] and [`ClientEndpoint`] parse and print them; what a
//! scheme means is for [`Schemes`](crate::Schemes) to say.

mod address;
mod client;
mod error;
mod fields;
pub mod grammar;
mod haproxy;
mod jump;
mod network;
mod overlap;
mod server;
mod systemd;

pub(crate) use address::{Host, Interface, ScopedIp, UnixPath};
pub use client::ClientEndpoint;
#[cfg(feature = "tls")]
pub(crate) use client::TlsConnect;
pub(crate) use client::{ClientSpec, TcpConnect, UdpConnect, UnixConnect, UnixDatagramConnect};
pub use error::{ParseError, Problem};
pub use grammar::{Description, MAX_JUMPS, MAX_LENGTH, quote};
pub(crate) use haproxy::Version as ProxyVersion;
pub(crate) use jump::{Jump, JumpKind, ProxyConnect};
pub use network::{Network, NotANetwork};
pub use server::ServerEndpoint;
#[cfg(feature = "tls")]
pub(crate) use server::TlsListen;
pub(crate) use server::{ServerSpec, TcpListen, UdpListen, UnixDatagramListen, UnixListen};
pub(crate) use systemd::SystemdListen;
