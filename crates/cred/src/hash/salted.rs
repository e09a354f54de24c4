//! The schemes of crypt(3) and Dovecot.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha_crypt::{PasswordVerifier, ShaCrypt};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::{Secret, secret};

type Expected = &'static str;

/// `$2y$COST$` and 53 letters. A cost above 16 would take seconds a login.
pub(super) fn bcrypt(text: &str) -> Result<Secret, Expected> {
    match (text.len(), text.get(4..6).map(str::parse::<u32>)) {
        // The first verification reads it once more, strictly.
        (60, Some(Ok(4..=16))) if bcrypt_reads(text) => Ok(text.into()),
        (60, Some(Ok(cost))) if !(4..=16).contains(&cost) => Err("a bcrypt cost of 4 to 16"),
        _ => Err("$2y$, a cost of two digits, $, and 53 letters"),
    }
}

fn bcrypt_reads(text: &str) -> bool {
    text.parse::<bcrypt::HashParts>().is_ok()
}

/// As htpasswd and crypt(3) do, it looks at the first 72 bytes only.
pub(super) fn verify_bcrypt(password: &[u8], hash: &Secret) -> bool {
    let Ok(hash) = std::str::from_utf8(hash.expose()) else {
        return false;
    };
    bcrypt::verify(password, hash).unwrap_or(false)
}

/// `$5$` or `$6$`, `rounds=N$` perhaps, salt, `$`, hash.
pub(super) fn sha_crypt(text: &str) -> Result<Secret, Expected> {
    const SHAPE: &str = "$6$SALT$HASH or $6$rounds=N$SALT$HASH, with a salt of at most 16 letters";
    let parts: Vec<_> = text.split('$').collect();
    let (rounds, salt, hash) = match parts[..] {
        ["", _, rounds, salt, hash] => (rounds.strip_prefix("rounds=").ok_or(SHAPE)?, salt, hash),
        ["", _, salt, hash] => ("5000", salt, hash),
        _ => return Err(SHAPE),
    };
    match rounds.parse() {
        Ok(1000..=1_000_000) => {}
        _ => return Err("1000 to 1000000 rounds"),
    }
    let length = if text.starts_with("$5$") { 43 } else { 86 };
    let alphabet = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
    };
    if salt.len() > 16 || !salt.is_ascii() || hash.len() != length || !alphabet(hash) {
        return Err(SHAPE);
    }
    Ok(text.into())
}

pub(super) fn verify_sha_crypt(password: &[u8], hash: &Secret) -> bool {
    let Ok(hash) = std::str::from_utf8(hash.expose()) else {
        return false;
    };
    ShaCrypt::default().verify_password(password, hash).is_ok()
}

/// Dovecot's `$1$SALT$ROUNDS$HEX`, by HMAC-SHA-1.
#[derive(Clone)]
pub(super) struct Pbkdf2 {
    salt: String,
    rounds: u32,
    out: Secret,
}

impl Pbkdf2 {
    pub(super) fn parse(text: &str) -> Result<Self, Expected> {
        let parts: Vec<_> = text.split('$').collect();
        let ["", "1", salt, rounds, hex] = parts[..] else {
            return Err("$1$SALT$ROUNDS$HASH behind {PBKDF2}");
        };
        let Ok(rounds @ 1..=10_000_000) = rounds.parse() else {
            return Err("1 to 10000000 rounds");
        };
        let out: Option<Vec<u8>> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
            .collect();
        match out {
            Some(out)
                if out.len() == 20
                    && hex.bytes().all(|b| b.is_ascii_hexdigit())
                    && !salt.is_empty() =>
            {
                Ok(Self {
                    salt: salt.to_owned(),
                    rounds,
                    out: out.into(),
                })
            }
            _ => Err("a salt, and a hash of 40 hexadecimal digits"),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut out = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(password, self.salt.as_bytes(), self.rounds, &mut out);
        secret::same(&out, self.out.expose())
    }
}

/// Base64 of `H(password salt)` and the salt.
#[derive(Clone)]
pub(super) struct Salted {
    /// 32 for SHA-256, 64 for SHA-512.
    length: usize,
    out: Secret,
}

impl Salted {
    pub(super) fn parse(text: &str, length: usize) -> Result<Self, Expected> {
        match BASE64.decode(text) {
            Ok(out) if out.len() >= length + 4 && out.len() <= length + 64 => Ok(Self {
                length,
                out: out.into(),
            }),
            _ => Err("base64 of the hash and a salt of 4 to 64 bytes"),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let (hash, salt) = self.out.expose().split_at(self.length);
        if self.length == 32 {
            secret::same(
                hash,
                &Sha256::new()
                    .chain_update(password)
                    .chain_update(salt)
                    .finalize(),
            )
        } else {
            secret::same(
                hash,
                &Sha512::new()
                    .chain_update(password)
                    .chain_update(salt)
                    .finalize(),
            )
        }
    }

    pub(super) fn name(&self) -> &'static str {
        if self.length == 32 {
            "ssha256"
        } else {
            "ssha512"
        }
    }
}
