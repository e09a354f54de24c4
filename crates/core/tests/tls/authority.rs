//! An authority whose certificates may be of any kind and age.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use ropewalk_core::tls::{
    Fingerprint, TlsClient,
    rustls::pki_types::{CertificateDer, pem::PemObject},
};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const EITHER: [ExtendedKeyUsagePurpose; 2] = [
    ExtendedKeyUsagePurpose::ServerAuth,
    ExtendedKeyUsagePurpose::ClientAuth,
];

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Issued {
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.chain, self.key)
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let der = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        Fingerprint::of(&der)
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = Self::params(name);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// One that this one vouches for.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = Self::params(name);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = Default::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    /// Valid since yesterday, and for so many days.
    pub(crate) fn issue_for(&self, names: &[&str], days: u32) -> Issued {
        let now = SystemTime::now();
        self.issue_between(names, now - DAY, now + DAY * days)
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_for(names, 90)
    }

    pub(crate) fn issue_expired(&self, names: &[&str]) -> Issued {
        let now = SystemTime::now();
        self.issue_between(names, now - DAY * 9, now - DAY)
    }

    pub(crate) fn issue_between(
        &self,
        names: &[&str],
        from: SystemTime,
        until: SystemTime,
    ) -> Issued {
        let key = KeyPair::generate().unwrap();
        self.sign(names, (from, until), key, &EITHER)
    }

    /// Which no client may show.
    pub(crate) fn issue_for_servers_alone(&self, names: &[&str]) -> Issued {
        let now = SystemTime::now();
        let key = KeyPair::generate().unwrap();
        self.sign(names, (now - DAY, now + DAY), key, &EITHER[..1])
    }

    /// With a key of another kind.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        kind: &'static rcgen::SignatureAlgorithm,
        days: u32,
    ) -> Issued {
        let now = SystemTime::now();
        let key = KeyPair::generate_for(kind).unwrap();
        self.sign(names, (now - DAY, now + DAY * days), key, &EITHER)
    }

    fn sign(
        &self,
        names: &[&str],
        (from, until): (SystemTime, SystemTime),
        key: KeyPair,
        purposes: &[ExtendedKeyUsagePurpose],
    ) -> Issued {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
        params.distinguished_name = Default::default();
        let name = *names.first().unwrap_or(&"nobody");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = purposes.to_vec();
        (params.not_before, params.not_after) = (from.into(), until.into());
        Issued {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this one alone.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::trusting(self.pem.as_bytes()).unwrap()
    }
}

fn alternative(name: &str) -> SanType {
    let text = || name.try_into().unwrap();
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains('@') => SanType::Rfc822Name(text()),
        Err(_) if name.contains(':') => SanType::URI(text()),
        Err(_) => SanType::DnsName(text()),
    }
}
