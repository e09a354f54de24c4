//! Names, dates and identities out of X.509 certificates (RFC 5280).
//!
//! Reading only: whether a certificate is to be believed is for rustls.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256, pki_types::CertificateDer,
};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time,
};

/// Who somebody is, as their certificate says.
///
/// Decide by a name in it that the authority has verified, or by the
/// fingerprint. What the certificate says is as true as its authority: rustls
/// has verified it before this is read, unless that was turned off by name.
///
/// ```
/// use ropewalk_core::tls::{Identity, TestCa, rustls::pki_types::{CertificateDer, pem::PemObject}};
///
/// let (chain, _key) = TestCa::new()?.issue(&["ada.test", "192.0.2.1"])?;
/// let identity = Identity::of(&CertificateDer::from_pem_slice(chain.as_bytes())?).unwrap();
/// assert_eq!(identity.dns_names, ["ada.test"]);
/// assert_eq!(identity.addresses, ["192.0.2.1".parse::<std::net::IpAddr>()?]);
/// assert_eq!(identity.fingerprint.to_string().len(), 64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The subject, as `CN=Ada, O=Analytical`. To be shown, not to decide by:
    /// a value may hold commas and equals signs of its own.
    pub subject: String,
    /// The subject's common name, the last where there are several.
    pub common_name: Option<String>,
    /// The issuer, written as the subject is.
    pub issuer: String,
    /// DNS names in the subject alternative name, in lower case.
    pub dns_names: Vec<String>,
    /// Addresses there.
    pub addresses: Vec<IpAddr>,
    /// Mail addresses there, as they are written.
    pub emails: Vec<String>,
    /// URIs there, as they are written.
    pub uris: Vec<String>,
    /// When it ceases to be valid.
    pub not_after: SystemTime,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
}

impl Identity {
    /// What a certificate says; none if it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, x509) = X509Certificate::from_der(certificate).ok()?;
        let common_name = x509.subject().iter_common_name().last();
        let mut identity = Self {
            subject: x509.subject().to_string(),
            common_name: common_name.and_then(|n| Some(n.as_str().ok()?.to_owned())),
            issuer: x509.issuer().to_string(),
            dns_names: dns_names(&x509),
            addresses: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            not_after: system_time(x509.validity().not_after.timestamp()),
            fingerprint: Fingerprint::of(certificate),
        };
        for name in alternative_names(&x509) {
            match *name {
                GeneralName::IPAddress(octets) => identity.addresses.extend(address(octets)),
                GeneralName::RFC822Name(email) => identity.emails.push(email.to_owned()),
                GeneralName::URI(uri) => identity.uris.push(uri.to_owned()),
                _ => {}
            }
        }
        Some(identity)
    }
}

/// SHA-256 of a whole certificate, shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let suite = TLS13_AES_128_GCM_SHA256.tls13();
        let hash = suite
            .expect("it is a suite of TLS 1.3")
            .common
            .hash_provider;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hash.hash(certificate).as_ref());
        Self(fingerprint)
    }

    /// The 32 octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// From when to when a certificate is valid, in seconds since 1970; both ends
/// are within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Validity {
    /// That of a certificate that cannot be read: nobody can say that it has
    /// ended.
    pub(super) const UNKNOWN: Self = Self {
        from: i64::MIN,
        until: i64::MAX,
    };

    pub(super) fn of(x509: &X509Certificate<'_>) -> Self {
        let validity = x509.validity();
        Self {
            from: validity.not_before.timestamp(),
            until: validity.not_after.timestamp(),
        }
    }

    pub(super) fn holds(&self, now: i64) -> bool {
        (self.from..=self.until).contains(&now)
    }

    /// Why it does not hold now, to stand behind "the certificate".
    pub(super) fn problem(&self, now: i64) -> Option<String> {
        if now > self.until {
            return Some(format!("expired on {}", date(self.until)));
        }
        (now < self.from).then(|| format!("is not valid before {}", date(self.from)))
    }
}

/// A certificate's DNS names and validity, as far as it can be read.
pub(super) fn names_and_validity(certificate: &CertificateDer<'_>) -> (Vec<String>, Validity) {
    match X509Certificate::from_der(certificate) {
        Ok((_, x509)) => (dns_names(&x509), Validity::of(&x509)),
        Err(_) => (Vec::new(), Validity::UNKNOWN),
    }
}

/// DNS names in the subject alternative name, in lower case. The common name
/// is not one (RFC 9525, section 2).
pub(super) fn dns_names(x509: &X509Certificate<'_>) -> Vec<String> {
    let names = alternative_names(x509)
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        });
    names.collect()
}

fn alternative_names<'a>(x509: &'a X509Certificate<'_>) -> &'a [GeneralName<'a>] {
    match x509.subject_alternative_name() {
        Ok(Some(names)) => &names.value.general_names,
        _ => &[],
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

fn system_time(seconds: i64) -> SystemTime {
    match u64::try_from(seconds) {
        Ok(after) => UNIX_EPOCH + Duration::from_secs(after),
        Err(_) => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()),
    }
}

/// A moment as `2026-11-22 21:00:45 UTC`.
pub(super) fn date(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds) {
        Ok(time) => {
            let time = time.to_datetime();
            let (h, m, s) = time.to_hms();
            format!("{} {h:02}:{m:02}:{s:02} UTC", time.date())
        }
        Err(_) => "an unknown day".to_owned(),
    }
}
