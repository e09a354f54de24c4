//! A certificate authority for development and tests.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{TlsClient, TlsError, TlsServer};

/// A throwaway certificate authority: it makes certificates for any name, and
/// its key exists only in this value.
///
/// ```
/// use ropewalk_core::tls::TestCa;
///
/// let ca = TestCa::new()?;
/// let server = ca.server(&["localhost", "127.0.0.1"])?;
/// let client = ca.client()?;
/// # let _ = (server, client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl TestCa {
    /// A new authority.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new() -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = Default::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Ropewalk throwaway CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// Its certificate, PEM: what clients trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for names and addresses, and its key, both PEM.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn issue(&self, names: &[&str]) -> Result<(String, String), TlsError> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = Default::default();
        // GnuTLS's kdig takes no certificate without a subject.
        params
            .distinguished_name
            .push(DnType::CommonName, "Ropewalk throwaway certificate");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// The server's side of TLS with a certificate for these names.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn server(&self, names: &[&str]) -> Result<TlsServer, TlsError> {
        let (chain, key) = self.issue(names)?;
        TlsServer::from_pem(chain.as_bytes(), key.as_bytes())
    }

    /// The client's side of TLS, trusting this authority alone.
    ///
    /// # Errors
    /// Never, unless rustls refuses what rcgen made.
    pub fn client(&self) -> Result<TlsClient, TlsError> {
        TlsClient::trusting(self.pem.as_bytes())
    }
}

impl std::fmt::Debug for TestCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestCa")
    }
}
