//! What a server says, typed: one [`Event`] a line, and a few that the client
//! adds of its own.

use std::{borrow::Cow, fmt, time::Duration};

use super::RegistrationError;
use crate::proto::{
    ctcp::Ctcp,
    isupport::Isupport,
    message::{Message, Source},
    mode::{self, Item},
    numeric::Numeric,
    tags::Tags,
    timestamp::Timestamp,
};

/// Something that happened.
///
/// ```
/// use ropewalk_words_irc::proto::{client::{Event, Kind}, isupport::Isupport, message::Message};
///
/// let line = "@msgid=17;account=ada :ada!a@host PRIVMSG #rope :hello";
/// let event = Event::read(&Message::parse(line)?, &Isupport::default(), "bot");
/// let Kind::Privmsg { target, text } = &event.kind else { panic!() };
/// assert_eq!((&**target, &**text, event.nick()), ("#rope", "hello", "ada"));
/// assert_eq!(event.msgid().as_deref(), Some("17"));
/// assert_eq!(event.answer_to(), Some("#rope"));
/// # Ok::<(), ropewalk_words_irc::proto::message::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// Who did it, as `nick!user@host` or a server's name; empty where the line
    /// does not say.
    pub source: Box<str>,
    /// Whether that is this client: an echo, its own JOIN, its own NICK.
    pub is_own: bool,
    /// Where a private message is to be answered to.
    private: bool,
    tags: Box<str>,
    bytes: usize,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// The client has connected and registered; channels are being joined.
    Registered {
        /// The nick that it has.
        nick: Box<str>,
    },
    /// The connection is lost, or was never made.
    Disconnected {
        /// Why.
        why: Box<str>,
        /// When the next attempt is made; none if there will be none.
        again_in: Option<Duration>,
    },
    /// A message.
    Privmsg {
        /// A channel, perhaps with a rank's sign in front, or a nick.
        target: Box<str>,
        /// What it says.
        text: Box<str>,
    },
    /// A message that must not be answered by a program.
    Notice {
        /// A channel, perhaps with a rank's sign in front, or a nick.
        target: Box<str>,
        /// What it says.
        text: Box<str>,
    },
    /// `/me`.
    Action {
        /// A channel, perhaps with a rank's sign in front, or a nick.
        target: Box<str>,
        /// What somebody does.
        text: Box<str>,
    },
    /// A request between clients; those that the client answers are here too.
    Ctcp {
        /// A channel or a nick.
        target: Box<str>,
        /// `VERSION` and the like, in upper case.
        command: Box<str>,
        /// What stands behind it.
        text: Box<str>,
    },
    /// The answer to one.
    CtcpReply {
        /// A nick, most likely.
        target: Box<str>,
        /// What was asked for, in upper case.
        command: Box<str>,
        /// The answer.
        text: Box<str>,
    },
    /// Tags alone; see [`Event::tag`].
    Tagmsg {
        /// A channel or a nick.
        target: Box<str>,
    },
    /// Somebody came.
    Join {
        /// Where.
        channel: Box<str>,
        /// With `extended-join`, the account; empty if there is none.
        account: Option<Box<str>>,
        /// With `extended-join`.
        realname: Option<Box<str>>,
    },
    /// This client has joined a channel, and knows who is there.
    Joined {
        /// Which.
        channel: Box<str>,
    },
    /// Somebody left a channel.
    Part {
        /// Which.
        channel: Box<str>,
        /// What they said.
        reason: Option<Box<str>>,
    },
    /// Somebody was made to leave a channel.
    Kick {
        /// Which.
        channel: Box<str>,
        /// Who.
        nick: Box<str>,
        /// Why.
        reason: Option<Box<str>>,
    },
    /// Somebody left the network.
    Quit {
        /// What they said.
        reason: Option<Box<str>>,
    },
    /// Somebody has another nick.
    Nick {
        /// The new one.
        nick: Box<str>,
    },
    /// Modes have changed.
    Mode {
        /// A channel, or this client's nick.
        target: Box<str>,
        /// What changed; of modes that the server has not told of, the letters
        /// alone.
        changes: Vec<ModeChange>,
    },
    /// A topic was changed, or taken away.
    Topic {
        /// The channel.
        channel: Box<str>,
        /// The new one; empty if there is none any more.
        topic: Box<str>,
    },
    /// Somebody was invited.
    Invite {
        /// Who.
        nick: Box<str>,
        /// Whereto.
        channel: Box<str>,
    },
    /// Somebody went away, or came back.
    Away {
        /// What they said; none if they came back.
        message: Option<Box<str>>,
    },
    /// Somebody logged in, or out.
    Account {
        /// The account; none if they logged out.
        account: Option<Box<str>>,
    },
    /// Somebody's user name and host have changed.
    Chghost {
        /// The new one.
        user: Box<str>,
        /// The new one.
        host: Box<str>,
    },
    /// Somebody's real name has changed.
    Setname {
        /// The new one.
        realname: Box<str>,
    },
    /// A reply by its number.
    Numeric {
        /// Which.
        numeric: Numeric,
        /// All its parameters; the first is this client's nick.
        params: Vec<Box<str>>,
    },
    /// `FAIL`, `WARN` or `NOTE`.
    StandardReply {
        /// How bad.
        level: Level,
        /// The command that it is about, or `*`.
        command: Box<str>,
        /// What it is, in upper case.
        code: Box<str>,
        /// What it is about.
        context: Vec<Box<str>>,
        /// For people.
        text: Box<str>,
    },
    /// Messages that belong together, as a history that is played back. Nothing
    /// in it happens now, so nothing in it changes the state, nor is it
    /// answered by mistake.
    Batch {
        /// `chathistory` and the like.
        kind: Box<str>,
        /// What belongs to that.
        params: Vec<Box<str>>,
        /// The messages.
        events: Vec<Event>,
        /// Whether it is all of it, or all of the rest; a long one comes in
        /// parts.
        complete: bool,
    },
    /// To all who want to hear it.
    Wallops {
        /// What it says.
        text: Box<str>,
    },
    /// The server's last word.
    Error {
        /// Why it ends the connection.
        text: Box<str>,
    },
    /// Any other command, and those with too few parameters.
    Other {
        /// In upper case.
        command: Box<str>,
        /// Its parameters.
        params: Vec<Box<str>>,
    },
    /// A line that is no message, or longer than one may be; it was skipped.
    Unreadable {
        /// What is wrong with it.
        why: Box<str>,
    },
}

/// How bad a [`Kind::StandardReply`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Something was refused.
    Fail,
    /// Something may not be what was meant.
    Warn,
    /// Worth to know.
    Note,
}

/// One change of one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModeChange {
    /// Set, or unset.
    pub set: bool,
    /// The mode.
    pub letter: char,
    /// Its parameter.
    pub param: Option<Box<str>>,
}

impl fmt::Display for ModeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.set { '+' } else { '-' };
        write!(f, "{sign}{}", self.letter)?;
        match &self.param {
            Some(param) => write!(f, " {param}"),
            None => Ok(()),
        }
    }
}

impl Event {
    /// Reads a message as the client called `me` sees it. It looks at nothing
    /// but the message and what the server supports.
    pub fn read(message: &Message<'_>, isupport: &Isupport, me: &str) -> Self {
        let source = message.source.map_or("", Source::as_str);
        let nick = Source::new(source).nick();
        let kind = Kind::read(message, isupport);
        let private = match &kind {
            Kind::Privmsg { target, .. }
            | Kind::Notice { target, .. }
            | Kind::Action { target, .. }
            | Kind::Ctcp { target, .. }
            | Kind::CtcpReply { target, .. }
            | Kind::Tagmsg { target } => !is_to_channel(target, isupport),
            _ => false,
        };
        Self {
            kind,
            source: source.into(),
            is_own: !me.is_empty() && isupport.case_mapping().eq(nick, me),
            private,
            tags: message.tags.as_str().into(),
            bytes: size_of::<Self>()
                + source.len()
                + message.tags.as_str().len()
                + message
                    .params
                    .iter()
                    .map(|it| it.len() + size_of::<Box<str>>())
                    .sum::<usize>(),
        }
    }

    /// One of the client's own.
    pub(super) fn own(kind: Kind) -> Self {
        let within = match &kind {
            Kind::Batch { events, .. } => events.iter().map(Self::bytes).sum(),
            _ => 0,
        };
        Self {
            kind,
            source: Box::default(),
            is_own: false,
            private: false,
            tags: Box::default(),
            bytes: size_of::<Self>() + within,
        }
    }

    /// The memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who did it: `nick!user@host`, or a server's name.
    pub fn from(&self) -> Source<'_> {
        Source::new(&self.source)
    }

    /// The nick of who did it, or the server's name; empty where nobody is
    /// named.
    pub fn nick(&self) -> &str {
        self.from().nick()
    }

    /// A tag's value; empty if it has none.
    pub fn tag(&self, key: &str) -> Option<Cow<'_, str>> {
        self.tags().get(key)
    }

    /// All tags.
    pub fn tags(&self) -> Tags<'_> {
        Tags::new(&self.tags)
    }

    /// When it happened, where the server says so (`server-time`).
    pub fn time(&self) -> Option<Timestamp> {
        self.tag("time")?.parse().ok()
    }

    /// The message's name (`message-tags`).
    pub fn msgid(&self) -> Option<Cow<'_, str>> {
        self.tag("msgid")
    }

    /// The account of who did it (`account-tag`); none if they have none.
    pub fn account(&self) -> Option<Cow<'_, str>> {
        self.tag("account")
    }

    /// The request that this answers (`labeled-response`).
    pub fn label(&self) -> Option<Cow<'_, str>> {
        self.tag("label")
    }

    /// The batch that it is part of, as a net that splits.
    pub fn batch(&self) -> Option<Cow<'_, str>> {
        self.tag("batch")
    }

    /// Whether the sender calls itself a bot.
    pub fn is_from_bot(&self) -> bool {
        self.tag("bot").is_some()
    }

    /// Where an answer goes: the channel of a message in one, the sender of a
    /// private one. None for what is not said, and for this client's own words,
    /// so that no bot answers itself.
    pub fn answer_to(&self) -> Option<&str> {
        if self.is_own {
            return None;
        }
        match &self.kind {
            Kind::Privmsg { target, .. }
            | Kind::Notice { target, .. }
            | Kind::Action { target, .. }
            | Kind::Ctcp { target, .. }
            | Kind::CtcpReply { target, .. }
            | Kind::Tagmsg { target } => Some(match self.private {
                true => self.nick(),
                false => &**target,
            }),
            Kind::Join { channel, .. }
            | Kind::Joined { channel }
            | Kind::Part { channel, .. }
            | Kind::Kick { channel, .. }
            | Kind::Topic { channel, .. }
            | Kind::Invite { channel, .. } => Some(&**channel),
            _ => None,
        }
        .filter(|target| !target.is_empty())
    }

    /// Whether it was said to this client alone.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The text of a message or an action.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Privmsg { text, .. } | Kind::Notice { text, .. } | Kind::Action { text, .. } => {
                Some(text)
            }
            _ => None,
        }
    }
}

/// Whether a message's target is a channel, or those of a rank in one.
pub(super) fn is_to_channel(target: &str, isupport: &Isupport) -> bool {
    let signs = isupport.status_message();
    isupport.is_channel(target)
        || isupport.is_channel(target.trim_start_matches(|c| signs.contains(c)))
}

impl Kind {
    fn read(message: &Message<'_>, isupport: &Isupport) -> Self {
        if let Some(numeric) = message.numeric() {
            let params = boxed(&message.params);
            return Self::Numeric { numeric, params };
        }
        let command = message.command.to_ascii_uppercase();
        Self::of(&command, &message.params, isupport).unwrap_or_else(|| Self::Other {
            command: command.into(),
            params: boxed(&message.params),
        })
    }

    /// None if there are too few parameters, or if it is something else.
    fn of(command: &str, params: &[&str], isupport: &Isupport) -> Option<Self> {
        let reason = |text: &[&str]| {
            text.first()
                .filter(|it| !it.is_empty())
                .map(|it| (*it).into())
        };
        Some(match (command, params) {
            ("PRIVMSG", [target, text, ..]) => match Ctcp::parse(text) {
                Some(ctcp) if ctcp.is("ACTION") => Self::Action {
                    target: (*target).into(),
                    text: ctcp.text.into(),
                },
                Some(ctcp) => Self::Ctcp {
                    target: (*target).into(),
                    command: ctcp.command.to_ascii_uppercase().into(),
                    text: ctcp.text.into(),
                },
                None => Self::Privmsg {
                    target: (*target).into(),
                    text: (*text).into(),
                },
            },
            ("NOTICE", [target, text, ..]) => match Ctcp::parse(text) {
                Some(ctcp) => Self::CtcpReply {
                    target: (*target).into(),
                    command: ctcp.command.to_ascii_uppercase().into(),
                    text: ctcp.text.into(),
                },
                None => Self::Notice {
                    target: (*target).into(),
                    text: (*text).into(),
                },
            },
            ("TAGMSG", [target, ..]) => Self::Tagmsg {
                target: (*target).into(),
            },
            ("JOIN", [channel, more @ ..]) => Self::Join {
                channel: (*channel).into(),
                account: more
                    .first()
                    .map(|it| if *it == "*" { "" } else { it }.into()),
                realname: more.get(1).map(|it| (*it).into()),
            },
            ("PART", [channel, text @ ..]) => Self::Part {
                channel: (*channel).into(),
                reason: reason(text),
            },
            ("KICK", [channel, nick, text @ ..]) => Self::Kick {
                channel: (*channel).into(),
                nick: (*nick).into(),
                reason: reason(text),
            },
            ("QUIT", text) => Self::Quit {
                reason: reason(text),
            },
            ("NICK", [nick, ..]) if !nick.is_empty() => Self::Nick {
                nick: (*nick).into(),
            },
            ("MODE", [target, letters, params @ ..]) => Self::Mode {
                target: (*target).into(),
                changes: changes(target, letters, params, isupport),
            },
            ("TOPIC", [channel, topic, ..]) => Self::Topic {
                channel: (*channel).into(),
                topic: (*topic).into(),
            },
            ("INVITE", [nick, channel, ..]) => Self::Invite {
                nick: (*nick).into(),
                channel: (*channel).into(),
            },
            ("AWAY", text) => Self::Away {
                message: reason(text),
            },
            ("ACCOUNT", [account, ..]) => Self::Account {
                account: (!matches!(*account, "*" | "")).then(|| (*account).into()),
            },
            ("CHGHOST", [user, host, ..]) => Self::Chghost {
                user: (*user).into(),
                host: (*host).into(),
            },
            ("SETNAME", [realname, ..]) => Self::Setname {
                realname: (*realname).into(),
            },
            ("WALLOPS", [text, ..]) => Self::Wallops {
                text: (*text).into(),
            },
            ("ERROR", [text, ..]) => Self::Error {
                text: (*text).into(),
            },
            ("FAIL" | "WARN" | "NOTE", [about, code, context @ .., text]) => Self::StandardReply {
                level: match command {
                    "FAIL" => Level::Fail,
                    "WARN" => Level::Warn,
                    _ => Level::Note,
                },
                command: (*about).into(),
                code: (*code).into(),
                context: boxed(context),
                text: (*text).into(),
            },
            _ => return None,
        })
    }
}

/// The changes of a `MODE`. A user's modes have no parameters, and a channel's
/// are as `CHANMODES` says.
pub(super) fn changes(
    target: &str,
    letters: &str,
    params: &[&str],
    isupport: &Isupport,
) -> Vec<ModeChange> {
    let plain = |set, letter| ModeChange {
        set,
        letter,
        param: None,
    };
    if !isupport.is_channel(target) {
        let mut set = true;
        let mut changes = Vec::new();
        for letter in letters.chars() {
            match letter {
                '+' => set = true,
                '-' => set = false,
                letter => changes.push(plain(set, letter)),
            }
        }
        return changes;
    }
    mode::parse(isupport, letters, params)
        .map(|item| match item {
            Item::Change(change) | Item::Missing(change) => ModeChange {
                set: change.set,
                letter: change.letter,
                param: change.param.map(Into::into),
            },
            Item::Query(letter) | Item::Unknown(letter) => plain(true, letter),
        })
        .collect()
}

pub(super) fn boxed(params: &[&str]) -> Vec<Box<str>> {
    params.iter().map(|param| (*param).into()).collect()
}

/// Why a connection is over, as the client sees it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The client quit.
    #[error("quit")]
    Quit,
    /// Registration came to nothing.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The server said why it ends the connection.
    #[error("the server ended the connection: {0}")]
    Server(Box<str>),
    /// Nothing came from the server, not even an answer to `PING`.
    #[error("the server has not answered for {0:?}")]
    TimedOut(Duration),
    /// The server wants TLS (STS), on this port.
    #[error("the server wants TLS, at port {0}")]
    Sts(u16),
}

impl Ended {
    /// Whether another attempt can only fail in the same way.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Quit => true,
            Self::Registration(error) => error.is_final(),
            _ => false,
        }
    }
}
