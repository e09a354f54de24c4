//! TLS on either side, of a whole connection or from its middle.
//!
//! A thin face over rustls: what it decides is the provider (aws-lc-rs, with
//! post-quantum key exchange), that clients verify, and where certificates
//! come from. For everything else make a configuration of rustls yourself and
//! hand it in.

#[cfg(feature = "test-ca")]
mod ca;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

#[cfg(feature = "test-ca")]
pub use ca::TestCa;
pub use rustls::{self, pki_types::ServerName};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::{
    Connection, Layer, Result, Stream,
    endpoint::{Host, TlsConnect},
    work::BoxFuture,
};

/// A certificate, key or trust that cannot be used. The operator is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file, or a piece of PEM, does not hold what it should.
    #[error("{place}: {expected}")]
    Pem {
        /// The file, or "PEM" where there is none.
        place: String,
        /// What should be there.
        expected: &'static str,
    },
    /// Certificate and key do not fit, or the configuration cannot be.
    #[error("{place}: {source}")]
    Config {
        /// The file, or "PEM" where there is none.
        place: String,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The platform has no certificate that could be trusted.
    #[error(
        "the platform trusts no certificate authority: install ca-certificates, or name one by ca="
    )]
    NoPlatformTrust,
    /// A certificate cannot be made: a name that cannot stand in one, or no
    /// randomness.
    #[cfg(feature = "test-ca")]
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A `tls:` server with no certificate.
    #[error("{0} needs a certificate: name it by cert= and key=")]
    NoCertificate(String),
}

/// The server's side of TLS. Cheap to clone; clones are replaced together by
/// [`replace`](Self::replace).
#[derive(Clone)]
pub struct TlsServer(Arc<RwLock<Arc<ServerConfig>>>);

impl TlsServer {
    /// With a certificate chain and its key, both PEM (in one text or two).
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::Config`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::build("PEM", chain, "PEM", key)
    }

    /// As [`from_pem`](Self::from_pem), from files; they may be one.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let place = |path: &Path| path.display().to_string();
        Self::build(&place(chain), &read(chain)?, &place(key), &read(key)?)
    }

    /// With a configuration of rustls.
    pub fn from_config(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self(Arc::new(RwLock::new(config.into())))
    }

    /// The same, offering these protocols to ALPN, the preferred first.
    #[must_use]
    pub fn alpn(&self, protocols: &[&str]) -> Self {
        let mut config = ServerConfig::clone(&self.config());
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Self::from_config(config)
    }

    /// Serves new connections, here and in every clone, as `other` would. Open
    /// ones keep what they have.
    pub fn replace(&self, other: &Self) {
        let config = other.config();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn build(chain_at: &str, chain: &[u8], key_at: &str, key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain_at, chain)?;
        let key = private_key(key_at, key)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map(|c| c.with_no_client_auth())
            .and_then(|c| c.with_single_cert(chain, key))
            .map_err(|source| config_error(chain_at, source))?;
        config.key_log = Arc::new(rustls::KeyLogFile::new());
        Ok(Self::from_config(config))
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Does the handshake as a server.
    ///
    /// # Errors
    /// What the stream or rustls says; the peer has been told by an alert.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        let acceptor = TlsAcceptor::from(self.config());
        Ok(TlsStream::Server(acceptor.accept(stream).await?).into())
    }
}

impl Layer for TlsServer {
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async move {
            conn.wrap(|stream| self.accept(stream))
                .await
                .map_err(|error| format!("TLS handshake: {error}").into())
        })
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsServer")
    }
}

/// The client's side of TLS. Cheap to clone.
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
        let config = ClientConfig::builder_with_provider(provider())
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

    /// What a `tls:` endpoint asks for.
    pub(crate) fn for_endpoint(tls: &TlsConnect) -> Result<Self, TlsError> {
        if tls.insecure_no_verify && tls.cert.is_none() {
            return Ok(Self::insecure_no_verify());
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
        let builder = ClientConfig::builder_with_provider(provider())
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

/// What two sides agreed upon.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The protocol chosen by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The name the client asked for; on the server's side only.
    pub sni: Option<String>,
    /// The version, as `TLSv1_3`.
    pub version: Option<rustls::ProtocolVersion>,
    /// The peer's certificates, its own first; verified, unless verification
    /// was turned off by name.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The channel binding `tls-exporter` (RFC 9266), where TLS 1.3 or an
    /// extended master secret gives one.
    pub exporter: Option<[u8; 32]>,
}

impl TlsInfo {
    pub(crate) fn of(stream: &TlsStream<Stream>) -> Self {
        let (_, common) = stream.get_ref();
        let label = b"EXPORTER-Channel-Binding";
        let (sni, exporter) = match stream {
            TlsStream::Server(s) => {
                let connection = s.get_ref().1;
                let exporter = connection.export_keying_material([0; 32], label, None);
                (connection.server_name().map(str::to_owned), exporter)
            }
            TlsStream::Client(s) => {
                let exporter = s.get_ref().1.export_keying_material([0; 32], label, None);
                (None, exporter)
            }
        };
        Self {
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
            sni,
            version: common.protocol_version(),
            certificates: common
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|c| c.clone().into_owned())
                .collect(),
            exporter: exporter.ok(),
        }
    }
}

/// Whether an endpoint says anything about TLS itself.
pub(crate) fn is_configured(tls: &TlsConnect) -> bool {
    tls.ca.is_some() || tls.cert.is_some() || tls.insecure_no_verify
}

/// The name that a host must prove.
pub(crate) fn name_of(host: &Host) -> io::Result<ServerName<'static>> {
    match host {
        Host::Address(address) => Ok(ServerName::from(address.ip)),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e)),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
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

fn config_error(place: &str, source: rustls::Error) -> TlsError {
    TlsError::Config {
        place: place.to_owned(),
        source,
    }
}

fn certificates(place: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let expected = "expected certificates in PEM";
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| pem_error(place, expected))?;
    match chain.is_empty() {
        true => Err(pem_error(place, expected)),
        false => Ok(chain),
    }
}

fn private_key(place: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| pem_error(place, "expected a private key in PEM, not encrypted"))
}

fn roots(place: &str, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(place, pem)? {
        store
            .add(certificate)
            .map_err(|source| config_error(place, source))?;
    }
    Ok(store)
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
