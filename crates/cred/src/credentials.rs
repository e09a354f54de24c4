//! What somebody shows to say who they are.

use crate::{Account, Certificate, Secret};

/// What is shown, by kind. A protocol makes one, a
/// [`Checker`](crate::Checker) judges it.
///
/// The SCRAM and CRAM-MD5 variants are made by the
/// [SASL machines](crate::sasl) only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// A name and a password: SASL PLAIN and LOGIN, `USER`/`PASS`, HTTP Basic,
    /// SSH's `password`.
    Password(Password),
    /// A public key whose signature the protocol has checked: SSH's
    /// `publickey`.
    PublicKey(PublicKey),
    /// A certificate that TLS has verified: SASL EXTERNAL, HTTPS clients.
    Certificate(Certificate),
    /// A bearer token: OAUTHBEARER, XOAUTH2, HTTP Bearer.
    Token(Token),
    /// Nothing: SASL ANONYMOUS.
    Anonymous(Anonymous),
    /// A SCRAM proof that the mechanism has compared with stored keys.
    Scram(ScramProof),
    /// A CRAM-MD5 digest.
    CramMd5(CramMd5),
}

impl Credentials {
    /// A name and a password.
    pub fn password(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Password(Password {
            user: user.into(),
            password: password.into(),
            act_as: None,
        })
    }

    /// A bearer token, with nothing said of whose.
    pub fn token(token: impl Into<Secret>) -> Self {
        Self::Token(Token {
            token: token.into(),
            user: None,
            host: None,
            port: None,
        })
    }

    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Password(_) => Kind::Password,
            Self::PublicKey(_) => Kind::PublicKey,
            Self::Certificate(_) => Kind::Certificate,
            Self::Token(_) => Kind::Token,
            Self::Anonymous(_) => Kind::Anonymous,
            Self::Scram(_) => Kind::Scram,
            Self::CramMd5(_) => Kind::CramMd5,
        }
    }

    /// The user named, where one is. Nobody has verified it; in a log print it
    /// with `{:?}`.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Password(it) => Some(&it.user),
            Self::PublicKey(it) => Some(&it.user),
            Self::Token(it) => it.user.as_deref(),
            Self::Scram(it) => Some(&it.user),
            Self::CramMd5(it) => Some(&it.user),
            Self::Certificate(_) | Self::Anonymous(_) => None,
        }
    }

    /// The account to act as (SASL's authorization identity), if it was named.
    pub fn act_as(&self) -> Option<&str> {
        match self {
            Self::Password(it) => it.act_as.as_deref(),
            Self::Scram(it) => it.act_as.as_deref(),
            Self::Certificate(it) => it.act_as.as_deref(),
            // RFC 7628, section 3.1, and XOAUTH2: the name is the account wanted.
            Self::Token(it) => it.user.as_deref(),
            Self::PublicKey(_) | Self::Anonymous(_) | Self::CramMd5(_) => None,
        }
    }
}

/// The kinds of [`Credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A name and a password.
    Password,
    /// A public key.
    PublicKey,
    /// A TLS client certificate.
    Certificate,
    /// A bearer token.
    Token,
    /// Nothing.
    Anonymous,
    /// A SCRAM proof.
    Scram,
    /// A CRAM-MD5 digest.
    CramMd5,
}

/// A name and a password.
#[derive(Clone, Debug)]
pub struct Password {
    /// The name: SASL's authentication identity.
    pub user: String,
    /// The password, as it came.
    pub password: Secret,
    /// The account to act as, if another was named (RFC 4616, `authzid`).
    pub act_as: Option<String>,
}

/// A public key, opaque to this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The name that the key is shown for.
    pub user: String,
    /// The protocol's name for the algorithm, `ssh-ed25519` say.
    pub algorithm: String,
    /// The key as the protocol carries it.
    pub blob: Vec<u8>,
    verified: bool,
}

impl PublicKey {
    /// A key that was named. Nothing has been signed with it, so it logs
    /// nobody in; ask [`Checker::knows_key`](crate::Checker::knows_key)
    /// whether to ask for a signature (RFC 4252, section 7).
    pub fn named(
        user: impl Into<String>,
        algorithm: impl Into<String>,
        blob: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            user: user.into(),
            algorithm: algorithm.into(),
            blob: blob.into(),
            verified: false,
        }
    }

    /// The same key, of which the caller has verified a fresh signature over
    /// this session's identifier.
    pub fn signature_verified(mut self) -> Self {
        self.verified = true;
        self
    }

    /// Whether a signature has been verified.
    pub fn is_verified(&self) -> bool {
        self.verified
    }
}

/// A bearer token (RFC 6750).
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself.
    pub token: Secret,
    /// The account wanted, if named.
    pub user: Option<String>,
    /// The host that the client believes it talks to (RFC 7628, section 3.1).
    pub host: Option<String>,
    /// The port likewise.
    pub port: Option<u16>,
}

/// Nobody in particular (RFC 4505).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anonymous {
    /// What the visitor left as a trace, a mail address say. It proves nothing.
    pub trace: String,
}

/// The outcome of a SCRAM exchange, which only the SASL machine makes.
#[derive(Clone, Debug)]
pub struct ScramProof {
    pub(crate) user: String,
    pub(crate) act_as: Option<String>,
    /// The account of the keys that the proof fitted; `None` if it did not fit.
    pub(crate) fits: Option<Account>,
}

impl ScramProof {
    /// The account whose keys the proof fitted.
    pub fn account(&self) -> Option<&Account> {
        self.fits.as_ref()
    }
}

/// A CRAM-MD5 answer (RFC 2195): it can be checked only by who has the
/// password in the clear.
#[derive(Clone, Debug)]
pub struct CramMd5 {
    pub(crate) user: String,
    pub(crate) challenge: Vec<u8>,
    pub(crate) digest: Secret,
}

impl CramMd5 {
    /// Whether the answer was made with this password.
    pub fn fits(&self, password: &[u8]) -> bool {
        let wanted = crate::sasl::cram_md5_digest(password, &self.challenge);
        crate::secret::same(wanted.as_bytes(), self.digest.expose())
    }
}
