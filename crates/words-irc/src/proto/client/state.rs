//! What a client knows of the network: itself, the channels that it is in, and
//! who else is there. Kept in step by each message that comes.
//!
//! A server that lies makes it wrong, and never large: what it holds has a
//! limit ([`Limits`](super::Limits)), and past that it says so
//! ([`State::is_partial`]).

use std::collections::{BTreeMap, BTreeSet};

use super::event::changes;
use crate::proto::{
    casemap::{CaseMapping, Folded},
    isupport::Isupport,
    message::{Message, Source},
    mode::{Kind, Modes},
    numeric::Numeric,
};

/// What a client knows.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) registered: bool,
    pub(super) nick: Box<str>,
    pub(super) user: Option<Box<str>>,
    pub(super) host: Option<Box<str>>,
    pub(super) account: Option<Box<str>>,
    pub(super) away: bool,
    pub(super) modes: BTreeSet<char>,
    pub(super) server: Option<Box<str>>,
    pub(super) isupport: Isupport,
    pub(super) capabilities: BTreeSet<Box<str>>,
    pub(super) channels: BTreeMap<Folded, Channel>,
    users: BTreeMap<Folded, User>,
    /// Memberships in all channels.
    members: usize,
    partial: bool,
    limits: Most,
}

/// How much of it there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Most {
    pub(super) channels: usize,
    pub(super) members: usize,
}

/// A channel that the client is in.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Channel {
    /// Its name, as the server writes it.
    pub name: Box<str>,
    /// What it is about; empty if nothing is set.
    pub topic: Box<str>,
    /// Who set the topic, if the server said so.
    pub topic_by: Option<Box<str>>,
    /// When, in seconds since 1970.
    pub topic_at: Option<u64>,
    /// When the channel was made, in seconds since 1970.
    pub created: Option<u64>,
    /// Its modes, with their parameters; lists and ranks are not among them.
    pub modes: BTreeMap<char, Option<Box<str>>>,
    /// Whether all who are in it are known.
    pub is_synced: bool,
    members: BTreeMap<Folded, Member>,
}

/// Somebody in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The nick.
    pub nick: Box<str>,
    /// The modes of rank, the highest first: `o` for an operator.
    pub ranks: String,
}

impl Channel {
    /// All who are in it, by nick.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }
}

/// Somebody who is in a channel with the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The nick.
    pub nick: Box<str>,
    /// The user name, once it was seen.
    pub user: Option<Box<str>>,
    /// The host, once it was seen.
    pub host: Option<Box<str>>,
    /// The account, empty for none; `None` if that is not known.
    pub account: Option<Box<str>>,
    /// Whether they are away; `None` if that is not known.
    pub away: Option<bool>,
    /// The real name, once it was seen.
    pub realname: Option<Box<str>>,
    /// The channels that both are in.
    channels: usize,
}

impl State {
    pub(super) fn new(nick: &str, limits: Most) -> Self {
        Self {
            nick: nick.into(),
            limits,
            ..Self::default()
        }
    }

    /// Whether the server has taken the client in.
    pub fn is_registered(&self) -> bool {
        self.registered
    }

    /// The client's nick.
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// The client's user name as others see it, once that was seen.
    pub fn user_name(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The client's host as others see it, once that was seen.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The account that the client is logged in to.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether the client is marked as away.
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// The client's modes.
    pub fn modes(&self) -> impl Iterator<Item = char> {
        self.modes.iter().copied()
    }

    /// The name of the server.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// What the server supports.
    pub fn isupport(&self) -> &Isupport {
        &self.isupport
    }

    /// Whether a capability was agreed upon.
    pub fn has_capability(&self, name: &str) -> bool {
        self.capabilities.contains(name)
    }

    /// The capabilities that were agreed upon.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.capabilities.iter().map(|it| &**it)
    }

    /// The channels that the client is in, by name.
    pub fn channels(&self) -> impl ExactSizeIterator<Item = &Channel> {
        self.channels.values()
    }

    /// A channel that the client is in, in whatever case it is written.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.get(&self.fold(name))
    }

    /// A member of a channel.
    pub fn member(&self, channel: &str, nick: &str) -> Option<&Member> {
        self.channel(channel)?.members.get(&self.fold(nick))
    }

    /// Whether somebody has at least this rank in a channel: `o` is true for an
    /// operator and for whoever stands above.
    pub fn has_rank(&self, channel: &str, nick: &str, rank: char) -> bool {
        let Some(member) = self.member(channel, nick) else {
            return false;
        };
        let mut order: String = self.isupport.ranks().map(|it| it.0).collect();
        if !order.contains(rank) {
            // A rank that the server does not have: those above it count.
            order = "qaohv".to_owned();
        }
        let place = |rank| order.find(rank);
        let least = place(rank);
        member
            .ranks
            .chars()
            .any(|it| it == rank || (place(it).is_some() && place(it) < least))
    }

    /// All who are in a channel with the client, itself included.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &User> {
        self.users.values()
    }

    /// Somebody who is in a channel with the client.
    pub fn user(&self, nick: &str) -> Option<&User> {
        self.users.get(&self.fold(nick))
    }

    /// Whether there is more than the limits let it remember.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether a nick is the client's own.
    pub fn is_me(&self, nick: &str) -> bool {
        self.mapping().eq(nick, &self.nick)
    }

    pub(super) fn mapping(&self) -> CaseMapping {
        self.isupport.case_mapping()
    }

    fn fold(&self, name: &str) -> Folded {
        self.mapping().fold(name)
    }

    /// Whether `channel` was told to be entered just now, or who is there is
    /// known just now; see [`Change`].
    pub(super) fn apply(&mut self, message: &Message<'_>) -> Option<Change> {
        let params = &message.params[..];
        if let Some(numeric) = message.numeric() {
            return self.numeric(numeric, params);
        }
        let source = message.source.unwrap_or(Source::new(""));
        let nick = source.nick();
        if let Some(user) = self.users.get_mut(&self.isupport.case_mapping().fold(nick)) {
            if let Some(name) = source.user() {
                set(&mut user.user, name);
            }
            if let Some(host) = source.host() {
                set(&mut user.host, host);
            }
            if self.capabilities.contains("account-tag") && !message.tags.as_str().is_empty() {
                let account = message.tags.get("account").unwrap_or_default();
                // Servers tag messages, and not all else.
                if message.is("PRIVMSG") || message.is("NOTICE") {
                    set(&mut user.account, &account);
                }
            }
        }
        let mine = self.is_me(nick);
        if mine && let (Some(user), Some(host)) = (source.user(), source.host()) {
            set(&mut self.user, user);
            set(&mut self.host, host);
        }
        match (message.command.to_ascii_uppercase().as_str(), params) {
            ("JOIN", [channels, more @ ..]) if !nick.is_empty() => {
                let mut change = None;
                for channel in channels.split(',').filter(|it| !it.is_empty()) {
                    if mine {
                        self.enter(channel);
                        change = Some(Change::Entered(channel.into()));
                    }
                    self.come(channel, source, "");
                    if let (Some(account), Some(user)) = (more.first(), self.user_mut(nick)) {
                        let account = if *account == "*" { "" } else { account };
                        set(&mut user.account, account);
                        if let Some(realname) = more.get(1) {
                            set(&mut user.realname, realname);
                        }
                    }
                }
                return change;
            }
            ("PART", [channels, ..]) => {
                for channel in channels.split(',') {
                    self.leave(channel, nick);
                }
                return mine.then_some(Change::Left);
            }
            ("KICK", [channel, nicks, ..]) => {
                let mine = nicks.split(',').any(|nick| self.is_me(nick));
                for nick in nicks.split(',') {
                    self.leave(channel, nick);
                }
                return mine.then(|| Change::Kicked((*channel).into()));
            }
            ("QUIT", _) if !mine => self.quit(nick),
            ("NICK", [new, ..]) if !new.is_empty() && !nick.is_empty() => self.rename(nick, new),
            ("MODE", [target, letters, params @ ..]) => {
                return self.mode(target, letters, params);
            }
            ("TOPIC", [channel, topic, ..]) => {
                let folded = self.fold(channel);
                if let Some(channel) = self.channels.get_mut(&folded) {
                    channel.topic = (*topic).into();
                    channel.topic_by = Some(source.as_str().into());
                    channel.topic_at = None;
                }
            }
            ("AWAY", text) => {
                let away = text.first().is_some_and(|it| !it.is_empty());
                if mine {
                    self.away = away;
                }
                if let Some(user) = self.user_mut(nick) {
                    user.away = Some(away);
                }
            }
            ("ACCOUNT", [account, ..]) => {
                let account = if *account == "*" { "" } else { account };
                if mine {
                    self.account = (!account.is_empty()).then(|| account.into());
                }
                if let Some(user) = self.user_mut(nick) {
                    set(&mut user.account, account);
                }
            }
            ("CHGHOST", [name, host, ..]) => {
                if mine {
                    set(&mut self.user, name);
                    set(&mut self.host, host);
                }
                if let Some(user) = self.user_mut(nick) {
                    set(&mut user.user, name);
                    set(&mut user.host, host);
                }
            }
            ("SETNAME", [realname, ..]) => {
                if let Some(user) = self.user_mut(nick) {
                    set(&mut user.realname, realname);
                }
            }
            ("RENAME", [old, new, ..]) => {
                let (from, to) = (self.fold(old), self.fold(new));
                if from != to && self.channels.contains_key(&to) {
                    self.forget(new);
                }
                if let Some(mut channel) = self.channels.remove(&from) {
                    channel.name = (*new).into();
                    self.channels.insert(to, channel);
                    return Some(Change::Renamed((*old).into(), (*new).into()));
                }
            }
            _ => {}
        }
        None
    }

    fn numeric(&mut self, numeric: Numeric, params: &[&str]) -> Option<Change> {
        let number = |n: usize| params.get(n)?.parse::<u64>().ok();
        match (numeric, params) {
            (Numeric::RPL_ISUPPORT, [_, tokens @ .., _]) => {
                let before = self.mapping();
                self.isupport.update(tokens.iter().copied());
                if self.mapping() != before {
                    self.refold();
                }
            }
            (Numeric::RPL_UMODEIS, [_, modes, ..]) => {
                self.modes = modes.chars().filter(|c| *c != '+').take(64).collect();
            }
            (Numeric::RPL_NOWAWAY, _) => self.away = true,
            (Numeric::RPL_UNAWAY, _) => self.away = false,
            (Numeric::RPL_LOGGEDIN, [_, _, account, ..]) => {
                self.account = Some((*account).into());
            }
            (Numeric::RPL_LOGGEDOUT, _) => self.account = None,
            (Numeric::RPL_VISIBLEHOST, [_, host, ..]) => {
                // `user@host` with some servers.
                let (user, host) = host
                    .split_once('@')
                    .map_or((None, *host), |(u, h)| (Some(u), h));
                set(&mut self.host, host);
                if let Some(user) = user {
                    set(&mut self.user, user);
                }
            }
            (Numeric::RPL_CHANNELMODEIS, [_, channel, letters, params @ ..]) => {
                if let Some(known) = self
                    .channels
                    .get_mut(&self.isupport.case_mapping().fold(channel))
                {
                    known.modes.clear();
                }
                return self.mode(channel, letters, params);
            }
            (Numeric::RPL_CREATIONTIME, [_, channel, _, ..]) => {
                self.channel_mut(channel)?.created = number(2);
            }
            (Numeric::RPL_NOTOPIC, [_, channel, ..]) => {
                self.channel_mut(channel)?.topic = Box::default();
            }
            (Numeric::RPL_TOPIC, [_, channel, topic, ..]) => {
                self.channel_mut(channel)?.topic = (*topic).into();
            }
            (Numeric::RPL_TOPICWHOTIME, [_, channel, by, _, ..]) => {
                let channel = self.channel_mut(channel)?;
                channel.topic_by = Some((*by).into());
                channel.topic_at = number(3);
            }
            (Numeric::RPL_NAMREPLY, [_, _, channel, names, ..]) => {
                for name in names.split(' ').filter(|it| !it.is_empty()) {
                    let (source, ranks) = self.isupport.member(name);
                    let ranks: String = ranks.into_iter().collect();
                    let source = Source::new(source);
                    if !source.nick().is_empty() {
                        self.come(channel, source, &ranks);
                    }
                }
            }
            (Numeric::RPL_ENDOFNAMES, [_, channel, ..]) => {
                let known = self.channel_mut(channel)?;
                if !std::mem::replace(&mut known.is_synced, true) {
                    return Some(Change::Synced(known.name.clone()));
                }
            }
            (Numeric::RPL_WHOREPLY, [_, _, user, host, _, nick, flags, last, ..]) => {
                let realname = last.split_once(' ').map_or("", |it| it.1);
                self.seen(nick, user, host, flags, None, realname);
            }
            _ => {}
        }
        None
    }

    /// What `WHO` tells.
    pub(super) fn seen(
        &mut self,
        nick: &str,
        user: &str,
        host: &str,
        flags: &str,
        account: Option<&str>,
        realname: &str,
    ) {
        if self.is_me(nick) {
            set(&mut self.user, user);
            set(&mut self.host, host);
        }
        if let Some(known) = self.user_mut(nick) {
            set(&mut known.user, user);
            set(&mut known.host, host);
            set(&mut known.realname, realname);
            known.away = Some(flags.starts_with('G'));
            if let Some(account) = account {
                set(&mut known.account, account);
            }
        }
    }

    fn user_mut(&mut self, nick: &str) -> Option<&mut User> {
        let nick = self.fold(nick);
        self.users.get_mut(&nick)
    }

    fn channel_mut(&mut self, name: &str) -> Option<&mut Channel> {
        let name = self.fold(name);
        self.channels.get_mut(&name)
    }

    /// The client itself joined.
    fn enter(&mut self, name: &str) {
        self.forget(name);
        if self.channels.len() >= self.limits.channels {
            self.partial = true;
            return;
        }
        let channel = Channel {
            name: name.into(),
            ..Channel::default()
        };
        self.channels.insert(self.fold(name), channel);
    }

    fn come(&mut self, channel: &str, source: Source<'_>, ranks: &str) {
        let (channel, nick) = (self.fold(channel), self.fold(source.nick()));
        let Some(channel) = self.channels.get_mut(&channel) else {
            return;
        };
        if let Some(member) = channel.members.get_mut(&nick) {
            if !ranks.is_empty() {
                member.ranks = ranks.to_owned();
            }
        } else {
            if self.members >= self.limits.members {
                self.partial = true;
                return;
            }
            self.members += 1;
            let member = Member {
                nick: source.nick().into(),
                ranks: ranks.to_owned(),
            };
            channel.members.insert(nick.clone(), member);
            let user = self.users.entry(nick.clone()).or_default();
            user.nick = source.nick().into();
            user.channels += 1;
        }
        if let Some(user) = self.users.get_mut(&nick) {
            if let Some(name) = source.user() {
                set(&mut user.user, name);
            }
            if let Some(host) = source.host() {
                set(&mut user.host, host);
            }
        }
    }

    fn leave(&mut self, channel: &str, nick: &str) {
        if self.is_me(nick) {
            self.forget(channel);
            return;
        }
        let (channel, nick) = (self.fold(channel), self.fold(nick));
        if let Some(channel) = self.channels.get_mut(&channel)
            && channel.members.remove(&nick).is_some()
        {
            self.gone(&nick);
        }
    }

    /// One membership less.
    fn gone(&mut self, nick: &Folded) {
        self.members = self.members.saturating_sub(1);
        if let Some(user) = self.users.get_mut(nick) {
            user.channels = user.channels.saturating_sub(1);
            if user.channels == 0 {
                self.users.remove(nick);
            }
        }
    }

    fn forget(&mut self, channel: &str) {
        let channel = self.fold(channel);
        if let Some(channel) = self.channels.remove(&channel) {
            for nick in channel.members.keys() {
                self.gone(nick);
            }
        }
    }

    fn quit(&mut self, nick: &str) {
        let nick = self.fold(nick);
        let mut left = 0;
        for channel in self.channels.values_mut() {
            left += usize::from(channel.members.remove(&nick).is_some());
        }
        for _ in 0..left {
            self.gone(&nick);
        }
    }

    fn rename(&mut self, old: &str, new: &str) {
        let (from, to) = (self.fold(old), self.fold(new));
        if self.is_me(old) {
            self.nick = new.into();
        }
        if from != to {
            // Two cannot have one nick: whoever was thought to have it, has not.
            if self.users.contains_key(&to) && self.users.contains_key(&from) {
                self.quit(new);
            }
            if let Some(user) = self.users.remove(&from) {
                self.users.insert(to.clone(), user);
            }
        }
        let Some(user) = self.users.get_mut(&to) else {
            return;
        };
        user.nick = new.into();
        for channel in self.channels.values_mut() {
            if let Some(mut member) = channel.members.remove(&from) {
                member.nick = new.into();
                channel.members.insert(to.clone(), member);
            }
        }
    }

    /// The client itself has another nick.
    pub(super) fn take_nick(&mut self, new: &str) {
        if !new.is_empty() {
            let old = self.nick.clone();
            self.rename(&old, new);
        }
    }

    fn mode(&mut self, target: &str, letters: &str, params: &[&str]) -> Option<Change> {
        let changes = changes(target, letters, params, &self.isupport);
        if !self.isupport.is_channel(target) {
            if self.is_me(target) {
                for change in changes {
                    match change.set {
                        true if self.modes.len() < 64 => self.modes.insert(change.letter),
                        _ => self.modes.remove(&change.letter),
                    };
                }
            }
            return None;
        }
        let mapping = self.mapping();
        let order: String = self.isupport.ranks().map(|it| it.0).collect();
        let channel = self.channels.get_mut(&mapping.fold(target))?;
        let mut result = None;
        for change in changes {
            match self.isupport.kind(change.letter) {
                Some(Kind::Rank) => {
                    let nick = mapping.fold(change.param.as_deref().unwrap_or_default());
                    if let Some(member) = channel.members.get_mut(&nick) {
                        member.ranks.retain(|it| it != change.letter);
                        if change.set {
                            member.ranks.push(change.letter);
                            let mut ranks: Vec<_> = member.ranks.chars().collect();
                            ranks.sort_by_key(|it| order.find(*it));
                            member.ranks = ranks.into_iter().collect();
                        }
                    }
                }
                Some(Kind::List) => {}
                Some(_) | None if change.set => {
                    if change.letter == 'k' {
                        result = Some(Change::Key(channel.name.clone(), change.param.clone()));
                    }
                    // As many as any server has, however many one makes up.
                    if channel.modes.len() < 64 || channel.modes.contains_key(&change.letter) {
                        channel.modes.insert(change.letter, change.param);
                    }
                }
                Some(_) | None => {
                    if change.letter == 'k' {
                        result = Some(Change::Key(channel.name.clone(), None));
                    }
                    channel.modes.remove(&change.letter);
                }
            }
        }
        result
    }

    /// All names anew, in another mapping.
    fn refold(&mut self) {
        let mapping = self.mapping();
        let channels = std::mem::take(&mut self.channels);
        self.members = 0;
        self.users = std::mem::take(&mut self.users)
            .into_values()
            .map(|mut user| {
                user.channels = 0;
                (mapping.fold(&user.nick), user)
            })
            .collect();
        for mut channel in channels.into_values() {
            channel.members = std::mem::take(&mut channel.members)
                .into_values()
                .map(|member| (mapping.fold(&member.nick), member))
                .collect();
            self.channels.insert(mapping.fold(&channel.name), channel);
        }
        for channel in self.channels.values() {
            self.members += channel.members.len();
            for nick in channel.members.keys() {
                if let Some(user) = self.users.get_mut(nick) {
                    user.channels += 1;
                }
            }
        }
        self.users.retain(|_, user| user.channels > 0);
    }

    /// What must hold, whatever a server says.
    #[cfg(any(test, feature = "testing"))]
    pub fn check(&self) {
        let members: usize = self.channels.values().map(|it| it.members.len()).sum();
        assert_eq!(members, self.members, "memberships are counted");
        assert!(self.channels.len() <= self.limits.channels);
        assert!(self.members <= self.limits.members);
        assert!(self.users.len() <= self.members);
        for (nick, user) in &self.users {
            let of = |channel: &&Channel| channel.members.contains_key(nick);
            let channels = self.channels.values().filter(of).count();
            assert_eq!(channels, user.channels, "{nick} is in so many");
            assert!(channels > 0);
        }
        for channel in self.channels.values() {
            for nick in channel.members.keys() {
                assert!(self.users.contains_key(nick), "{nick} is known");
            }
        }
    }
}

fn set(field: &mut Option<Box<str>>, value: &str) {
    if field.as_deref() != Some(value) {
        *field = Some(value.into());
    }
}

/// What happened to the client itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is in a channel.
    Entered(Box<str>),
    /// It knows who is there.
    Synced(Box<str>),
    /// It left.
    Left,
    /// It was made to.
    Kicked(Box<str>),
    /// A channel has a new name.
    Renamed(Box<str>, Box<str>),
    /// A channel's key is this.
    Key(Box<str>, Option<Box<str>>),
}
