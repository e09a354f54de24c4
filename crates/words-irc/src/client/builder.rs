//! Who the client is and where it goes.

use std::sync::Arc;

use ropewalk_core::{BackOff, ClientEndpoint, ConnectOptions};
use ropewalk_cred::{Secret, sasl::Login};
use tokio::sync::oneshot;

use super::{
    Client, Error, Handle, MemorySts, StsStore,
    run::{First, Runner},
    shared::Shared,
};
use crate::proto::client::{CtcpOptions, Options, Pace};

/// Makes a [`Client`]. What it has no method for stands in [`Options`], by
/// [`options`](Self::options).
#[must_use = "nothing happens before it connects"]
pub struct Builder {
    options: Options,
    connect: ConnectOptions,
    back_off: Option<BackOff>,
    sts: Option<Arc<dyn StsStore>>,
    waiting_events: usize,
    #[cfg(feature = "websocket")]
    websocket: Option<crate::websocket::ConnectOptions>,
}

impl Builder {
    pub(super) fn new(nick: impl Into<String>) -> Self {
        Self {
            options: Options::new(nick),
            connect: ConnectOptions::default(),
            back_off: Some(BackOff::default()),
            sts: None,
            waiting_events: 10_000,
            #[cfg(feature = "websocket")]
            websocket: None,
        }
    }

    /// Another nick, for when those before it are taken.
    pub fn or_nick(mut self, nick: impl Into<String>) -> Self {
        self.options.nicks.push(nick.into());
        self
    }

    /// The user name and the real name. Default the nick.
    pub fn user(mut self, user: impl Into<String>, realname: impl Into<String>) -> Self {
        self.options.user = Some(user.into());
        self.options.realname = Some(realname.into());
        self
    }

    /// The server's password (`PASS`).
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.options.password = Some(password.into());
        self
    }

    /// A channel to be in.
    pub fn channel(mut self, name: impl Into<String>) -> Self {
        self.options.channels.push((name.into(), None));
        self
    }

    /// A channel to be in, and its key.
    pub fn channel_with_key(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.options.channels.push((name.into(), Some(key.into())));
        self
    }

    /// Logs in with an account's name and password, by SASL: SCRAM where the
    /// server has it, PLAIN over TLS.
    pub fn account(self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.login(Login::password(name, password))
    }

    /// Logs in by SASL, with whatever this is; with several, the first that the
    /// server takes. A certificate is shown by TLS: `tls:…:cert=…:key=…`.
    pub fn login(mut self, login: Login) -> Self {
        self.options.logins.push(login);
        self
    }

    /// Marks the client as a bot, where the server has such a mark.
    pub fn bot(mut self) -> Self {
        self.options.bot = true;
        self
    }

    /// How fast it talks.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.options.pace = pace;
        self
    }

    /// What it answers to requests between clients.
    pub fn ctcp(mut self, ctcp: CtcpOptions) -> Self {
        self.options.ctcp = ctcp;
        self
    }

    /// All else that there is to say of how it behaves.
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// How connections are made: schemes, TLS, limits of the engine.
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// The waits between attempts to connect again. Default
    /// [`BackOff::default`]: from a second to a minute, for ever.
    pub fn back_off(mut self, back_off: BackOff) -> Self {
        self.back_off = Some(back_off);
        self
    }

    /// A connection that is lost is the end.
    pub fn without_reconnect(mut self) -> Self {
        self.back_off = None;
        self
    }

    /// Where it is kept which servers want TLS. Default in memory.
    pub fn sts(mut self, store: Arc<dyn StsStore>) -> Self {
        self.sts = Some(store);
        self
    }

    /// The events that may wait for [`Client::next`]; past them, or past 32 MiB,
    /// the connection is not read. Default 10,000.
    pub fn waiting_events(mut self, most: usize) -> Self {
        self.waiting_events = most;
        self
    }

    /// Speaks IRC over WebSocket on the endpoint's stream.
    #[cfg(feature = "websocket")]
    pub fn websocket(mut self, options: crate::websocket::ConnectOptions) -> Self {
        self.websocket = Some(options);
        self
    }

    /// Connects, and waits until the server has taken the client in. From then
    /// on, a connection that is lost is made again.
    ///
    /// The endpoint is any of the engine's: `tls:irc.libera.chat:6697`,
    /// `tcp:localhost:6667`, `socks5:localhost:9050/tls:…`, `unix:/run/irc`.
    ///
    /// # Errors
    /// [`Error`]: that of the first attempt, which is the only one then.
    pub async fn connect(self, endpoint: &str) -> Result<Client, Error> {
        self.connect_to(endpoint.parse()?).await
    }

    /// As [`connect`](Self::connect), to an endpoint that was read already.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_to(self, endpoint: ClientEndpoint) -> Result<Client, Error> {
        let (first, connected) = oneshot::channel();
        let client = self.begin(endpoint, Some(first))?;
        match connected.await {
            Ok(result) => result.map(|()| client),
            // The runtime has ended, and the task with it.
            Err(_) => Err(Error::Lost(ropewalk_core::Closed::Aborted)),
        }
    }

    /// Connects, as often as it takes; the events tell how it goes.
    ///
    /// # Errors
    /// [`Error`], if TLS cannot even begin: a certificate that cannot be read.
    pub fn start(self, endpoint: ClientEndpoint) -> Result<Client, Error> {
        self.begin(endpoint, None)
    }

    fn begin(self, endpoint: ClientEndpoint, first: First) -> Result<Client, Error> {
        #[cfg(feature = "tls")]
        let connect = self.connect.prepare(&endpoint)?;
        #[cfg(not(feature = "tls"))]
        let connect = self.connect;
        let shared = Arc::new(Shared::new(self.options, self.waiting_events));
        let runner = Runner {
            shared: shared.clone(),
            endpoint,
            connect,
            back_off: self.back_off,
            sts: self.sts.unwrap_or_else(|| Arc::new(MemorySts::default())),
            #[cfg(feature = "websocket")]
            websocket: self.websocket,
        };
        tokio::spawn(runner.run(first));
        Ok(Client {
            handle: Handle { shared },
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("nicks", &self.options.nicks)
            .field("channels", &self.options.channels.len())
            .finish_non_exhaustive()
    }
}
