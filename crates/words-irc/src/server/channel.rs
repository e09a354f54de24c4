//! One channel: its members, its modes, its lists.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    client::{Client, ClientId},
    event::Class,
};
use crate::proto::{casemap::Folded, mask::Mask, mode::Kind};

/// A channel with at least one member, or one that is kept though it has none.
pub(crate) struct Channel {
    pub(crate) name: Box<str>,
    pub(crate) folded: Folded,
    /// Unlike its number, and its name, no other has it: an invitation is to this one.
    pub(crate) serial: u64,
    /// In seconds since 1970.
    pub(crate) created: u64,
    pub(crate) topic: Option<Topic>,
    /// In no order that means anything; each client knows its place.
    pub(crate) members: Vec<Member>,
    /// How many members are in each class, so that a message is written for those alone.
    pub(crate) classes: [u32; Class::COUNT],
    pub(crate) flags: Flags,
    pub(crate) key: Option<Box<str>>,
    pub(crate) limit: Option<u32>,
    pub(crate) bans: Vec<Entry>,
    pub(crate) exceptions: Vec<Entry>,
    pub(crate) invite_exceptions: Vec<Entry>,
    /// It stays when the last member leaves.
    pub(crate) kept: bool,
}

/// What it is about.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) text: Box<str>,
    /// Who set it: `nick!user@host`.
    pub(crate) by: Box<str>,
    /// In seconds since 1970.
    pub(crate) at: u64,
}

/// Somebody in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) client: ClientId,
    pub(crate) ranks: Ranks,
}

/// A mask in a list.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) mask: Mask,
    pub(crate) by: Box<str>,
    /// In seconds since 1970.
    pub(crate) at: u64,
}

impl Channel {
    pub(crate) fn new(name: &str, folded: Folded, created: u64) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            folded,
            created,
            topic: None,
            members: Vec::new(),
            classes: [0; Class::COUNT],
            flags: Flags::default(),
            key: None,
            limit: None,
            bans: Vec::new(),
            exceptions: Vec::new(),
            invite_exceptions: Vec::new(),
            kept: false,
        }
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.flags.has(Flags::SECRET)
    }

    /// The list that a mode stands for.
    pub(crate) fn list(&self, letter: char) -> &Vec<Entry> {
        match letter {
            'e' => &self.exceptions,
            'I' => &self.invite_exceptions,
            _ => &self.bans,
        }
    }

    /// The list that a mode stands for.
    pub(crate) fn list_mut(&mut self, letter: char) -> &mut Vec<Entry> {
        match letter {
            'e' => &mut self.exceptions,
            'I' => &mut self.invite_exceptions,
            _ => &mut self.bans,
        }
    }

    /// How many masks its lists have.
    pub(crate) fn listed(&self) -> usize {
        self.bans.len() + self.exceptions.len() + self.invite_exceptions.len()
    }

    /// Whether it bans somebody, and makes no exception of them.
    pub(crate) fn bans(&self, client: &Client) -> bool {
        !self.bans.is_empty() && matches(&self.bans, client) && !matches(&self.exceptions, client)
    }

    /// Whether somebody need not be invited.
    pub(crate) fn invites(&self, client: &Client) -> bool {
        matches(&self.invite_exceptions, client)
    }

    /// The modes, for those who may see the key or not: `+klnt key 10`.
    pub(crate) fn modes(&self, with_key: bool) -> (String, Vec<String>) {
        let mut letters = String::from("+");
        let mut params = Vec::new();
        for (letter, flag) in Flags::ALL {
            if self.flags.has(flag) {
                letters.push(letter);
            }
        }
        if let Some(key) = &self.key {
            letters.push('k');
            params.push(if with_key {
                key.to_string()
            } else {
                "*".to_owned()
            });
        }
        if let Some(limit) = self.limit {
            letters.push('l');
            params.push(limit.to_string());
        }
        (letters, params)
    }
}

/// What a mask begins with that is of accounts (`EXTBAN`): `~a:ada`, `~a:*`. No nick does.
pub(crate) const OF_ACCOUNT: &str = "~a:";

/// Whether a list has somebody, by what is shown of them, by their address or their account.
fn matches(list: &[Entry], client: &Client) -> bool {
    if list.is_empty() {
        return false;
    }
    let hidden = (client.host != client.address)
        .then(|| format!("{}!{}@{}", client.nick, client.user, client.address));
    let account = client
        .account
        .as_ref()
        .map(|it| format!("{OF_ACCOUNT}{it}"));
    list.iter().any(|entry| {
        if entry.mask.as_str().starts_with(OF_ACCOUNT) {
            return account.as_ref().is_some_and(|it| entry.mask.matches(it));
        }
        entry.mask.matches(&client.source) || hidden.as_ref().is_some_and(|h| entry.mask.matches(h))
    })
}

/// The ranks of a member, as bits; a higher one is a greater number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ranks(u8);

impl Ranks {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const VOICE: Self = Self(1);
    pub(crate) const HALFOP: Self = Self(2);
    pub(crate) const OPERATOR: Self = Self(4);
    pub(crate) const ADMIN: Self = Self(8);
    pub(crate) const FOUNDER: Self = Self(16);

    /// All, the highest first: letter, sign, bit.
    pub(crate) const ALL: [(char, char, Self); 5] = [
        ('q', '~', Self::FOUNDER),
        ('a', '&', Self::ADMIN),
        ('o', '@', Self::OPERATOR),
        ('h', '%', Self::HALFOP),
        ('v', '+', Self::VOICE),
    ];

    pub(crate) fn of_letter(letter: char) -> Option<Self> {
        let found = Self::ALL.iter().find(|rank| rank.0 == letter);
        found.map(|rank| rank.2)
    }

    pub(crate) fn of_sign(sign: char) -> Option<Self> {
        let found = Self::ALL.iter().find(|rank| rank.1 == sign);
        found.map(|rank| rank.2)
    }

    pub(crate) fn has(self, rank: Self) -> bool {
        self.0 & rank.0 != 0
    }

    pub(crate) fn set(&mut self, rank: Self, on: bool) {
        match on {
            true => self.0 |= rank.0,
            false => self.0 &= !rank.0,
        }
    }

    /// Whether the highest of them is at least this one.
    pub(crate) fn at_least(self, rank: Self) -> bool {
        self.0 >= rank.0
    }

    /// The highest of them alone.
    pub(crate) fn highest(self) -> Self {
        let found = Self::ALL.iter().find(|rank| self.has(rank.2));
        found.map_or(Self::NONE, |rank| rank.2)
    }

    /// The signs before a nick: all, or the highest alone.
    pub(crate) fn signs(self, all: bool) -> impl Iterator<Item = char> {
        let signs = Self::ALL.iter().filter(move |rank| self.has(rank.2));
        signs.map(|rank| rank.1).take(if all { 5 } else { 1 })
    }

    /// Whether one of these may give or take that rank.
    pub(crate) fn may_grant(self, rank: Self) -> bool {
        match rank {
            Self::VOICE => self.at_least(Self::HALFOP),
            Self::HALFOP | Self::OPERATOR => self.at_least(Self::OPERATOR),
            _ => self.at_least(Self::FOUNDER),
        }
    }

    /// Whether one of these may throw out one of those.
    pub(crate) fn may_kick(self, other: Self) -> bool {
        match self.highest() {
            Self::HALFOP => !other.at_least(Self::HALFOP),
            Self::NONE | Self::VOICE => false,
            mine => mine >= other.highest(),
        }
    }
}

/// The modes of a channel that are on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const NO_CTCP: Self = Self(1);
    pub(crate) const NO_COLOURS: Self = Self(2);
    pub(crate) const INVITE_ONLY: Self = Self(4);
    pub(crate) const MODERATED: Self = Self(8);
    pub(crate) const NO_OUTSIDE: Self = Self(16);
    pub(crate) const SECRET: Self = Self(32);
    pub(crate) const TOPIC: Self = Self(64);
    /// Only who is logged in may join.
    pub(crate) const REGISTERED_ONLY: Self = Self(128);
    /// Only who is logged in may speak.
    pub(crate) const REGISTERED_SPEAK: Self = Self(256);
    /// It is registered. Nobody sets it by `MODE`.
    pub(crate) const REGISTERED: Self = Self(512);

    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: [(char, Self); 10] = [
        ('C', Self::NO_CTCP),
        ('M', Self::REGISTERED_SPEAK),
        ('R', Self::REGISTERED_ONLY),
        ('c', Self::NO_COLOURS),
        ('i', Self::INVITE_ONLY),
        ('m', Self::MODERATED),
        ('n', Self::NO_OUTSIDE),
        ('r', Self::REGISTERED),
        ('s', Self::SECRET),
        ('t', Self::TOPIC),
    ];

    pub(crate) fn named(letter: char) -> Option<Self> {
        let found = Self::ALL.iter().find(|(l, _)| *l == letter);
        found.map(|(_, flag)| *flag)
    }

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn set(&mut self, flag: Self, on: bool) {
        match on {
            true => self.0 |= flag.0,
            false => self.0 &= !flag.0,
        }
    }
}

/// Which modes a channel can have, and of which kind.
pub(crate) fn kind(letter: char) -> Option<Kind> {
    match letter {
        'b' | 'e' | 'I' => Some(Kind::List),
        'k' => Some(Kind::Always),
        'l' => Some(Kind::WhenSet),
        _ if Ranks::of_letter(letter).is_some() => Some(Kind::Rank),
        _ => Flags::named(letter).map(|_| Kind::Never),
    }
}

/// `CHANMODES`, but for the ranks.
pub(crate) fn chanmodes() -> String {
    let flags = Flags::ALL.iter().map(|(letter, _)| *letter);
    format!("beI,k,l,{}", flags.collect::<String>())
}

/// Whether a name can be that of a channel.
pub(crate) fn is_name(name: &str, most: usize) -> bool {
    let fits =
        |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, ',' | ':' | '*' | '?');
    name.len() > 1 && name.len() <= most && name.starts_with('#') && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_have_their_powers() {
        let (q, a, o, h, v) = (
            Ranks::FOUNDER,
            Ranks::ADMIN,
            Ranks::OPERATOR,
            Ranks::HALFOP,
            Ranks::VOICE,
        );
        assert!(q.may_kick(q) && q.may_grant(q) && q.may_grant(a));
        assert!(a.may_kick(o) && !a.may_kick(q) && !a.may_grant(a));
        assert!(o.may_kick(o) && !o.may_kick(a) && o.may_grant(o) && !o.may_grant(q));
        assert!(h.may_kick(v) && !h.may_kick(h) && h.may_grant(v) && !h.may_grant(h));
        assert!(!v.may_kick(Ranks::NONE) && !v.may_grant(v));
        let mut both = o;
        both.set(v, true);
        assert_eq!(both.signs(true).collect::<String>(), "@+");
        assert_eq!(both.signs(false).collect::<String>(), "@");
    }

    #[test]
    fn names_of_channels() {
        for good in ["#a", "##", "#Ünder", "#a#b"] {
            assert!(is_name(good, 10), "{good}");
        }
        for bad in [
            "",
            "#",
            "a",
            "#a b",
            "#a,b",
            "#a\u{7}",
            "#a:b",
            "#\u{a0}",
            "#2345678901",
        ] {
            assert!(!is_name(bad, 10), "{bad}");
        }
    }
}
