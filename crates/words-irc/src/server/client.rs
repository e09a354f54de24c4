//! What the network knows of one client.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use ropewalk_core::Outbox;

use super::{
    commands::authenticate::Exchange, event::Class, options::Oper, pages::Pages, work::Work,
};
use crate::proto::{capability::Set, casemap::Folded};

/// A client, by a number that is used again and one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientId {
    pub(crate) index: u32,
    serial: u32,
}

impl ClientId {
    pub(crate) fn new(index: u32, serial: u32) -> Self {
        Self { index, serial }
    }
}

/// One client, from its first byte to its last.
///
/// It is boxed strings throughout: ten thousand idle ones should fit into the cache of nobody, but
/// into little memory.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) outbox: Outbox,
    /// `*` until it has one.
    pub(crate) nick: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) real_name: Box<str>,
    /// What others see.
    pub(crate) host: Box<str>,
    /// Where it is.
    pub(crate) address: Box<str>,
    /// `nick!user@host`, kept ready.
    pub(crate) source: Box<str>,
    pub(crate) account: Option<Box<str>>,
    pub(crate) away: Option<Box<str>>,
    pub(crate) modes: UserModes,
    pub(crate) capabilities: Set,
    pub(crate) class: Class,
    pub(crate) memberships: Vec<Membership>,
    /// Channels it was invited to, by name and serial number, the oldest first.
    pub(crate) invitations: Vec<(Folded, u64)>,
    /// Until it has registered.
    pub(crate) registering: Option<Box<Registering>>,
    /// Knows of `CAP LS 302`, and is told of changes.
    pub(crate) cap_notify: bool,
    /// When it came, in seconds since 1970.
    pub(crate) since: u64,
    /// When it last said something to somebody.
    pub(crate) spoke: Instant,
    /// When it last sent anything.
    pub(crate) heard: Instant,
    /// When it was asked whether it is there.
    pub(crate) pinged: Option<Instant>,
    /// Until when what it has sent will have flowed out of its bucket.
    pub(crate) busy_until: Instant,
    /// Over TLS, or on the same machine.
    pub(crate) secure: bool,
    /// What was agreed upon, its certificate with it.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<ropewalk_core::tls::TlsInfo>>,
    pub(crate) oper: Option<Arc<Oper>>,
    /// Logging in, where that is under way.
    pub(crate) exchange: Option<Box<Exchange>>,
    /// The rest of a long answer.
    pub(crate) pages: Option<Paged>,
    /// Work to be begun, and how much is under way.
    pub(crate) work: Vec<Work>,
    pub(crate) working: usize,
    /// The label of the command that work is under way for.
    pub(crate) label: Option<Box<str>>,
    /// A note that it was seen, where many are gone through.
    pub(crate) mark: u64,
    /// It is about to be given up.
    pub(crate) doomed: bool,
}

/// A long answer that is given in pages.
pub(crate) struct Paged {
    /// Those to come, the next first.
    pub(crate) pages: VecDeque<Box<dyn Pages>>,
    /// The batch that it is in, where the command had a label.
    pub(crate) batch: Option<Box<str>>,
}

/// A channel that a client is in, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) channel: u32,
    /// Where it stands among the members.
    pub(crate) place: u32,
}

/// What is missing for a client to be registered.
#[derive(Default)]
pub(crate) struct Registering {
    /// `NICK` was given.
    pub(crate) nick: bool,
    /// `USER` was given.
    pub(crate) user: bool,
    /// Between `CAP LS` or `REQ` and `CAP END`.
    pub(crate) negotiating: bool,
    /// What `PASS` gave.
    pub(crate) password: Option<Box<str>>,
    /// Somebody else connects for it, who has said so.
    pub(crate) gateway: bool,
    /// The password was right.
    pub(crate) password_fits: bool,
    /// What `PING` asked to be answered.
    pub(crate) cookie: Option<Box<str>>,
    /// It was answered.
    pub(crate) cookie_fits: bool,
}

impl Client {
    /// The certificate that it has shown.
    pub(crate) fn certificate(&self) -> Option<ropewalk_cred::Fingerprint> {
        #[cfg(feature = "tls")]
        if let Some(certificate) = self.tls.as_ref().and_then(|tls| tls.certificates.first()) {
            let shown = ropewalk_cred::Certificate::new([], certificate.as_ref());
            return Some(shown.fingerprint());
        }
        None
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.registering.is_none()
    }

    pub(crate) fn is_oper(&self) -> bool {
        self.oper.is_some()
    }

    pub(crate) fn is_bot(&self) -> bool {
        self.modes.has(UserModes::BOT)
    }

    pub(crate) fn is_invisible(&self) -> bool {
        self.modes.has(UserModes::INVISIBLE)
    }

    /// The user and host as they are shown, and as `source` has them.
    pub(crate) fn renew_source(&mut self) {
        self.source = format!("{}!{}@{}", self.nick, self.user, self.host).into();
    }

    pub(crate) fn membership(&self, channel: u32) -> Option<Membership> {
        let same = |membership: &&Membership| membership.channel == channel;
        self.memberships.iter().find(same).copied()
    }

    /// For how long it has said nothing.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.spoke)
    }
}

/// The modes of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserModes(u8);

impl UserModes {
    pub(crate) const BOT: Self = Self(1);
    pub(crate) const INVISIBLE: Self = Self(2);
    pub(crate) const OPER: Self = Self(4);
    pub(crate) const REGISTERED: Self = Self(8);
    pub(crate) const WALLOPS: Self = Self(16);

    /// All of them, by letter.
    pub(crate) const ALL: [(char, Self); 5] = [
        ('B', Self::BOT),
        ('i', Self::INVISIBLE),
        ('o', Self::OPER),
        ('r', Self::REGISTERED),
        ('w', Self::WALLOPS),
    ];

    pub(crate) fn named(letter: char) -> Option<Self> {
        let found = Self::ALL.iter().find(|(l, _)| *l == letter);
        found.map(|(_, mode)| *mode)
    }

    pub(crate) fn has(self, mode: Self) -> bool {
        self.0 & mode.0 != 0
    }

    pub(crate) fn set(&mut self, mode: Self, on: bool) {
        match on {
            true => self.0 |= mode.0,
            false => self.0 &= !mode.0,
        }
    }

    /// `+iw`.
    pub(crate) fn to_text(self) -> String {
        let letters = Self::ALL.iter().filter(|(_, mode)| self.has(*mode));
        std::iter::once('+')
            .chain(letters.map(|(l, _)| *l))
            .collect()
    }
}
