//! The client's side of TLS: whom it trusts, and how it proves who it is.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{
    Clock, TlsError,
    pem::{certificates, config_error, private_key, read, roots},
    provider,
};
use crate::{Result, Stream, endpoint::TlsConnect};

/// The client's side of TLS. Cheap to clone.
///
/// Clones resume each other's sessions, and [`alpn`](Self::alpn) those of what
/// it came from. `tls:` endpoints that name no file share one; of files, they
/// are read at each connect, and nothing is resumed, unless the connection is
/// [prepared](crate::ConnectOptions::prepare).
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Trusts whom the platform trusts.
    ///
    /// # Errors
    /// [`TlsError::NoPlatformTrust`].
    pub fn platform() -> Result<Self, TlsError> {
        Self::build(platform_roots()?, None)
    }

    /// Trusts the authorities in these certificates, PEM, and nobody else.
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::Config`].
    pub fn trusting(pem: &[u8]) -> Result<Self, TlsError> {
        Self::build(roots("PEM", pem)?, None)
    }

    /// Trusts everybody: whoever is on the way can read and change everything.
    /// For tests against servers whose certificate does not matter.
    pub fn insecure_no_verify() -> Self {
        let config = ClientConfig::builder_with_details(provider(), Arc::new(Clock))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerify))
            .with_no_client_auth();
        Self::from_config(config)
    }

    /// With a configuration of rustls.
    pub fn from_config(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self(config.into())
    }

    /// The same, offering these protocols to ALPN, the preferred first.
    #[must_use]
    pub fn alpn(&self, protocols: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Self::from_config(config)
    }

    /// The same, showing this certificate to servers that ask for one: the
    /// chain and its key, both PEM (in one text or two). Sessions of who was
    /// somebody else before are not resumed.
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::Config`].
    pub fn certificate(&self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let (chain, key) = (certificates("PEM", chain)?, private_key("PEM", key)?);
        let key = CertifiedKey::from_der(chain, key, &provider());
        let key = key.map_err(|source| config_error("client certificate", source))?;
        let mut config = ClientConfig::clone(&self.0);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        config.resumption = Resumption::default();
        Ok(Self::from_config(config))
    }

    /// What a `tls:` endpoint asks for.
    pub(crate) fn for_endpoint(tls: &TlsConnect) -> Result<Self, TlsError> {
        // One for all: so they resume each other's sessions, and the platform is
        // asked once whom it trusts, which takes a while.
        static PLATFORM: OnceLock<TlsClient> = OnceLock::new();
        match (tls.insecure_no_verify, &tls.ca, &tls.cert) {
            (true, _, None) => return Ok(Self::insecure_no_verify()),
            (false, None, None) => {
                if let Some(client) = PLATFORM.get() {
                    return Ok(client.clone());
                }
                let client = Self::platform()?;
                return Ok(PLATFORM.get_or_init(|| client).clone());
            }
            _ => {}
        }
        let roots = match &tls.ca {
            Some(path) => roots(&path.display().to_string(), &read(path)?)?,
            None if tls.insecure_no_verify => RootCertStore::empty(),
            None => platform_roots()?,
        };
        let identity = match &tls.cert {
            Some(cert) => {
                let key = tls.key.as_ref().unwrap_or(cert);
                let chain = certificates(&cert.display().to_string(), &read(cert)?)?;
                Some((chain, private_key(&key.display().to_string(), &read(key)?)?))
            }
            None => None,
        };
        let mut client = Self::build(roots, identity)?;
        if tls.insecure_no_verify {
            let mut config = ClientConfig::clone(&client.0);
            config
                .dangerous()
                .set_certificate_verifier(Arc::new(NoVerify));
            client = Self::from_config(config);
        }
        Ok(client)
    }

    fn build(
        roots: RootCertStore,
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, TlsError> {
        let failed = |source| config_error("client certificate", source);
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(Clock))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(roots);
        let mut config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(failed)?,
            None => builder.with_no_client_auth(),
        };
        config.key_log = Arc::new(rustls::KeyLogFile::new());
        Ok(Self::from_config(config))
    }

    /// Does the handshake as a client, to a server that must be able to prove
    /// `name`.
    ///
    /// # Errors
    /// What the stream or rustls says: among others, that the certificate is
    /// not trusted, or is somebody else's.
    pub async fn connect(&self, stream: Stream, name: ServerName<'static>) -> io::Result<Stream> {
        let connector = TlsConnector::from(self.0.clone());
        Ok(TlsStream::Client(connector.connect(name, stream).await?).into())
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}

fn platform_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    match store.is_empty() {
        true => Err(TlsError::NoPlatformTrust),
        false => Ok(store),
    }
}

/// Verifies nothing; only where it was asked for by that name.
#[derive(Debug)]
struct NoVerify;

impl ServerCertVerifier for NoVerify {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
