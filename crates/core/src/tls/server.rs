//! The server's side of TLS: a configuration that can change under it, and
//! the handshake.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    HandshakeKind, ServerConfig,
    server::{Accepted, AcceptedAlert, Acceptor},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{StartHandshake, TlsStream};

use super::{
    ClientCertificates, Clock, HandshakeCounts, HandshakeError, HandshakeFailure, TlsError,
    clients::{Authorities, Clients, Present},
    failure::Counting,
    keys::{Keys, WATCH},
    provider, unix_now,
    x509::names_and_validity,
};
use crate::{
    Connection, Layer, Result, ServerEndpoint, Stream, endpoint::TlsListen, work::BoxFuture,
};

/// The server's side of TLS. Cheap to clone; clones are replaced together by
/// [`replace`](Self::replace), and count their handshakes together.
///
/// [The module](super) says how a folder of certificates is read and watched,
/// and how sessions are resumed.
#[derive(Clone)]
pub struct TlsServer(Arc<Shared>);

struct Shared {
    now: RwLock<Now>,
    counting: Counting,
}

#[derive(Clone)]
struct Now {
    from: Recipe,
    config: Arc<ServerConfig>,
}

/// What a configuration is made of.
#[derive(Clone)]
enum Recipe {
    Parts {
        keys: Arc<Keys>,
        clients: Arc<Clients>,
        /// What the configuration was made of, to notice that it is another.
        present: Arc<Present>,
        alpn: Vec<Vec<u8>>,
    },
    /// Handed in.
    Config,
}

impl TlsServer {
    /// How often a folder of certificates is looked at. Files named one by one
    /// are read again by [`reload`](Self::reload) alone.
    pub const WATCH: Duration = WATCH;

    /// With a certificate chain and its key, both PEM (in one text or two).
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::Config`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::of_keys(Keys::from_pem(chain, key, &provider())?)
    }

    /// As [`from_pem`](Self::from_pem), from files; they may be one.
    ///
    /// A certificate that is not valid now is served, and the log says so; so
    /// it does daily of one that is about to expire.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::of_keys(Keys::from_files(chain, key, &provider())?)
    }

    /// With the certificates in a folder, each for its names; watched, and
    /// taken anew when its files change. [The module](super) has the rules.
    ///
    /// The watch is a task of the runtime in which this is called or, failing
    /// that, in which the first server or handshake has it. It ends with the
    /// last clone.
    ///
    /// # Errors
    /// [`TlsError::Folder`] if no certificate with its key is there. Where at
    /// least one is, what is wrong with the other files is in the log.
    pub fn from_folder(folder: &Path) -> Result<Self, TlsError> {
        Self::of_keys(Keys::from_folder(folder)?)
    }

    /// With a configuration of rustls.
    pub fn from_config(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self::new(Recipe::Config, config.into())
    }

    fn of_keys(keys: Arc<Keys>) -> Result<Self, TlsError> {
        Ok(Self::of_parts(
            keys,
            Arc::new(Clients::nothing()?),
            Vec::new(),
        ))
    }

    fn of_parts(keys: Arc<Keys>, clients: Arc<Clients>, alpn: Vec<Vec<u8>>) -> Self {
        let present = clients.present();
        let config = build(&keys, &present, &alpn);
        let from = Recipe::Parts {
            keys,
            clients,
            present,
            alpn,
        };
        Self::new(from, config)
    }

    fn new(from: Recipe, config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(Shared {
            now: RwLock::new(Now { from, config }),
            counting: Counting::default(),
        }))
    }

    /// The same, offering these protocols to ALPN, the preferred first. It
    /// follows reloads of this one, and resumes its sessions.
    #[must_use]
    pub fn alpn(&self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let Now { from, config } = self.now();
        match from {
            Recipe::Parts { keys, clients, .. } => Self::of_parts(keys, clients, protocols),
            Recipe::Config => {
                let mut config = ServerConfig::clone(&config);
                config.alpn_protocols = protocols;
                Self::from_config(config)
            }
        }
    }

    /// The same, asking clients for a certificate of the authorities in `ca`,
    /// PEM. Sessions of this one are not resumed there. Who somebody is stands
    /// in [`TlsInfo::identity`](super::TlsInfo::identity).
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::Config`]; [`TlsError::OwnConfig`]
    /// behind [`from_config`](Self::from_config).
    pub fn client_certificates(
        &self,
        ca: &[u8],
        which: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let of = Authorities::Pem(ca.to_owned());
        self.with_clients(Arc::new(Clients::certificates(of, which, provider())?))
    }

    /// As [`client_certificates`](Self::client_certificates), from a file,
    /// which [`reload`](Self::reload) reads again.
    ///
    /// # Errors
    /// The same, and [`TlsError::Read`].
    pub fn client_certificates_of(
        &self,
        ca: &Path,
        which: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let of = Authorities::File(ca.to_owned());
        self.with_clients(Arc::new(Clients::certificates(of, which, provider())?))
    }

    fn with_clients(&self, clients: Arc<Clients>) -> Result<Self, TlsError> {
        match self.now().from {
            Recipe::Parts { keys, alpn, .. } => Ok(Self::of_parts(keys, clients, alpn)),
            Recipe::Config => Err(TlsError::OwnConfig),
        }
    }

    /// Serves new connections, here and in every clone, as `other` would. Open
    /// ones keep what they have.
    pub fn replace(&self, other: &Self) {
        let now = other.now();
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// As [`replace`](Self::replace), with what an endpoint asks of clients
    /// whoever serves it.
    pub(crate) fn replace_keeping(
        &self,
        other: &Self,
        clients: Option<&Arc<Clients>>,
    ) -> Result<(), TlsError> {
        match clients {
            Some(clients) => self.replace(&other.with_clients(clients.clone())?),
            None => self.replace(other),
        }
        Ok(())
    }

    /// Reads again whatever files this came from: certificates, keys, the
    /// folder, the authorities of clients. New connections, here and in all
    /// that was made of this, are served with what was read; open ones keep
    /// what they have. For SIGHUP; it waits for the disk.
    ///
    /// # Errors
    /// [`TlsError`], which names the file. Of what could not be used the old is
    /// kept, also where the new has expired and the old has not; in a folder,
    /// all that is in order is taken in any case.
    pub fn reload(&self) -> Result<(), TlsError> {
        match self.now().from {
            Recipe::Parts { keys, clients, .. } => {
                // The one is no worse for what is wrong with the other.
                let certificates = keys.reload(&provider());
                certificates.and(clients.reload(provider()))
            }
            Recipe::Config => Ok(()),
        }
    }

    /// How many handshakes this and its clones did.
    pub fn handshakes(&self) -> HandshakeCounts {
        self.0.counting.counts()
    }

    /// Watches its files from now on, where it was made outside of a runtime.
    pub(crate) fn watch(&self) {
        let now = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        if let Recipe::Parts { keys, .. } = &now.from {
            keys.watch();
        }
    }

    fn now(&self) -> Now {
        self.0
            .now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The configuration for one more handshake.
    fn config(&self) -> Arc<ServerConfig> {
        let now = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        if let Recipe::Parts {
            keys,
            clients,
            present,
            ..
        } = &now.from
        {
            keys.watch();
            if !Arc::ptr_eq(present, &clients.present()) {
                drop(now);
                return self.renewed();
            }
        }
        now.config.clone()
    }

    /// Makes the configuration anew, for clients of whom something else is
    /// asked.
    fn renewed(&self) -> Arc<ServerConfig> {
        let mut now = self.0.now.write().unwrap_or_else(PoisonError::into_inner);
        let Now { from, config } = &mut *now;
        if let Recipe::Parts {
            keys,
            clients,
            present,
            alpn,
        } = from
        {
            *present = clients.present();
            *config = build(keys, present, alpn);
        }
        config.clone()
    }

    /// Does the handshake as a server.
    ///
    /// # Errors
    /// A [`HandshakeError`] in an [`io::Error`] of the kind that the stream or
    /// rustls gave; the peer has been told by an alert.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        self.handshake(stream).await.map_err(Into::into)
    }

    async fn handshake(&self, stream: Stream) -> Result<Stream, HandshakeError> {
        let mut outcome = Outcome {
            counting: &self.0.counting,
            failure: Some(HandshakeFailure::TimedOut),
        };
        let result = handshake(stream, self.config()).await;
        match &result {
            Ok(stream) => {
                outcome.failure = None;
                let kind = stream.get_ref().1.handshake_kind();
                self.0
                    .counting
                    .succeeded(kind == Some(HandshakeKind::Resumed));
            }
            Err(error) => outcome.failure = Some(error.failure),
        }
        Ok(TlsStream::Server(result?).into())
    }
}

/// Counts a handshake that fails, also by being dropped.
struct Outcome<'a> {
    counting: &'a Counting,
    failure: Option<HandshakeFailure>,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if let Some(failure) = self.failure {
            self.counting.failed(failure);
        }
    }
}

type Accepting = tokio_rustls::server::TlsStream<Stream>;

async fn handshake(
    mut stream: Stream,
    config: Arc<ServerConfig>,
) -> Result<Accepting, HandshakeError> {
    let mut first = Vec::new();
    let accepted = client_hello(&mut stream, &mut first)
        .await
        .map_err(|e| HandshakeError::from_io(e, &first))?;
    let stream = StartHandshake::from_parts(accepted, stream)
        .into_stream(config)
        .await
        .map_err(|e| HandshakeError::from_io(e, &first))?;
    let session = stream.get_ref().1;
    // rustls verifies a client's certificate when it is shown, and not again
    // when its session is resumed, which may be half a day later.
    if session.handshake_kind() == Some(HandshakeKind::Resumed)
        && let Some(certificate) = session.peer_certificates().and_then(<[_]>::first)
        && let (_, validity) = names_and_validity(certificate)
        && let Some(why) = validity.problem(unix_now())
    {
        let why = io::Error::new(io::ErrorKind::InvalidData, format!("it {why}"));
        let expired = HandshakeFailure::ClientCertificateExpired;
        return Err(HandshakeError::new(expired, why));
    }
    Ok(stream)
}

/// Reads until the ClientHello is whole. The beginning of it goes to `first`,
/// too: it tells HTTP from other things that are no TLS.
async fn client_hello(stream: &mut Stream, first: &mut Vec<u8>) -> io::Result<Accepted> {
    let mut acceptor = Acceptor::default();
    let mut buffer = Vec::with_capacity(CLIENT_HELLO);
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        first.extend(buffer.iter().take(FIRST - first.len()));
        let mut unread = buffer.as_slice();
        while !unread.is_empty() {
            // It says so when it is fed more than a ClientHello may hold.
            acceptor.read_tls(&mut unread)?;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, alert)) => {
                tell(stream, alert).await;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// Tells the peer what is wrong; whether it hears is its own affair.
async fn tell(stream: &mut Stream, mut alert: AcceptedAlert) {
    let mut octets = Vec::new();
    if alert.write_all(&mut octets).is_ok() {
        let _ = stream.write_all(&octets).await;
        let _ = stream.flush().await;
    }
}

fn build(keys: &Arc<Keys>, present: &Present, alpn: &[Vec<u8>]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(Clock))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_client_cert_verifier(present.verifier.clone())
        .with_cert_resolver(keys.clone());
    config.key_log = Arc::new(rustls::KeyLogFile::new());
    config.ticketer = present.ticketer.clone();
    config.session_storage = present.sessions.clone();
    config.alpn_protocols = alpn.to_vec();
    Arc::new(config)
}

impl Layer for TlsServer {
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async move { Ok(conn.wrap(|stream| self.accept(stream)).await?) })
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsServer")
    }
}

/// What a `tls:` endpoint says about its side of TLS, its files read.
pub(crate) struct Asked {
    own: Option<TlsServer>,
    /// Holds whatever certificate is served: see
    /// [`replace_keeping`](TlsServer::replace_keeping).
    pub(crate) clients: Option<Arc<Clients>>,
}

impl Asked {
    pub(crate) fn of(tls: &TlsListen) -> Result<Self, TlsError> {
        let own = match (&tls.cert, &tls.certs) {
            (Some(cert), _) => Some(TlsServer::from_files(
                cert,
                tls.key.as_ref().unwrap_or(cert),
            )?),
            (None, Some(folder)) => Some(TlsServer::from_folder(folder)?),
            (None, None) => None,
        };
        let which = match tls.client_cert_optional {
            true => ClientCertificates::Optional,
            false => ClientCertificates::Required,
        };
        let clients = match &tls.client_ca {
            Some(ca) => {
                let of = Authorities::File(ca.clone());
                Some(Arc::new(Clients::certificates(of, which, provider())?))
            }
            None => None,
        };
        Ok(Self { own, clients })
    }

    /// With what the program supplies where the endpoint has no certificate of
    /// its own.
    pub(crate) fn or(
        self,
        supplied: Option<TlsServer>,
        endpoint: &ServerEndpoint,
    ) -> Result<TlsServer, TlsError> {
        let none = || TlsError::NoCertificate(endpoint.to_string());
        let tls = self.own.or(supplied).ok_or_else(none)?;
        let tls = match self.clients {
            Some(clients) => tls.with_clients(clients)?,
            None => tls,
        };
        tls.watch();
        Ok(tls)
    }
}

/// Room for a ClientHello with a post-quantum key share; a longer one takes
/// another read.
const CLIENT_HELLO: usize = 2048;

/// Octets that tell what speaks there: the longest word that HTTP begins with.
const FIRST: usize = 14;
