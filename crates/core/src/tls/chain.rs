//! From a certificate to its chain (RFC 5280, section 6.1; RFC 8446, section
//! 4.4.2): who signed it, and who signed that, up to the root and without it.
//!
//! It chooses what to send. Whether the chain is to be believed is for who
//! receives it.

use std::path::Path;

use rustls::{crypto::aws_lc_rs, pki_types::CertificateDer};
use x509_parser::certificate::X509Certificate;

use super::x509::Validity;

/// A certificate that was found, and read.
pub(super) struct Known<'a> {
    pub(super) der: &'a CertificateDer<'static>,
    pub(super) x509: X509Certificate<'a>,
    pub(super) path: &'a Path,
}

impl Known<'_> {
    fn is_self_issued(&self) -> bool {
        self.x509.subject().as_raw() == self.x509.issuer().as_raw()
    }

    /// Whether its key made the signature of `other`.
    fn signed(&self, other: &Self) -> bool {
        let key = &self.x509.public_key().subject_public_key.data;
        let message = other.x509.tbs_certificate.as_ref();
        let signature = &other.x509.signature_value.data;
        // Each is for one kind of key and signature, and refuses all others.
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let mut algorithms = algorithms.all.iter();
        algorithms.any(|a| a.verify_signature(key, message, signature).is_ok())
    }
}

/// The chain of `leaf`, itself first, of what is in `pool`.
///
/// Where several may follow, the one in the leaf's own file does, as whoever
/// wrote that file wished; then a root, which ends the chain; then the one
/// that is valid now and longest.
pub(super) fn chain(
    leaf: &Known<'_>,
    pool: &[Known<'_>],
    now: i64,
) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![leaf.der.clone()];
    let mut last = leaf;
    while chain.len() < LONGEST && !last.is_self_issued() {
        let issuers = pool.iter().filter(|known| {
            known.x509.subject().as_raw() == last.x509.issuer().as_raw()
                && known.x509.is_ca()
                && !chain.contains(known.der)
                && known.signed(last)
        });
        let best = issuers.max_by_key(|known| {
            let validity = Validity::of(&known.x509);
            let beside = known.path == leaf.path && !known.is_self_issued();
            (
                beside,
                known.is_self_issued(),
                validity.holds(now),
                validity.until,
            )
        });
        match best {
            Some(issuer) if !issuer.is_self_issued() => {
                chain.push(issuer.der.clone());
                last = issuer;
            }
            _ => break,
        }
    }
    chain
}

/// Twisted's and OpenSSL's habit; no public chain is half as long.
const LONGEST: usize = 10;
