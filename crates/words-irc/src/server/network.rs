//! The network as a value that programs hold: what serves connections, is told of new options, and
//! says how much there is.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use ropewalk_core::{Factory, Peer, random, wall_clock};

use super::{
    connection::Connection,
    event::Line,
    options::NetworkOptions,
    settings::Settings,
    state::{State, Tally},
};

/// A network of one server. Cheap to clone; clones are the same network.
///
/// It is a [`Factory`]: `factory(network)` serves any number of endpoints, and all who come there
/// meet.
///
/// ```
/// use ropewalk_core::{ServerEndpoint, factory};
/// use ropewalk_words_irc::server::{Network, NetworkOptions};
///
/// # ropewalk_core::testing::run(async {
/// let network = Network::new(NetworkOptions::default());
/// let endpoint: ServerEndpoint = "mem:irc".parse()?;
/// # let schemes = ropewalk_core::Schemes::new();
/// # let mut options = ropewalk_core::ServerOptions::default();
/// # options.schemes = schemes;
/// let server = endpoint.listen_with(factory(network.clone()), options).await?;
/// assert_eq!(network.counts().users, 0);
/// # drop(server);
/// # Ok::<(), ropewalk_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    rehash: Mutex<Option<Rehash>>,
}

/// What an operator's `REHASH` calls.
pub(crate) type Rehash = Arc<dyn Fn(&Network) + Send + Sync>;

/// How much there is in a network, for metrics and for a live view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Registered clients.
    pub users: usize,
    /// Those of them that are invisible.
    pub invisible: usize,
    /// Those of them that are operators.
    pub opers: usize,
    /// Connections that have not registered.
    pub unregistered: usize,
    /// The most users there have been.
    pub most_users: usize,
    /// Channels.
    pub channels: usize,
    /// Messages taken from clients since the start.
    pub messages: u64,
    /// Clients given up since they did not read.
    pub overflows: u64,
    /// Clients given up since they sent too fast.
    pub floods: u64,
    /// Messages kept for those who ask later.
    pub kept_messages: usize,
    /// Their bytes.
    pub kept_bytes: usize,
}

impl Network {
    /// An empty network.
    pub fn new(options: NetworkOptions) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State::new(options, Instant::now(), wall_clock(), random())),
            rehash: Mutex::new(None),
        }))
    }

    /// Goes on with other options: the message of the day, operators, bans, limits. The names of
    /// server and network and the case mapping stay, since clients were told of them; operators
    /// that are no longer among the options stay until they leave.
    pub fn reload(&self, mut options: NetworkOptions) {
        let mut state = self.lock();
        let now = &state.settings.options;
        options.server.clone_from(&now.server);
        options.network.clone_from(&now.network);
        options.case_mapping = now.case_mapping;
        options.accounts.clone_from(&now.accounts);
        options.history.clone_from(&now.history);
        state.settings = Arc::new(Settings::new(options));
    }

    /// What an operator's `REHASH` calls, on a thread of its own: it may read files, and then
    /// [`reload`](Self::reload).
    pub fn on_rehash(&self, rehash: impl Fn(&Self) + Send + Sync + 'static) {
        let mut slot = self.0.rehash.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::new(rehash));
    }

    /// Tells everybody, as a notice of the server. Control characters become spaces.
    pub fn announce(&self, text: &str) {
        let mut state = self.lock();
        let server = state.settings.server().to_owned();
        let all: Vec<_> = state.clients.iter().filter(|c| c.is_registered()).collect();
        let all: Vec<_> = all.iter().map(|c| (c.id, c.nick.clone())).collect();
        for (id, nick) in all {
            let event = state.notice(Line::new(&server, "NOTICE").param(&nick).text(text));
            state.deliver(id, &event);
        }
        state.end();
    }

    /// How much there is now.
    pub fn counts(&self) -> Counts {
        let state = self.lock();
        let Tally {
            users,
            invisible,
            opers,
            most,
            overflows,
            floods,
            messages,
        } = state.tally;
        let (kept_messages, kept_bytes) = state.records.history.size();
        Counts {
            users,
            invisible,
            opers,
            unregistered: state.clients.len() - users,
            most_users: most,
            channels: state.channels.len(),
            messages,
            overflows,
            floods,
            kept_messages,
            kept_bytes,
        }
    }

    /// Waits until what is registered is on the disk: before a program ends.
    ///
    /// # Errors
    /// As the disk has it.
    pub async fn saved(&self) -> std::io::Result<()> {
        let accounts = self.lock().settings.options.accounts.clone();
        match accounts {
            Some(accounts) => accounts.store().saved().await,
            None => Ok(()),
        }
    }

    /// What the network is called.
    pub fn name(&self) -> String {
        self.lock().settings.options.network.clone()
    }

    pub(crate) fn rehash(&self) -> Option<Rehash> {
        let slot = self.0.rehash.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic left is still a network; one client's trouble is not everybody's.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Factory for Network {
    type Protocol = Connection;

    fn build(&self, _: &Peer) -> Option<Connection> {
        Some(Connection::new(self.clone()))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}
