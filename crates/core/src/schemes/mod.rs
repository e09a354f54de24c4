//! From an endpoint to a listener or a connection.
//!
//! An endpoint is plain data; a [`Schemes`] value knows what its scheme means.
//! The built-ins (tcp, tls, unix, stdio, exec, fd, udp, unix-datagram, mem,
//! systemd, and the jumps haproxy, socks5 and http-connect) are in every one,
//! and [`Schemes::add`] puts others beside them.

mod check;
mod error;
mod fd;
mod memory;
mod owner;
mod route;
mod stdio;
mod systemd;
mod tcp;
mod unix;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::IpAddr,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

#[cfg(feature = "testing")]
pub(crate) use error::UnknownHost;
pub use error::{ConnectError, ListenError, ProxyRefusal};
pub use route::Route;
pub(crate) use systemd::VARIABLES as SYSTEMD_VARIABLES;
pub(crate) use tcp::{bind_udp, resolve as resolve_host, socket_address};
use tokio_util::sync::CancellationToken;
pub(crate) use unix::{SocketFile, abstract_address};

#[cfg(feature = "tls")]
use crate::endpoint::TlsConnect;
use crate::{
    Address, ClientEndpoint, Connection, DatagramSocket, Layer, Limits, Peer, ServerEndpoint,
    Stream,
    datagram::{Mailboxes, connect_udp, connect_unix, listen_udp, listen_unix, passed_udp},
    endpoint::Description,
    endpoint::{ClientSpec, ServerSpec},
    jumps::proxy::Trust,
    work::BoxFuture,
};

/// What the schemes of endpoints mean, and the names that `mem:` endpoints
/// have given themselves.
///
/// Cheap to clone; clones share their names. [`ServerEndpoint::listen`] and
/// [`ClientEndpoint::connect`] use [`Schemes::global`]; a test makes one of
/// its own, so that its `mem:` names meet nobody else's.
#[derive(Clone)]
pub struct Schemes {
    added: BTreeMap<String, Arc<dyn Scheme>>,
    memory: Arc<memory::Names>,
    mailboxes: Arc<Mailboxes>,
    resolver: Option<Arc<dyn Resolve>>,
}

impl Schemes {
    /// The built-in schemes, with no name taken.
    pub fn new() -> Self {
        Self {
            added: BTreeMap::new(),
            memory: Arc::default(),
            mailboxes: Arc::default(),
            resolver: None,
        }
    }

    /// The one that endpoints use where they are given no other.
    pub fn global() -> Self {
        static GLOBAL: LazyLock<Schemes> = LazyLock::new(Schemes::new);
        GLOBAL.clone()
    }

    /// With one more scheme. A built-in one cannot be replaced.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "one adds a scheme to schemes; nobody will look for an operator"
    )]
    pub fn add(mut self, scheme: impl Scheme) -> Self {
        self.added
            .insert(scheme.name().to_ascii_lowercase(), Arc::new(scheme));
        self
    }

    /// Has names of hosts in endpoints looked up by this resolver, instead of by the system's.
    #[must_use]
    pub fn resolve_with(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Listens on an endpoint, with no handler yet.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen(&self, endpoint: &ServerEndpoint) -> Result<Bound, ListenError> {
        let named = |result: io::Result<Bound>| {
            result.map_err(|source| ListenError::new(endpoint.to_string(), source))
        };
        match &endpoint.spec {
            ServerSpec::Tcp(tcp) => named(tcp::listen(tcp).map(Bound::new)),
            #[cfg(feature = "tls")]
            ServerSpec::Tls(tls) => {
                let asked = crate::tls::Asked::of(tls)?;
                let mut bound = named(tcp::listen(&tls.tcp).map(Bound::new))?;
                bound.tls = Some(asked);
                Ok(bound)
            }
            #[cfg(not(feature = "tls"))]
            ServerSpec::Tls(_) => Err(ListenError::unsupported(endpoint, "built without TLS")),
            ServerSpec::Unix(unix) => named(unix::listen(unix).await.map(Bound::new)),
            ServerSpec::Fd(number) => named(fd::listen(*number).map(Bound::from)),
            ServerSpec::Stdio => Ok(Bound::new(stdio::Stdio::new())),
            ServerSpec::Mem(name) => named(self.memory.listen(name).map(Bound::new)),
            ServerSpec::Udp(_) | ServerSpec::UnixDatagram(_) => Err(ListenError::unsupported(
                endpoint,
                "datagrams are served by `listen_datagrams`",
            )),
            ServerSpec::Systemd(systemd) => named(systemd::listen(systemd).map(Bound::from)),
            ServerSpec::Haproxy(haproxy) => {
                let mut bound = Box::pin(self.listen(&haproxy.inner)).await?;
                // Before those of the inner endpoint: it is nearer to the wire.
                bound.headers.insert(0, Trust::new(haproxy.from.clone()));
                Ok(bound)
            }
            ServerSpec::Other(description) => match self.added.get(description.scheme()) {
                Some(scheme) => scheme.listen(description, self).await,
                None => Err(ListenError::unsupported(endpoint, self.known())),
            },
        }
    }

    /// Connects to an endpoint.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn connect(&self, endpoint: &ClientEndpoint) -> Result<Connection, ConnectError> {
        let options = ConnectOptions {
            schemes: self.clone(),
            ..ConnectOptions::default()
        };
        endpoint.connect_with(&options).await
    }

    /// A scheme that was added, for the endpoint of this name.
    fn added(&self, scheme: &str, name: &ClientEndpoint) -> Result<&dyn Scheme, ConnectError> {
        match self.added.get(scheme) {
            Some(scheme) => Ok(&**scheme),
            None => Err(ConnectError::unsupported(name, self.known_to_connect())),
        }
    }

    /// Opens a socket for datagrams, with no protocol yet.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen_datagrams(
        &self,
        endpoint: &ServerEndpoint,
    ) -> Result<Box<dyn DatagramSocket>, ListenError> {
        let named = |source| ListenError::new(endpoint.to_string(), source);
        match &endpoint.spec {
            ServerSpec::Udp(udp) => Ok(Box::new(listen_udp(udp).map_err(named)?)),
            ServerSpec::UnixDatagram(unix) => Ok(Box::new(listen_unix(unix).map_err(named)?)),
            ServerSpec::Mem(name) => Ok(Box::new(self.mailboxes.listen(name).map_err(named)?)),
            ServerSpec::Systemd(systemd) => {
                let socket = systemd::datagrams(systemd).map_err(named)?;
                Ok(Box::new(passed_udp(socket).map_err(named)?))
            }
            ServerSpec::Other(description) => match self.added.get(description.scheme()) {
                Some(scheme) => scheme.listen_datagrams(description, self).await,
                None => Err(ListenError::unsupported(endpoint, self.known())),
            },
            _ => Err(ListenError::unsupported(
                endpoint,
                "it does not carry datagrams",
            )),
        }
    }

    /// Opens a socket for datagrams with one peer.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn connect_datagrams(
        &self,
        endpoint: &ClientEndpoint,
    ) -> Result<Box<dyn DatagramSocket>, ConnectError> {
        let named = |source| ConnectError::new(endpoint.to_string(), source);
        match &endpoint.spec {
            ClientSpec::Udp(udp) => Ok(Box::new(connect_udp(udp, self).await.map_err(named)?)),
            ClientSpec::UnixDatagram(unix) => Ok(Box::new(connect_unix(unix).map_err(named)?)),
            ClientSpec::Mem(name) => Ok(Box::new(self.mailboxes.connect(name).map_err(named)?)),
            ClientSpec::Other(description) => match self.added.get(description.scheme()) {
                Some(scheme) => scheme.connect_datagrams(description, self).await,
                None => Err(ConnectError::unsupported(endpoint, self.known_to_connect())),
            },
            _ => Err(ConnectError::unsupported(
                endpoint,
                "it does not carry datagrams",
            )),
        }
    }

    /// The schemes that listen, for the one who asked for another. Of those
    /// that were added it is not known what they can.
    fn known(&self) -> String {
        self.with_added(
            "the schemes are tcp, tls, unix, stdio, fd, systemd, udp, unix-datagram, mem, haproxy",
        )
    }

    /// The schemes that connect.
    fn known_to_connect(&self) -> String {
        self.with_added(
            "the schemes are tcp, tls, unix, exec, fd, udp, unix-datagram, mem, haproxy, socks5, \
             http-connect",
        )
    }

    fn with_added(&self, built_in: &str) -> String {
        self.added
            .keys()
            .fold(built_in.to_owned(), |known, name| known + ", " + name)
    }
}

impl Default for Schemes {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemes")
            .field("added", &self.added.keys())
            .finish_non_exhaustive()
    }
}

/// Finds the addresses of hosts: what [`Schemes::resolve_with`] asks for the names in `tcp:`, `tls:`
/// and `udp:` endpoints.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host, those to be tried first at the front; none if it has none. Families
    /// are then tried in turn (RFC 8305), beginning with that of the first.
    ///
    /// # Errors
    /// Why they could not be found; connecting fails with it.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// A scheme of your own: `NAME:…` in endpoint strings.
pub trait Scheme: Send + Sync + 'static {
    /// The name before the first colon.
    fn name(&self) -> &str;

    /// Listens on an endpoint of this scheme.
    ///
    /// # Errors
    /// By default that this scheme only connects.
    fn listen<'a>(
        &'a self,
        description: &'a Description,
        schemes: &'a Schemes,
    ) -> BoxFuture<'a, Result<Bound, ListenError>> {
        let _ = schemes;
        Box::pin(async move {
            let why = format!("{} only connects", self.name());
            Err(ListenError::unsupported(description, why))
        })
    }

    /// Connects to an endpoint of this scheme that leads no further. What it
    /// needs for that it reaches by the `route`: the endpoint may stand behind
    /// a proxy.
    ///
    /// # Errors
    /// By default that this scheme only listens.
    fn connect<'a>(
        &'a self,
        description: &'a Description,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        let _ = route;
        Box::pin(async move {
            let why = format!("{} only listens", self.name());
            Err(ConnectError::unsupported(description, why))
        })
    }

    /// Opens a socket for datagrams on an endpoint of this scheme.
    ///
    /// # Errors
    /// By default that this scheme carries none.
    fn listen_datagrams<'a>(
        &'a self,
        description: &'a Description,
        schemes: &'a Schemes,
    ) -> BoxFuture<'a, Result<Box<dyn DatagramSocket>, ListenError>> {
        let _ = schemes;
        Box::pin(async move {
            let why = format!("{} carries no datagrams", self.name());
            Err(ListenError::unsupported(description, why))
        })
    }

    /// Opens a socket for datagrams with the peer that an endpoint of this
    /// scheme names.
    ///
    /// # Errors
    /// By default that this scheme carries none.
    fn connect_datagrams<'a>(
        &'a self,
        description: &'a Description,
        schemes: &'a Schemes,
    ) -> BoxFuture<'a, Result<Box<dyn DatagramSocket>, ConnectError>> {
        let _ = schemes;
        Box::pin(async move {
            let why = format!("{} carries no datagrams", self.name());
            Err(ConnectError::unsupported(description, why))
        })
    }

    /// Leads on to another endpoint, where this scheme is a jump: connects to
    /// `to` from where the jump goes. As `to` it is given a `tcp:` endpoint
    /// also where there is TLS inside, which comes after; or what else stands
    /// behind the jump, such as `unix:` and `exec:`, as it stands there. Only
    /// `ssh` can stand before a slash, besides the built-in jumps.
    ///
    /// # Errors
    /// By default that this scheme leads nowhere.
    fn jump<'a>(
        &'a self,
        description: &'a Description,
        to: &'a ClientEndpoint,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        let _ = (to, route);
        Box::pin(async move {
            let why = format!("{} leads to no other endpoint", self.name());
            Err(ConnectError::unsupported(description, why))
        })
    }
}

/// How to connect, where an endpoint's string does not say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What the scheme means. Default [`Schemes::global`].
    pub schemes: Schemes,
    /// The connection's limits. Default [`Limits::client`].
    pub limits: Limits,
    /// On whose behalf a `haproxy/…` endpoint connects: the client, and where
    /// it connected to, as a proxy has them from the connection that it passes
    /// on. Default none, and the header says so (`LOCAL`, `UNKNOWN`).
    pub on_behalf_of: Option<(Address, Address)>,
    /// Gives up connecting when it is cancelled, with
    /// [`ConnectError::Cancelled`]; a connection that is made already stays.
    /// Default none. Dropping the future of a connect gives it up too.
    pub cancel: Option<CancellationToken>,
    /// The TLS side of `tls:` endpoints that name no `ca`, `cert` or other
    /// option of TLS. Default none: the platform's roots.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::tls::TlsClient>,
    /// What was read for an endpoint in advance.
    #[cfg(feature = "tls")]
    prepared: Option<(ClientEndpoint, crate::tls::TlsClient)>,
}

impl ConnectOptions {
    /// Reads what connecting to `endpoint` needs (roots, certificates, keys)
    /// now and once, instead of at every connect; for who connects again and
    /// again, and wants to hear of a bad file at the start.
    ///
    /// # Errors
    /// [`ConnectError::Tls`] names the file.
    #[cfg(feature = "tls")]
    pub fn prepare(mut self, endpoint: &ClientEndpoint) -> Result<Self, ConnectError> {
        let endpoint = endpoint.last();
        if let ClientSpec::Tls(tls) = &endpoint.spec
            && (self.tls.is_none() || crate::tls::is_configured(tls))
        {
            let client = crate::tls::TlsClient::for_endpoint(tls)?;
            self.prepared = Some((endpoint.clone(), client));
        }
        Ok(self)
    }

    /// The same, offering these protocols to ALPN, the preferred first, where
    /// TLS was [prepared](Self::prepare) or is given in [`tls`](Self::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        let clients = self.prepared.iter_mut().map(|(_, client)| client);
        for client in clients.chain(&mut self.tls) {
            *client = client.alpn(protocols);
        }
        self
    }

    /// The TLS side of an endpoint, and the name that the peer must prove.
    #[cfg(feature = "tls")]
    fn tls_for(
        &self,
        endpoint: &ClientEndpoint,
        tls: &TlsConnect,
        name: &ClientEndpoint,
    ) -> Result<(crate::tls::TlsClient, crate::tls::ServerName<'static>), ConnectError> {
        let client = match (&self.prepared, &self.tls) {
            (Some((prepared, client)), _) if prepared == endpoint => client.clone(),
            (_, Some(client)) if !crate::tls::is_configured(tls) => client.clone(),
            _ => crate::tls::TlsClient::for_endpoint(tls)?,
        };
        let host = tls.sni.as_ref().unwrap_or(&tls.tcp.host);
        let host = crate::tls::name_of(host);
        let host = host.map_err(|source| ConnectError::new(name.to_string(), source))?;
        Ok((client, host))
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            schemes: Schemes::global(),
            limits: Limits::client(),
            on_behalf_of: None,
            cancel: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            prepared: None,
        }
    }
}

/// Where connections come from, one after the other.
pub trait Listener: Send + 'static {
    /// The next connection; `None` when there will be none any more. Errors
    /// are those of one accept: the listener goes on.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>>;

    /// Where it listens.
    fn local(&self) -> Address;

    /// Ends it. Returns the connections that were made and not yet accepted,
    /// so that a drain loses none.
    fn finish(self: Box<Self>) -> Vec<Accepted> {
        Vec::new()
    }
}

/// What the backlog of a socket that does not block still holds: past those who
/// have gone again, and no more than kernels keep unless told otherwise
/// (`net.core.somaxconn`), since whoever calls fast enough could hold up the
/// end of a drain.
fn backlog<T>(accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    const MOST: usize = 4096;
    std::iter::repeat_with(accept)
        .take(MOST)
        .take_while(|accepted| match accepted {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionAborted,
        })
        .flatten()
}

/// A stream that was accepted, and between whom.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The stream.
    pub stream: Stream,
    /// The other end.
    pub peer: Peer,
    /// Our end.
    pub local: Address,
}

impl Accepted {
    /// A stream between these two.
    pub fn new(stream: impl Into<Stream>, peer: Peer, local: Address) -> Self {
        Self {
            stream: stream.into(),
            peer,
            local,
        }
    }
}

/// A listener, and what every connection of it passes through first.
pub struct Bound {
    pub(crate) listener: Box<dyn Listener>,
    /// The headers with which connections begin, before TLS.
    pub(crate) headers: Vec<Trust>,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
    /// That it speaks TLS, and with what; the server's options supply what the
    /// endpoint does not.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Asked>,
}

impl Bound {
    /// A listener with no layers.
    pub fn new(listener: impl Listener) -> Self {
        Self::from(Box::new(listener) as Box<dyn Listener>)
    }

    /// With one more layer, inside those there are.
    #[must_use]
    pub fn layer(mut self, layer: Arc<dyn Layer>) -> Self {
        self.layers.push(layer);
        self
    }
}

impl From<Box<dyn Listener>> for Bound {
    fn from(listener: Box<dyn Listener>) -> Self {
        Self {
            listener,
            headers: Vec::new(),
            layers: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bound({})", self.listener.local())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_has_an_end() {
        let mut calls = [
            Ok(1),
            Err(io::ErrorKind::ConnectionAborted),
            Ok(2),
            Err(io::ErrorKind::WouldBlock),
            Ok(3),
        ]
        .into_iter();
        let accept = || {
            calls
                .next()
                .map_or(Ok(4), |call| call.map_err(io::Error::from))
        };
        assert_eq!(backlog(accept).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(backlog(|| Ok(())).count(), 4096);
    }
}
