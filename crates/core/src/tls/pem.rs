//! PEM from files and from memory.

use std::path::Path;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::TlsError;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn pem_error(place: &str, expected: &'static str) -> TlsError {
    TlsError::Pem {
        place: place.to_owned(),
        expected,
    }
}

pub(super) fn config_error(place: &str, source: rustls::Error) -> TlsError {
    TlsError::Config {
        place: place.to_owned(),
        source,
    }
}

pub(super) fn certificates(
    place: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let expected = "expected certificates in PEM";
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| pem_error(place, expected))?;
    match chain.is_empty() {
        true => Err(pem_error(place, expected)),
        false => Ok(chain),
    }
}

pub(super) fn private_key(place: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| pem_error(place, "expected a private key in PEM, not encrypted"))
}

pub(super) fn roots(place: &str, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(place, pem)? {
        store
            .add(certificate)
            .map_err(|source| config_error(place, source))?;
    }
    Ok(store)
}
