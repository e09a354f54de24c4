//! Passwords at rest: hashes as users files have them.
//!
//! One text, several spellings: PHC strings (`$argon2id$…`), Apache's
//! htpasswd (`$2y$…`), and Dovecot's, which prefixes any of them with a scheme
//! in braces (`{SHA512-CRYPT}$6$…`).
//!
//! | scheme | spelling |
//! | --- | --- |
//! | argon2id (RFC 9106) | `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`, `{ARGON2ID}`; also argon2i |
//! | bcrypt | `$2y$…`, `$2b$…`, `$2a$…`, `{BLF-CRYPT}` |
//! | SHA-crypt | `$5$…`, `$6$…`, `{SHA256-CRYPT}`, `{SHA512-CRYPT}`, `{CRYPT}` |
//! | PBKDF2 with HMAC-SHA-1 | `{PBKDF2}$1$SALT$ROUNDS$HEX` |
//! | SCRAM keys (RFC 5802) | `{SCRAM-SHA-256}4096,SALT,STORED,SERVER`, `{SCRAM-SHA-1}` |
//! | salted SHA-2 | `{SSHA256}…`, `{SSHA512}…`: one pass, and so quick to guess; read, never written |
//! | none | `{PLAIN}…`, only where an option allows it, and with no colon in it |
//!
//! MD5, DES crypt and unsalted SHA are refused: whoever gets the file has the
//! passwords.

mod argon2id;
mod salted;

use std::fmt;

pub use argon2id::{Argon2Cost, CostError};

use crate::{
    Secret, prepare_password,
    sasl::{ScramHash, ScramKeys},
};

/// A password's hash, read and ready to verify. `Debug` shows its scheme.
///
/// ```
/// use ropewalk_cred::{Argon2Cost, PasswordHash};
/// let text = Argon2Cost::default().memory_kib(64).passes(1).hash(b"secret").unwrap();
/// let hash = PasswordHash::parse(&text).unwrap();
/// assert!(hash.verify(b"secret") && !hash.verify(b"Secret"));
/// assert_eq!(hash.scheme(), "argon2id");
/// assert!(PasswordHash::parse("$apr1$salt$hash").unwrap_err().to_string().contains("MD5"));
/// ```
#[derive(Clone)]
pub struct PasswordHash(Scheme);

#[derive(Clone)]
enum Scheme {
    Argon2(argon2id::Hashed),
    Bcrypt(Secret),
    ShaCrypt(Secret),
    Pbkdf2(salted::Pbkdf2),
    Salted(salted::Salted),
    Scram(ScramKeys),
    Plain(Secret),
}

impl PasswordHash {
    /// Reads a hash, and no password in the clear.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        match Self::parse_with_plaintext(text)? {
            Self(Scheme::Plain(_)) => Err(HashError::new(
                "{PLAIN}",
                "a hash; passwords in the clear are read only where plaintext is allowed by name",
            )),
            hash => Ok(hash),
        }
    }

    /// Reads a hash, or a password in the clear behind `{PLAIN}`.
    pub fn parse_with_plaintext(text: &str) -> Result<Self, HashError> {
        let Some((scheme, rest)) = text.strip_prefix('{').and_then(|it| it.split_once('}')) else {
            return Self::crypt("", text);
        };
        let braced = format!("{{{scheme}}}");
        let wrong = |expected| HashError::new(&braced, expected);
        let expect = |prefix: &[&str], what| {
            if prefix.iter().any(|it| rest.starts_with(it)) {
                Self::crypt(&braced, rest)
            } else {
                Err(wrong(what))
            }
        };
        match &*scheme.to_ascii_uppercase() {
            "ARGON2ID" => expect(&["$argon2id$"], "$argon2id$ behind {ARGON2ID}"),
            "ARGON2I" => expect(&["$argon2i$"], "$argon2i$ behind {ARGON2I}"),
            "BLF-CRYPT" => expect(&["$2"], "$2y$ behind {BLF-CRYPT}"),
            "SHA256-CRYPT" => expect(&["$5$"], "$5$ behind {SHA256-CRYPT}"),
            "SHA512-CRYPT" => expect(&["$6$"], "$6$ behind {SHA512-CRYPT}"),
            "CRYPT" => Self::crypt(&braced, rest),
            "PBKDF2" => salted::Pbkdf2::parse(rest)
                .map(|it| Self(Scheme::Pbkdf2(it)))
                .map_err(wrong),
            "SSHA256" => salted::Salted::parse(rest, 32)
                .map(|it| Self(Scheme::Salted(it)))
                .map_err(wrong),
            "SSHA512" => salted::Salted::parse(rest, 64)
                .map(|it| Self(Scheme::Salted(it)))
                .map_err(wrong),
            "SCRAM-SHA-1" | "SCRAM-SHA-256" => {
                let hash = if scheme.ends_with('6') {
                    ScramHash::Sha256
                } else {
                    ScramHash::Sha1
                };
                match ScramKeys::parse(hash, rest) {
                    Ok(keys) => Ok(Self(Scheme::Scram(keys))),
                    Err(error) => Err(wrong(error.expected())),
                }
            }
            "PLAIN" | "CLEAR" | "CLEARTEXT" if rest.is_empty() => {
                Err(wrong("a password behind it"))
            }
            "PLAIN" | "CLEAR" | "CLEARTEXT" => {
                Ok(Self(Scheme::Plain(prepare_password(rest.as_bytes()))))
            }
            "MD5" | "MD5-CRYPT" | "PLAIN-MD5" | "LDAP-MD5" | "SMD5" | "SHA" | "SHA1" | "SSHA"
            | "SHA256" | "SHA512" | "DES-CRYPT" | "CRAM-MD5" | "DIGEST-MD5" | "LANMAN" | "NTLM" => {
                Err(wrong(Self::WEAK))
            }
            _ => Err(wrong(Self::EXPECTED)),
        }
    }

    /// A hash as crypt(3) writes it, known by what stands between dollars.
    fn crypt(braced: &str, text: &str) -> Result<Self, HashError> {
        let id = match text.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
            Some((id, _)) if id.len() <= 16 && id.bytes().all(|b| b.is_ascii_graphic()) => id,
            // What it is cannot be told, so nothing of it is shown.
            _ => {
                return Err(HashError::new(
                    if braced.is_empty() {
                        "a value without $"
                    } else {
                        braced
                    },
                    Self::NO_ID,
                ));
            }
        };
        let found = format!("{braced}${id}$");
        let wrong = |expected| HashError::new(&found, expected);
        match id {
            "argon2id" | "argon2i" => argon2id::Hashed::parse(text)
                .map(|it| Self(Scheme::Argon2(it)))
                .map_err(wrong),
            "2y" | "2b" | "2a" => salted::bcrypt(text)
                .map(|it| Self(Scheme::Bcrypt(it)))
                .map_err(wrong),
            "5" | "6" => salted::sha_crypt(text)
                .map(|it| Self(Scheme::ShaCrypt(it)))
                .map_err(wrong),
            "1" | "apr1" | "md5" | "3" => Err(wrong(Self::WEAK)),
            "2x" | "2" => Err(wrong("$2y$; this was made by a bcrypt with a flaw")),
            _ => Err(wrong(Self::EXPECTED)),
        }
    }

    const EXPECTED: &str = "a hash by argon2id, bcrypt ($2y$), SHA-crypt ($5$, $6$), {PBKDF2}, {SSHA256}, {SSHA512} or \
                            {SCRAM-SHA-256}";
    const WEAK: &str = "a hash that is slow to guess, as argon2id or bcrypt ($2y$, `htpasswd -B`) are; MD5, SHA-1 and \
                        unsalted hashes are not";
    const NO_ID: &str =
        "a hash such as $argon2id$… or $2y$…; DES crypt and passwords in the clear are refused";

    /// Whether the password is the one it was made of. This takes as long as
    /// the hash was made to take: call it where blocking is allowed, as a
    /// [`HashPool`](crate::HashPool) does.
    pub fn verify(&self, password: &[u8]) -> bool {
        let prepared = prepare_password(password);
        let password = prepared.expose();
        match &self.0 {
            Scheme::Argon2(it) => it.verify(password),
            Scheme::Bcrypt(it) => salted::verify_bcrypt(password, it),
            Scheme::ShaCrypt(it) => salted::verify_sha_crypt(password, it),
            Scheme::Pbkdf2(it) => it.verify(password),
            Scheme::Salted(it) => it.verify(password),
            Scheme::Scram(it) => it.fit(password),
            Scheme::Plain(it) => *it == prepared,
        }
    }

    /// The scheme's name.
    pub fn scheme(&self) -> &'static str {
        match &self.0 {
            Scheme::Argon2(it) => it.name(),
            Scheme::Bcrypt(_) => "bcrypt",
            Scheme::ShaCrypt(it) if it.expose().starts_with(b"$5") => "sha256-crypt",
            Scheme::ShaCrypt(_) => "sha512-crypt",
            Scheme::Pbkdf2(_) => "pbkdf2",
            Scheme::Salted(it) => it.name(),
            Scheme::Scram(keys) if keys.hash() == ScramHash::Sha1 => "scram-sha-1",
            Scheme::Scram(_) => "scram-sha-256",
            Scheme::Plain(_) => "plain",
        }
    }

    /// SCRAM's keys, if that is what it is.
    pub fn scram_keys(&self) -> Option<&ScramKeys> {
        match &self.0 {
            Scheme::Scram(keys) => Some(keys),
            _ => None,
        }
    }

    /// The password itself, if that is what it is.
    pub fn plaintext(&self) -> Option<&Secret> {
        match &self.0 {
            Scheme::Plain(password) => Some(password),
            _ => None,
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.scheme())
    }
}

/// What should have been there for a hash. It shows the scheme found, and
/// nothing of the hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected {expected}")]
pub struct HashError {
    found: String,
    expected: &'static str,
}

impl HashError {
    fn new(found: &str, expected: &'static str) -> Self {
        // A scheme may be anything that somebody typed, a password say.
        let found = if found.contains(char::is_control) {
            "a scheme with control characters".to_owned()
        } else if found.len() <= 40 {
            found.to_owned()
        } else {
            "a long value".to_owned()
        };
        Self { found, expected }
    }
}
