//! What a server keeps of a password for SCRAM (RFC 5802, section 3).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Random, Secret, prepare_password, secret};

/// SCRAM's hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScramHash {
    /// RFC 5802. HMAC-SHA-1 is not broken as SHA-1 is, but take the other.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl ScramHash {
    /// Iterations for new keys. RFC 7677 (section 4) asks for 4,096 at least
    /// and for more as machines allow; a client on a telephone pays for them
    /// at each login. Default 10,000.
    pub const ITERATIONS: u32 = 10_000;

    /// How long its output is.
    pub fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The mechanism's name, without `-PLUS`.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// `H(data)`.
    pub(crate) fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    /// `HMAC(key, data)`.
    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        fn run<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            let mut mac =
                <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha1 => run::<Hmac<Sha1>>(key, data),
            Self::Sha256 => run::<Hmac<Sha256>>(key, data),
        }
    }

    /// `Hi(password, salt, i)`: PBKDF2 of one block.
    pub(crate) fn salted(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
    ) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![0; self.output_len()]);
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out),
        }
        out
    }
}

/// Salt, iterations, StoredKey and ServerKey: enough to check a proof and to
/// prove oneself, not enough to log in elsewhere.
///
/// ```
/// use ropewalk_cred::sasl::{ScramHash, ScramKeys};
/// let keys = ScramKeys::derive(ScramHash::Sha256, b"pencil", b"a salt of one's own", 4096);
/// assert!(keys.fit(b"pencil") && !keys.fit(b"pen"));
/// assert_eq!(ScramKeys::parse(ScramHash::Sha256, &keys.to_text()).unwrap(), keys);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    stored: Secret,
    server: Secret,
}

impl ScramKeys {
    /// Keys of a password, with a new salt of 16 bytes.
    pub fn generate(hash: ScramHash, password: &[u8], iterations: u32) -> Self {
        Self::generate_with(&Random::system(), hash, password, iterations)
    }

    /// The same with a salt from `random`, which a simulation brings.
    pub fn generate_with(
        random: &Random,
        hash: ScramHash,
        password: &[u8],
        iterations: u32,
    ) -> Self {
        Self::derive(hash, password, &random.bytes::<16>(), iterations)
    }

    /// Keys of a password (which SASLprep prepares), a salt and iterations.
    /// This is the costly part.
    pub fn derive(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted(prepare_password(password).expose(), salt, iterations);
        let client = Zeroizing::new(hash.hmac(&salted, b"Client Key"));
        Self {
            hash,
            salt: salt.into(),
            iterations,
            stored: hash.digest(&client).into(),
            server: hash.hmac(&salted, b"Server Key").into(),
        }
    }

    /// Keys that no password fits, for a user who has none: the same for the
    /// same name and seed, so that asking twice does not tell, and of the
    /// given salt length and iterations, so that they look like the others'.
    pub fn fake(
        hash: ScramHash,
        user: &str,
        seed: &[u8],
        salt_len: usize,
        iterations: u32,
    ) -> Self {
        let part = |label: &str| hash.hmac(seed, format!("{label}\0{user}").as_bytes());
        let mut salt = part("salt");
        // Longer salts than a hash are rare; they are filled up from it.
        while salt.len() < salt_len {
            let more = hash.hmac(seed, &salt);
            salt.extend(more);
        }
        salt.truncate(salt_len);
        Self {
            hash,
            salt,
            iterations,
            stored: part("stored").into(),
            server: part("server").into(),
        }
    }

    /// Whether the password is the one they were made of. As costly as
    /// [`derive`](Self::derive).
    pub fn fit(&self, password: &[u8]) -> bool {
        Self::derive(self.hash, password, &self.salt, self.iterations).stored == self.stored
    }

    /// Dovecot's text of them, `4096,SALT,STORED,SERVER` in base64, to which it
    /// prefixes `{SCRAM-SHA-256}`. As secret as a password hash.
    pub fn to_text(&self) -> String {
        let [salt, stored, server] =
            [&self.salt, self.stored.expose(), self.server.expose()].map(|it| STANDARD.encode(it));
        format!("{},{salt},{stored},{server}", self.iterations)
    }

    /// Reads [`to_text`](Self::to_text).
    pub fn parse(hash: ScramHash, text: &str) -> Result<Self, KeysError> {
        let mut parts = text.split(',');
        let (Some(iterations), Some(salt), Some(stored), Some(server), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(KeysError(
                "four parts: iterations,salt,stored key,server key",
            ));
        };
        let iterations: u32 = iterations
            .parse()
            .map_err(|_| KeysError("a number of iterations"))?;
        if !(Self::FEWEST..=Self::MOST).contains(&iterations) {
            return Err(KeysError("4096 to 10000000 iterations"));
        }
        let salt = STANDARD
            .decode(salt)
            .map_err(|_| KeysError("a salt in base64"))?;
        if salt.is_empty() || salt.len() > 1024 {
            return Err(KeysError("a salt of 1 to 1024 bytes"));
        }
        let key = |text: &str| match STANDARD.decode(text) {
            Ok(key) if key.len() == hash.output_len() => Ok(Secret::from(key)),
            _ => Err(KeysError("keys in base64, of the hash's length")),
        };
        Ok(Self {
            hash,
            salt,
            iterations,
            stored: key(stored)?,
            server: key(server)?,
        })
    }

    /// The fewest iterations that stored keys may have (RFC 5802, section 5.1).
    pub const FEWEST: u32 = 4096;
    /// The most; a typing error must not cost minutes a login.
    pub const MOST: u32 = 10_000_000;

    /// The hash function.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iterations.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// A number below `count` that only who has the keys can tell.
    #[cfg(feature = "checkers")]
    pub(crate) fn pick(&self, count: usize) -> usize {
        let bytes = self.stored.expose().iter().take(4);
        let number = bytes.fold(0usize, |n, byte| (n << 8) | usize::from(*byte));
        number % count.max(1)
    }

    /// Whether `proof` shows that its sender has the password, this time: for
    /// this `auth_message`.
    pub(crate) fn proven(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        if proof.len() != self.hash.output_len() {
            return false;
        }
        let signature = self.hash.hmac(self.stored.expose(), auth_message);
        let client = Zeroizing::new(xor(proof, &signature));
        secret::same(&self.hash.digest(&client), self.stored.expose())
    }

    /// What shows the client that the server has the keys.
    pub(crate) fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.hmac(self.server.expose(), auth_message)
    }
}

/// What stored keys should have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct KeysError(&'static str);

impl KeysError {
    /// What was expected.
    pub fn expected(&self) -> &'static str {
        self.0
    }
}

/// The bytes of two strings of one length, xored.
pub(super) fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}
