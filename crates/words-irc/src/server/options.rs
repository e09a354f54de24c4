//! What an operator of a network decides: names, texts, limits.
//!
//! Each limit has a default that protects; what `ISUPPORT` says is made of these values, so that
//! it is true.

use std::{sync::Arc, time::Duration};

use ropewalk_cred::PasswordHash;

use super::{accounts::Accounts, commands::webirc::Gateway, history::HistoryLimits};
use crate::proto::casemap::CaseMapping;

/// What a [`Network`](super::Network) is made of.
///
/// ```
/// use ropewalk_words_irc::server::NetworkOptions;
///
/// let mut options = NetworkOptions::default();
/// options.server = "irc.example.org".into();
/// options.motd = vec!["Be kind.".into()];
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// What the network is called (`NETWORK`). Default `Ropewalk`.
    pub network: String,
    /// The name of the server, a host name with a dot in it; messages of the server come from it.
    /// Default `irc.local`.
    pub server: String,
    /// What the server is, for `WHOIS` and `LINKS`. Default `A Ropewalk IRC server`.
    pub description: String,
    /// The message of the day, line by line; none if it is empty, which is the default.
    pub motd: Vec<String>,
    /// Who runs it, for `ADMIN`. Default nobody.
    pub admin: Option<Admin>,
    /// What everybody must give by `PASS`. Default nothing.
    pub password: Option<Arc<PasswordHash>>,
    /// Who may become an operator. Default nobody.
    pub opers: Vec<Oper>,
    /// Who is not let in. Default nobody.
    pub bans: Vec<ServerBan>,
    /// How names are compared; it stays as it is when options are reloaded. Default ascii, since
    /// nobody means the same by `[` and `{` any more.
    pub case_mapping: CaseMapping,
    /// Whether text that is no UTF-8 is refused (`UTF8ONLY`). Default true; otherwise what is no
    /// UTF-8 in it becomes U+FFFD.
    pub utf8_only: bool,
    /// Whether who registers must answer a `PING` with a random number, as a page that a browser
    /// was led to post here cannot. Default false: `POST` and its like end a connection anyway.
    pub ping_cookie: bool,
    /// The modes of a new channel, letters without a parameter. Default `nt`.
    pub channel_modes: String,
    /// The modes of a new user. Default none.
    pub user_modes: String,
    /// Who may log in, and what is registered. Default nobody and nothing: there are no accounts
    /// then, no `NickServ` and no `ChanServ`. It stays as it is when options are reloaded.
    pub accounts: Option<Arc<Accounts>>,
    /// How much of what was said is kept, for `CHATHISTORY`. It stays as it is when options are
    /// reloaded.
    pub history: HistoryLimits,
    /// Messages of a channel that a client is told on joining which does not ask for them itself,
    /// but sees when they were (`server-time`). Default 0.
    pub playback: usize,
    /// Who may say on whose behalf they connect, by `WEBIRC`. Default nobody.
    pub gateways: Vec<Gateway>,
    /// How much there may be of everything.
    pub limits: NetworkLimits,
    /// How fast one may send.
    pub flood: Flood,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            network: "Ropewalk".into(),
            server: "irc.local".into(),
            description: "A Ropewalk IRC server".into(),
            motd: Vec::new(),
            admin: None,
            password: None,
            opers: Vec::new(),
            bans: Vec::new(),
            case_mapping: CaseMapping::Ascii,
            utf8_only: true,
            ping_cookie: false,
            channel_modes: "nt".into(),
            user_modes: String::new(),
            accounts: None,
            history: HistoryLimits::default(),
            playback: 0,
            gateways: Vec::new(),
            limits: NetworkLimits::default(),
            flood: Flood::default(),
        }
    }
}

/// What `ADMIN` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admin {
    /// Where the server is: a city, a country.
    pub location: String,
    /// Whose it is.
    pub organisation: String,
    /// Where to write to.
    pub email: String,
}

impl Admin {
    /// All three.
    pub fn new(
        location: impl Into<String>,
        organisation: impl Into<String>,
        email: impl Into<String>,
    ) -> Self {
        Self {
            location: location.into(),
            organisation: organisation.into(),
            email: email.into(),
        }
    }
}

/// Somebody who may become an operator by `OPER`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Oper {
    /// The name that `OPER` is given.
    pub name: String,
    /// What fits the password that it is given.
    pub password: Arc<PasswordHash>,
    /// From where: masks of `user@host`; from anywhere if there are none, which is the default.
    pub hosts: Vec<String>,
}

impl Oper {
    /// One from anywhere.
    pub fn new(name: impl Into<String>, password: PasswordHash) -> Self {
        Self {
            name: name.into(),
            password: Arc::new(password),
            hosts: Vec::new(),
        }
    }
}

/// Somebody who is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerBan {
    /// A mask of `nick!user@host`.
    pub mask: String,
    /// What they are told.
    pub reason: String,
}

impl ServerBan {
    /// A ban.
    pub fn new(mask: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            mask: mask.into(),
            reason: reason.into(),
        }
    }
}

/// How much there may be of everything that a client can grow. Lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkLimits {
    /// The length of a nick (`NICKLEN`). Default 30.
    pub nick: usize,
    /// The length of a user name, with the `~` in front (`USERLEN`). Default 12.
    pub user: usize,
    /// The length of a real name (`NAMELEN`). Default 150.
    pub real_name: usize,
    /// The length of a channel's name (`CHANNELLEN`). Default 64.
    pub channel: usize,
    /// The length of a topic (`TOPICLEN`). Default 390: with the longest names it still fits into
    /// a line.
    pub topic: usize,
    /// The length of the reason of a `KICK` (`KICKLEN`). Default 255.
    pub kick: usize,
    /// The length of the reason of an `AWAY` (`AWAYLEN`). Default 200.
    pub away: usize,
    /// The length of the reason of a `QUIT`. Default 255.
    pub quit: usize,
    /// The length of a channel's key (`KEYLEN`). Default 32.
    pub key: usize,
    /// Channels that one may be in (`CHANLIMIT`). Default 100.
    pub channels: usize,
    /// Masks in the lists of a channel together (`MAXLIST`). Default 100.
    pub list: usize,
    /// Changes with a parameter in one `MODE` (`MODES`). Default 6.
    pub modes: usize,
    /// Targets of one `PRIVMSG`, `NOTICE`, `TAGMSG`, `KICK` or `WHOIS` (`TARGMAX`). Default 4.
    pub targets: usize,
    /// Channels in one `JOIN` or `PART`. Default 20.
    pub joins: usize,
    /// Nicks on a `MONITOR` list (`MONITOR`). Default 100.
    pub monitor: usize,
    /// Invitations that one may have at a time; the oldest is forgotten. Default 20.
    pub invitations: usize,
    /// Names kept for `WHOWAS`. Default 1,000.
    pub whowas: usize,
    /// Bytes that may wait for a client beyond what its connection has taken
    /// ([`Limits::write_high`](ropewalk_core::Limits::write_high)); at more it is given up with
    /// `SendQ exceeded`. Pieces are shared, so this much is used only once for all who wait for
    /// the same. Below 32 KiB ordinary answers do not fit. Default 1 MiB.
    pub send_queue: usize,
    /// Time to register. Default 30 s.
    pub registration: Duration,
    /// Time without a word before a client is asked whether it is there. Default 90 s.
    pub ping: Duration,
    /// Time to answer that. Default 60 s.
    pub ping_timeout: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            nick: 30,
            user: 12,
            real_name: 150,
            channel: 64,
            topic: 390,
            kick: 255,
            away: 200,
            quit: 255,
            key: 32,
            channels: 100,
            list: 100,
            modes: 6,
            targets: 4,
            joins: 20,
            monitor: 100,
            invitations: 20,
            whowas: 1000,
            send_queue: 1024 * 1024,
            registration: Duration::from_secs(30),
            ping: Duration::from_secs(90),
            ping_timeout: Duration::from_secs(60),
        }
    }
}

/// How fast one may send: a bucket that each command takes from by its weight. One that is empty
/// makes the client wait; only who goes on to send meanwhile is given up, with `Excess Flood`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flood {
    /// The time in which one unit flows back: a message weighs one, `JOIN` two, `LIST` ten.
    /// Default 500 ms.
    pub unit: Duration,
    /// Units that may be used at once. Default 20.
    pub burst: u32,
    /// Bytes that may wait unread while the bucket is empty. Default 16 KiB: nobody types that, and
    /// a paste of a hundred lines fits.
    pub backlog: usize,
    /// Whether operators are exempt. Default true.
    pub opers_exempt: bool,
    /// Whether nobody is held to it: for a network behind something that does so, and for
    /// measurements. Default false.
    pub disabled: bool,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            unit: Duration::from_millis(500),
            burst: 20,
            backlog: 16 * 1024,
            opers_exempt: true,
            disabled: false,
        }
    }
}
