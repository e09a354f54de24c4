//! Keys, their algorithms, and HMAC over both.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::proto::Name;

/// What a message is signed by (RFC 8945, section 6).
///
/// Of GSS-TSIG nothing is known here. `hmac-md5` and `hmac-sha1` are for peers
/// that have nothing better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `HMAC-MD5.SIG-ALG.REG.INT`, also written `hmac-md5`. Not to be used by
    /// whoever has the choice.
    HmacMd5,
    /// `hmac-sha1`; not recommended.
    HmacSha1,
    /// `hmac-sha224`.
    HmacSha224,
    /// `hmac-sha256`, which the RFC recommends.
    HmacSha256,
    /// `hmac-sha256-128`: the same, cut to 128 bits.
    HmacSha256_128,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha384-192`: the same, cut to 192 bits.
    HmacSha384_192,
    /// `hmac-sha512`.
    HmacSha512,
    /// `hmac-sha512-256`: the same, cut to 256 bits.
    HmacSha512_256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::HmacMd5,
        Self::HmacSha1,
        Self::HmacSha224,
        Self::HmacSha256,
        Self::HmacSha256_128,
        Self::HmacSha384,
        Self::HmacSha384_192,
        Self::HmacSha512,
        Self::HmacSha512_256,
    ];

    /// As key files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacMd5 => "hmac-md5",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha224 => "hmac-sha224",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha256_128 => "hmac-sha256-128",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha384_192 => "hmac-sha384-192",
            Self::HmacSha512 => "hmac-sha512",
            Self::HmacSha512_256 => "hmac-sha512-256",
        }
    }

    /// The algorithm of a name, in any case, with or without the dot at its end.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.eq_ignore_ascii_case("hmac-md5.sig-alg.reg.int") {
            return Some(Self::HmacMd5);
        }
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| name.eq_ignore_ascii_case(algorithm.name()))
    }

    /// How many bytes its signatures have.
    pub fn mac_len(self) -> usize {
        match self {
            Self::HmacMd5 | Self::HmacSha256_128 => 16,
            Self::HmacSha1 => 20,
            Self::HmacSha384_192 => 24,
            Self::HmacSha224 => 28,
            Self::HmacSha256 | Self::HmacSha512_256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// How many bytes its hash has, before any cut.
    fn output_len(self) -> usize {
        match self {
            Self::HmacSha256_128 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
            whole => whole.mac_len(),
        }
    }

    /// The least that a truncated signature may have at all: ten bytes, or
    /// half the hash, whichever is more (section 5.2.2.1).
    pub fn least_mac_len(self) -> usize {
        (self.output_len() / 2).max(10)
    }

    /// The name on the wire.
    pub(super) fn wire(self) -> Vec<u8> {
        let name = match self {
            Self::HmacMd5 => "hmac-md5.sig-alg.reg.int",
            other => other.name(),
        };
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.split('.') {
            wire.push(u8::try_from(label.len()).expect("they are short"));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A secret that two sides share, its name, and how they sign with it.
///
/// Cheap to clone. `Debug` does not show the secret, which is wiped when the
/// last clone is dropped.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    name: Name,
    /// The name in canonical form: lower case.
    canonical: Name,
    algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
    least: usize,
}

impl Key {
    /// A key of these. A peer's signatures must be whole; see
    /// [`with_least_mac`](Self::with_least_mac).
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self(Arc::new(Inner {
            canonical: name.to_lowercase(),
            name,
            algorithm,
            secret: Zeroizing::new(secret.to_vec()),
            least: algorithm.mac_len(),
        }))
    }

    /// The same key, with which signatures cut to `bytes` and more are taken.
    /// Fewer than [`Algorithm::least_mac_len`] cannot be allowed, and count as
    /// that many.
    #[must_use]
    pub fn with_least_mac(&self, bytes: usize) -> Self {
        let this = &self.0;
        Self(Arc::new(Inner {
            name: this.name.clone(),
            canonical: this.canonical.clone(),
            algorithm: this.algorithm,
            secret: this.secret.clone(),
            least: bytes.clamp(this.algorithm.least_mac_len(), this.algorithm.mac_len()),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// How many bytes a message grows by when it is signed with this key.
    pub fn signature_len(&self) -> usize {
        let algorithm = self.algorithm();
        // Name, type to RDLENGTH, algorithm, the fixed fields, and the time
        // that a BADTIME carries.
        self.wire().len() + 10 + algorithm.wire().len() + 16 + algorithm.mac_len() + 6
    }

    /// The shortest signature that is taken.
    pub(super) fn least(&self) -> usize {
        self.0.least
    }

    /// The name in canonical form.
    pub(super) fn wire(&self) -> &[u8] {
        self.0.canonical.as_wire()
    }

    pub(super) fn hmac(&self) -> Hash {
        let secret = &self.0.secret;
        macro_rules! of {
            ($arm:ident) => {
                Hash::$arm(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
            };
        }
        match self.0.algorithm {
            Algorithm::HmacMd5 => of!(Md5),
            Algorithm::HmacSha1 => of!(Sha1),
            Algorithm::HmacSha224 => of!(Sha224),
            Algorithm::HmacSha256 | Algorithm::HmacSha256_128 => of!(Sha256),
            Algorithm::HmacSha384 | Algorithm::HmacSha384_192 => of!(Sha384),
            Algorithm::HmacSha512 | Algorithm::HmacSha512_256 => of!(Sha512),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.0.name.to_string())
            .field("algorithm", &self.0.algorithm.name())
            .finish_non_exhaustive()
    }
}

/// An HMAC while it is fed.
pub(super) enum Hash {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha224(Hmac<Sha224>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Hash {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hmac) => hmac.update(bytes),
            Self::Sha1(hmac) => hmac.update(bytes),
            Self::Sha224(hmac) => hmac.update(bytes),
            Self::Sha256(hmac) => hmac.update(bytes),
            Self::Sha384(hmac) => hmac.update(bytes),
            Self::Sha512(hmac) => hmac.update(bytes),
        }
    }

    /// All of it, before any cut.
    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hmac) => hmac.finalize().into_bytes().to_vec(),
            Self::Sha1(hmac) => hmac.finalize().into_bytes().to_vec(),
            Self::Sha224(hmac) => hmac.finalize().into_bytes().to_vec(),
            Self::Sha256(hmac) => hmac.finalize().into_bytes().to_vec(),
            Self::Sha384(hmac) => hmac.finalize().into_bytes().to_vec(),
            Self::Sha512(hmac) => hmac.finalize().into_bytes().to_vec(),
        }
    }
}
