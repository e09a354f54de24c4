//! Client certificates, as far as who they name goes. TLS has checked the
//! chain; nothing here does.

use std::fmt;

use sha2::{Digest, Sha256};

/// What a verified client certificate says. TLS has checked its chain.
///
/// ```
/// use ropewalk_cred::{Certificate, CertificateName};
/// let shown = Certificate::new([CertificateName::mail("alice@Example.COM")], *b"DER");
/// assert_eq!(shown.names, [CertificateName::mail("alice@example.com")]);
/// assert_ne!(shown.names, [CertificateName::common("alice@example.com")]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Its names, the likeliest identity first: the subject's alternative
    /// names, then the common name.
    pub names: Vec<CertificateName>,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The account to act as, if one was named (RFC 4422, appendix A).
    pub act_as: Option<String>,
}

impl Certificate {
    /// A certificate with these names.
    pub fn new(names: impl IntoIterator<Item = CertificateName>, der: impl Into<Vec<u8>>) -> Self {
        Self {
            names: names.into_iter().collect(),
            der: der.into(),
            act_as: None,
        }
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }
}

/// A name in a certificate, with its kind, since who may have a common name
/// that looks like somebody's mail address is not always who may have that
/// address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CertificateName {
    /// A mail address of the alternative names. The part behind the `@` is in
    /// lower case.
    Mail(String),
    /// A DNS name of the alternative names, in lower case.
    Dns(String),
    /// A URI of the alternative names, as it stands: SPIFFE's, say.
    Uri(String),
    /// The subject's common name.
    Common(String),
}

impl CertificateName {
    /// A mail address of the alternative names.
    pub fn mail(address: &str) -> Self {
        Self::Mail(match address.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
            None => address.to_owned(),
        })
    }

    /// A DNS name of the alternative names.
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase())
    }

    /// A URI of the alternative names.
    pub fn uri(uri: &str) -> Self {
        Self::Uri(uri.to_owned())
    }

    /// The subject's common name.
    pub fn common(name: &str) -> Self {
        Self::Common(name.to_owned())
    }

    /// The name without its kind, for logs: print it with `{:?}`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Mail(it) | Self::Dns(it) | Self::Uri(it) | Self::Common(it) => it,
        }
    }
}

/// SHA-256 of a certificate: the certificate itself, whatever it says and
/// whoever signed it. `Display` writes it as openssl does, without colons.
///
/// ```
/// use ropewalk_cred::Fingerprint;
/// let text = "9F:86:D0:81:88:4C:7D:65:9A:2F:EA:A0:C5:5A:D0:15:A3:BF:4F:1B:2B:0B:82:2C:D1:5D:6C:15:B0:F0:0A:08";
/// let fingerprint: Fingerprint = text.parse()?;
/// assert!(fingerprint.to_string().starts_with("9f86d081"));
/// assert!("9F:86".parse::<Fingerprint>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl std::str::FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|b| *b != b':')
            .map(|b| {
                char::from(b)
                    .to_digit(16)
                    .and_then(|n| u8::try_from(n).ok())
            })
            .collect::<Option<_>>()
            .ok_or(NoFingerprint)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|it| it.iter().fold(0, |n, digit| n << 4 | digit))
            .collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) if digits.len() == 64 => Ok(Self(bytes)),
            _ => Err(NoFingerprint),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no fingerprint: the operator's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons")]
pub struct NoFingerprint;
