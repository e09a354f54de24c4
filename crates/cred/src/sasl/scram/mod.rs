//! SCRAM (RFC 5802; SHA-256: RFC 7677), with channel binding (RFC 5929,
//! section 4, and RFC 9266).
//!
//! `keys.rs` has what a server stores, `message.rs` the four messages,
//! `client.rs` and `server.rs` the two sides.

mod client;
mod keys;
mod message;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use client::{Bind, ScramClient};
pub use keys::{KeysError, ScramHash, ScramKeys};
pub(super) use message::{decode_name, encode_name};
pub(crate) use server::ScramServer;

use crate::{Account, Random, Secret};

/// A way to tie an exchange to the TLS connection below it, so that who sits
/// between, with TLS to either side, is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    kind: BindingKind,
    data: Secret,
}

/// The channel binding types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BindingKind {
    /// 32 bytes exported under `EXPORTER-Channel-Binding` (RFC 9266). For TLS
    /// 1.3, and for TLS 1.2 with extended master secrets.
    TlsExporter,
    /// A hash of the server's certificate (RFC 5929, section 4). Works behind
    /// a proxy that ends TLS with the same certificate.
    TlsServerEndPoint,
}

impl BindingKind {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

impl Binding {
    /// What TLS exported: 32 bytes, label `EXPORTER-Channel-Binding`, empty
    /// context (RFC 9266, section 2).
    pub fn tls_exporter(exported: &[u8; 32]) -> Self {
        Self {
            kind: BindingKind::TlsExporter,
            data: exported.as_slice().into(),
        }
    }

    /// The server certificate's hash: by the hash function of its signature,
    /// SHA-256 where that is MD5 or SHA-1 (RFC 5929, section 4.1).
    pub fn tls_server_end_point(hash: &[u8]) -> Self {
        Self {
            kind: BindingKind::TlsServerEndPoint,
            data: hash.into(),
        }
    }

    /// Its type.
    pub fn kind(&self) -> BindingKind {
        self.kind
    }
}

/// The answer to a look-up of SCRAM keys.
///
/// There is always one: for a user who is not known, or has none, a checker
/// makes [fake keys](ScramKeys::fake) and names no account, so that the
/// exchange goes on to its end and looks like a wrong password.
#[derive(Clone, Debug)]
pub struct ScramRecord {
    /// Salt, iterations and the two keys.
    pub keys: ScramKeys,
    /// Whose they are; `None` if they are fake.
    pub account: Option<Account>,
}

/// A nonce: 192 bits, a multiple of three bytes, so that there is no padding.
fn nonce(random: &Random) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(random.bytes::<24>())
}
