//! Transaction signatures: who sent a message, and that nobody changed it
//! (TSIG, RFC 8945).
//!
//! All of it works on whole messages as bytes, so that a server checks a
//! request before it reads it, and signs an answer after it wrote it. No clock
//! is looked at: the time of day is passed in.
//!
//! - A [`Key`] is a shared secret with a name; [`Keys`] are those a server
//!   knows, and [`Keys::check`] says who signed a request.
//! - A [`Signer`] signs the answer, or the many messages of a transfer.
//! - [`sign`] signs a request and returns a [`Verifier`] for what comes back.
//! - [`Rejected`] is what is wrong with a request, and signs the answer that
//!   says so.
//! - [`Replays`] refuses a request that was seen before.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use ropewalk_names_dns::proto::tsig::{self, Algorithm, Key, Keys};
//!
//! let key = Key::new("transfer.example.".parse()?, Algorithm::HmacSha256, b"a secret of 32 bytes or even more");
//! let keys = Keys::from_iter([key.clone()]);
//! let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//!
//! // A question for the SOA of the root.
//! let plain = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01".to_vec();
//! let mut request = plain.clone();
//! let mut verifier = tsig::sign(&mut request, &key, now);
//!
//! let signed = keys.check(&request, now)?.expect("it is signed");
//! assert_eq!(signed.key().name(), key.name());
//! assert_eq!(signed.unsigned(&request), plain);
//!
//! let mut answer = plain.clone();
//! signed.into_signer().sign(&mut answer, now);
//! verifier.verify(&mut answer, now)?;
//! assert_eq!(answer, plain);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It knows no GSS-TSIG and no TKEY: keys are files.

mod check;
mod file;
mod key;
mod record;
mod replay;
mod sign;

pub use check::{Keys, Rejected, Signed};
pub use file::{KeyFileError, parse_keys};
pub use key::{Algorithm, Key};
pub use replay::Replays;
pub use sign::{Signer, Verifier, VerifyError, sign};

use record::Record;

/// The error field of a TSIG record (RFC 8945, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TsigError {
    /// BADSIG (16): the signature does not fit the message and the key.
    BadSig,
    /// BADKEY (17): the key is not known, or not with this algorithm.
    BadKey,
    /// BADTIME (18): the clocks of both sides differ too much, or the message
    /// is an old one sent again.
    BadTime,
    /// BADTRUNC (22): the signature was cut shorter than we allow.
    BadTrunc,
    /// Any other code.
    Other(u16),
}

impl TsigError {
    /// The code on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::BadSig => 16,
            Self::BadKey => 17,
            Self::BadTime => 18,
            Self::BadTrunc => 22,
            Self::Other(code) => code,
        }
    }

    /// What a code means; `None` for 0, which is no error.
    pub fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => None,
            16 => Some(Self::BadSig),
            17 => Some(Self::BadKey),
            18 => Some(Self::BadTime),
            22 => Some(Self::BadTrunc),
            other => Some(Self::Other(other)),
        }
    }
}

impl std::fmt::Display for TsigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadSig => f.write_str("BADSIG: the signature is wrong"),
            Self::BadKey => f.write_str("BADKEY: the key is not known"),
            Self::BadTime => f.write_str("BADTIME: the clocks differ, or the message is old"),
            Self::BadTrunc => f.write_str("BADTRUNC: the signature is cut too short"),
            Self::Other(code) => write!(f, "TSIG error {code}"),
        }
    }
}

/// The message, or the TSIG record in it, is not well formed: FORMERR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// How far clocks may differ, in seconds, in what we sign: 300, as the RFC
/// recommends (section 10).
pub const FUDGE: u16 = 300;

/// The 48 bits of a time of day; before 1970 it counts as 1970.
fn seconds(now: std::time::SystemTime) -> u64 {
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs()) & 0xffff_ffff_ffff
}

#[cfg(test)]
mod tests;
