//! How a client behaves; all of it has a default.

use std::time::Duration;

use ropewalk_cred::sasl::{ClientOptions, Login};

use crate::proto::capability::Capability;

/// Who the client is, where it goes, and what it puts up with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The nicks that it wants, the best first. When none is to be had, what is
    /// put behind the first makes others.
    pub nicks: Vec<String>,
    /// The user name (`USER`). Default the first nick.
    pub user: Option<String>,
    /// The real name. Default the first nick.
    pub realname: Option<String>,
    /// The server's password (`PASS`), which is sent as it is: over TLS, if
    /// others may not read it. Default none.
    pub password: Option<ropewalk_cred::Secret>,
    /// Channels to be in, each with its key, also after a reconnect. Those that
    /// are joined later come to them, and those that are left go.
    pub channels: Vec<(String, Option<String>)>,
    /// What to log in with, the best first; the strongest mechanism that the
    /// server has for one is taken. Default none.
    pub logins: Vec<Login>,
    /// Whether the client goes on without a login that it was given and that
    /// the server has no use for or refuses. Default false.
    pub allow_without_login: bool,
    /// How SASL is spoken. By default no password leaves without TLS, but by a
    /// mechanism that does not tell it.
    pub sasl: ClientOptions,
    /// The capabilities that are asked for where the server has them. Default
    /// all that the client has a use for.
    pub capabilities: Vec<String>,
    /// Whether a better nick is asked for when it may be free again. Default
    /// true.
    pub regain: bool,
    /// The wait between two such attempts. Default 60 s.
    pub regain_every: Duration,
    /// Whether it marks itself as a bot, where the server has such a mark.
    /// Default false.
    pub bot: bool,
    /// How fast it talks.
    pub pace: Pace,
    /// What is answered to requests between clients.
    pub ctcp: CtcpOptions,
    /// Whether `WHO` and `MODE` are asked on entering a channel, so that
    /// accounts, absences and modes are known. Default true.
    pub ask_on_join: bool,
    /// Members of a channel past which nobody asks `WHO`: its answer is a line
    /// for each. Default 500.
    pub ask_members: usize,
    /// Deadlines.
    pub deadlines: Deadlines,
    /// What a server may make it hold.
    pub limits: Limits,
}

impl Options {
    /// With all defaults.
    pub fn new(nick: impl Into<String>) -> Self {
        use Capability as C;
        let capabilities = [
            C::AccountNotify,
            C::AccountTag,
            C::AwayNotify,
            C::Batch,
            C::CapNotify,
            C::Chathistory,
            C::Chghost,
            C::EchoMessage,
            C::ExtendedJoin,
            C::InviteNotify,
            C::LabeledResponse,
            C::MessageTags,
            C::MultiPrefix,
            C::ServerTime,
            C::Setname,
            C::StandardReplies,
            C::UserhostInNames,
        ];
        Self {
            nicks: vec![nick.into()],
            user: None,
            realname: None,
            password: None,
            channels: Vec::new(),
            logins: Vec::new(),
            allow_without_login: false,
            sasl: ClientOptions::default(),
            capabilities: capabilities.map(|it| it.name().to_owned()).into(),
            regain: true,
            regain_every: Duration::from_secs(60),
            bot: false,
            pace: Pace::default(),
            ctcp: CtcpOptions::default(),
            ask_on_join: true,
            ask_members: 500,
            deadlines: Deadlines::default(),
            limits: Limits::default(),
        }
    }
}

/// How fast a client talks: so many lines at once, then one by one. What keeps
/// the connection alive (`PONG`) does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// Lines at once. Default 5.
    pub burst: u32,
    /// The time for each further line. Default 2 s, as RFC 1459, section 8.10,
    /// has it.
    pub every: Duration,
}

impl Pace {
    /// No wait at all: for servers that have no limits for this client.
    pub const UNPACED: Self = Self {
        burst: u32::MAX,
        every: Duration::ZERO,
    };

    /// So many lines at once, and one more in each such time.
    pub const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(5, Duration::from_secs(2))
    }
}

/// What is answered to requests between clients (CTCP). All of them are events
/// as well.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CtcpOptions {
    /// `VERSION`. Default this crate's name; none keeps silent.
    pub version: Option<String>,
    /// `PING`, and by it how far away one is. Default true.
    pub ping: bool,
    /// `TIME`, in UTC. Default true.
    pub time: bool,
    /// `CLIENTINFO`: what of these is answered. Default true.
    pub clientinfo: bool,
    /// Answers at once. Default 3; those who ask more get none, so that nobody
    /// makes the client flood itself off the network.
    pub burst: u32,
    /// The time for each further answer. Default 10 s.
    pub every: Duration,
}

impl CtcpOptions {
    /// Answers nothing.
    pub fn silent() -> Self {
        Self {
            version: None,
            ping: false,
            time: false,
            clientinfo: false,
            ..Self::default()
        }
    }
}

impl Default for CtcpOptions {
    fn default() -> Self {
        let version = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        Self {
            version: Some(version.to_owned()),
            ping: true,
            time: true,
            clientinfo: true,
            burst: 3,
            every: Duration::from_secs(10),
        }
    }
}

/// How long the client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// From the connection to the end of registration. Default 60 s: some
    /// servers first ask back at the client's host, for half of that.
    pub registration: Duration,
    /// A silence after which the server is asked whether it is there. Default
    /// 60 s.
    pub silence: Duration,
    /// The time that it has to answer. Default 30 s.
    pub pong: Duration,
    /// The time for the answer to a request. Default 30 s.
    pub answer: Duration,
    /// The time for a batch to end; then what came of it is passed on. Default
    /// 60 s.
    pub batch: Duration,
    /// The time after `QUIT` in which the server may end the connection.
    /// Default 5 s.
    pub quit: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            registration: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            pong: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            batch: Duration::from_secs(60),
            quit: Duration::from_secs(5),
        }
    }
}

/// What a server may make a client hold. A server that is honest and large
/// stays below all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Channels that it remembers. Default 1000.
    pub channels: usize,
    /// Memberships in all channels that it remembers. Default 500,000.
    pub members: usize,
    /// Batches that are open at a time; messages of others count as outside.
    /// Default 64.
    pub batches: usize,
    /// The bytes of messages in open batches; past them, what came of a batch
    /// is passed on as a part. Default 4 MiB.
    pub batch_bytes: usize,
    /// The bytes of the answer to a request. Default 16 MiB: the list of all
    /// channels of a large network.
    pub answer_bytes: usize,
    /// Requests that wait for their answers. Default 256.
    pub requests: usize,
    /// The lines that wait to be sent, in bytes. Default 256 KiB.
    pub unsent: usize,
    /// Capabilities that a server may list. Default 256.
    pub capabilities: usize,
    /// Nicks that are tried. Default 20.
    pub nicks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels: 1000,
            members: 500_000,
            batches: 64,
            batch_bytes: 4 << 20,
            answer_bytes: 16 << 20,
            requests: 256,
            unsent: 256 * 1024,
            capabilities: 256,
            nicks: 20,
        }
    }
}
