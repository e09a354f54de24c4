//! What the network keeps beyond its clients: what was said, who watches whom,
//! and registered channels, of which the record on the disk follows what they
//! are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    accounts::{Accounts, NickReservation},
    channel::{Channel, Entry, Flags, Ranks, Topic},
    client::{Client, ClientId},
    commands::{monitor, registration},
    event::{Event, Line},
    history::{self, History, Target},
    hooks::Said,
    monitor::Monitor,
    options::NetworkOptions,
    registered::{self, ListedMask, Role},
    services::Service,
    state::State,
    turn::Turn,
};
use crate::proto::{
    capability::Capability,
    casemap::{CaseMapping, Folded},
    chathistory::Range,
    mask::Mask,
    mode,
    numeric::Numeric,
    timestamp::Timestamp,
};

/// What is kept beside clients and channels.
pub(crate) struct Records {
    pub(crate) history: History<Arc<Event>>,
    pub(crate) monitor: Monitor<ClientId>,
    /// Registered channels that are no longer what is kept of them.
    changed: BTreeSet<u32>,
    /// When somebody loses a nick that is another's.
    reclaims: BTreeMap<ClientId, Instant>,
    /// When what is too old was last looked for.
    swept: Timestamp,
}

impl Records {
    pub(crate) fn new(options: &NetworkOptions) -> Self {
        Self {
            history: History::new(options.history.clone()),
            monitor: Monitor::new(),
            changed: BTreeSet::new(),
            reclaims: BTreeMap::new(),
            swept: Timestamp::FIRST,
        }
    }
}

/// How often what is too old is looked for: it is found when it is asked for, so
/// this only frees memory.
const SWEEP: Duration = Duration::from_secs(60);

impl State {
    fn accounts(&self) -> Option<Arc<Accounts>> {
        self.settings.options.accounts.clone()
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        let millis = self.clock.since_epoch().as_millis();
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    // What was said.

    /// Keeps what was said for those who ask later.
    pub(crate) fn keep_said(&mut self, said: &Said<'_>) {
        if self.records.history.limits().messages == 0 {
            return;
        }
        let Some(event) = kept_as(said) else {
            return;
        };
        let entry = self.entry(said.event, event);
        if let Some(channel) = self.channel_named(said.target) {
            return self.keep_in(channel, entry);
        }
        let (Some(by), Some(to)) = (self.client(said.by), self.named(said.target)) else {
            return;
        };
        // Each side that has an account keeps a copy; what one tells oneself is one.
        let mut copies: Vec<(Target, Box<str>)> = Vec::new();
        for (side, other) in [(by, to), (to, by)] {
            let Some(account) = &side.account else {
                continue;
            };
            let with = other.account.as_deref().unwrap_or(&other.nick);
            let target = Target::Conversation {
                owner: self.settings.fold(account),
                with: self.settings.fold(with),
            };
            if !copies.iter().any(|(it, _)| *it == target) {
                copies.push((target, other.nick.clone()));
            }
        }
        for (target, name) in copies {
            self.records.history.keep(target, &name, entry.clone());
        }
    }

    /// Keeps what happened in a channel for those who ask for that too.
    pub(crate) fn keep_event(&mut self, channel: u32, event: &Event) {
        if self.records.history.limits().messages > 0 {
            let entry = self.entry(event, true);
            self.keep_in(channel, entry);
        }
    }

    fn entry(&mut self, event: &Event, is_event: bool) -> history::Entry<Arc<Event>> {
        let time = self.timestamp();
        if self.records.swept.after(SWEEP) < time {
            self.records.swept = time;
            self.records.history.expire(time);
        }
        history::Entry {
            msgid: event.msgid.as_str().into(),
            time,
            event: is_event,
            bytes: event.line.len() + event.client_tags.len(),
            content: Arc::new(event.clone()),
        }
    }

    fn keep_in(&mut self, channel: u32, entry: history::Entry<Arc<Event>>) {
        if let Some(channel) = self.channels.get(channel) {
            let target = Target::Channel(channel.folded.clone());
            self.records.history.keep(target, &channel.name, entry);
        }
    }

    /// A channel is gone, and what was said there with it: whoever founds one of
    /// its name next is somebody else.
    pub(crate) fn forget_said(&mut self, folded: &Folded) {
        self.records
            .history
            .forget(&Target::Channel(folded.clone()));
    }

    /// An account is gone, and its conversations with it.
    pub(crate) fn account_dropped(&mut self, name: &str) {
        let owner = self.settings.fold(name);
        self.records.history.forget_account(&owner);
    }

    // Who is there.

    /// A client has a nick that it did not have before.
    pub(crate) fn nick_taken(&mut self, id: ClientId) {
        let Some(client) = self.client(id) else {
            return;
        };
        let (nick, source) = (client.nick.clone(), client.source.clone());
        monitor::notify(self, &nick, Some(&source));
        self.records.reclaims.remove(&id);
        self.warn_of_owner(id);
    }

    /// A nick is nobody's any more.
    pub(crate) fn nick_left(&mut self, client: &Client) {
        monitor::notify(self, &client.nick, None);
        self.records.reclaims.remove(&client.id);
    }

    /// A client gives its nick up for another.
    pub(crate) fn nick_left_by(&mut self, id: ClientId) {
        if let Some(nick) = self.client(id).map(|it| it.nick.clone()) {
            monitor::notify(self, &nick, None);
        }
    }

    /// Takes a nick from a client that has not registered yet, and asks for another.
    pub(crate) fn release_nick(&mut self, id: ClientId) {
        let Some(client) = self.client(id) else {
            return;
        };
        let folded = self.settings.fold(&client.nick);
        if self.nicks.get(&folded) == Some(&id) {
            self.nicks.remove(&folded);
        }
        if let Some(client) = self.client_mut(id) {
            client.nick = "*".into();
            client.renew_source();
        }
        if let Some(registering) = self.registering(id) {
            registering.nick = false;
        }
    }

    /// A client is gone.
    pub(crate) fn forget_client(&mut self, id: ClientId) {
        self.records.monitor.clear(id);
        self.records.reclaims.remove(&id);
    }

    /// Who watches a client and wants to know more of it than whether it is there
    /// (<https://ircv3.net/specs/extensions/extended-monitor>).
    pub(crate) fn watchers_with(&self, id: ClientId, capability: Capability) -> Vec<ClientId> {
        let Some(client) = self.client(id) else {
            return Vec::new();
        };
        let folded = self.settings.fold(&client.nick);
        let watchers: Vec<_> = self.records.monitor.watchers(&folded).collect();
        self.only(&watchers, |it| {
            it.id != id
                && it.capabilities.has(Capability::ExtendedMonitor)
                && it.capabilities.has(capability)
        })
    }

    /// Whoever has a nick, registered or not.
    pub(crate) fn holder(&self, nick: &str) -> Option<ClientId> {
        self.nicks.get(self.settings.fold(nick).as_str()).copied()
    }

    /// Whether a nick is one that a client must not have now: another account's
    /// that wants it for itself alone, or a service's.
    pub(crate) fn is_withheld(&self, id: ClientId, nick: &str) -> bool {
        if Service::is_reserved(&self.settings, nick) {
            return true;
        }
        let Some(accounts) = self.accounts() else {
            return false;
        };
        if self.is_own(id, nick) {
            return false;
        }
        let strict = accounts.options().nicks == NickReservation::Strict;
        accounts.store().read(|it| {
            it.account(nick)
                .is_some_and(|account| strict || account.strict)
        })
    }

    /// Whether a nick is the client's own account's.
    fn is_own(&self, id: ClientId, nick: &str) -> bool {
        let account = self.client(id).and_then(|it| it.account.as_deref());
        account.is_some_and(|account| self.settings.mapping().eq(account, nick))
    }

    fn warn_of_owner(&mut self, id: ClientId) {
        let Some(accounts) = self.accounts() else {
            return;
        };
        let NickReservation::Rename(after) = accounts.options().nicks else {
            return;
        };
        let Some(client) = self.client(id).filter(|it| it.is_registered()) else {
            return;
        };
        let nick = client.nick.clone();
        if self.is_own(id, &nick) || accounts.owner(&nick).is_none() {
            return;
        }
        self.records.reclaims.insert(id, self.clock.now + after);
        let source = Service::NickServ.source(&self.settings);
        let text = format!(
            "{nick} belongs to an account. Log in to it within {} seconds, or you get another nick.",
            after.as_secs()
        );
        let event = self.notice(Line::new(&source, "NOTICE").param(&nick).text(&text));
        self.deliver(id, &event);
    }

    /// Takes a nick from who has had it for too long; says when to look again.
    pub(crate) fn reclaim(&mut self, id: ClientId) -> Option<Instant> {
        let due = *self.records.reclaims.get(&id)?;
        if due > self.clock.now {
            return Some(due);
        }
        self.records.reclaims.remove(&id);
        self.rename_away(id);
        None
    }

    /// Gives a client a nick that is nobody's.
    pub(crate) fn rename_away(&mut self, id: ClientId) {
        let most = self.settings.options.limits.nick;
        // Where nicks are very short there may be none.
        for _ in 0..100 {
            let number = ropewalk_core::random() % 10_000_000;
            let name = format!("Guest{number}");
            let nick = &name[..name.len().min(most)];
            let taken = self.holder(nick).is_some()
                || self.accounts().is_some_and(|it| it.owner(nick).is_some());
            if !taken && self.client(id).is_some() {
                registration::change_nick(&mut Turn::new(self, id), nick);
                return;
            }
        }
        self.remove(id, "No other nick is free");
    }

    // Registered channels.

    /// Makes the channels that were kept.
    pub(crate) fn restore_channels(&mut self) {
        let Some(accounts) = self.accounts() else {
            return;
        };
        let mapping = self.settings.mapping();
        let records: Vec<_> = accounts.store().read(|it| it.channels().cloned().collect());
        for record in records {
            let folded = mapping.fold(&record.name);
            let mut channel = Channel::new(&record.name, folded.clone(), record.created);
            for flag in record.modes.chars().filter_map(Flags::named) {
                channel.flags.set(flag, true);
            }
            channel.flags.set(Flags::REGISTERED, true);
            channel.kept = true;
            channel.topic = record.topic.map(|topic| Topic {
                text: topic.text.into(),
                by: topic.by.into(),
                at: topic.at,
            });
            channel.key = record.key.map(Into::into);
            channel.limit = record.limit;
            channel.bans = of_record(&record.bans, mapping);
            channel.exceptions = of_record(&record.exceptions, mapping);
            channel.invite_exceptions = of_record(&record.invite_exceptions, mapping);
            let at = self.channels.insert(channel);
            self.names.insert(folded, at);
        }
    }

    /// What is to be kept of a channel, but for whose it is.
    pub(crate) fn snapshot(&self, channel: u32) -> Option<registered::Channel> {
        let channel = self.channels.get(channel)?;
        let mut record = registered::Channel {
            name: channel.name.to_string(),
            created: channel.created,
            ..registered::Channel::default()
        };
        record_of(channel, &mut record);
        Some(record)
    }

    /// A channel has changed.
    pub(crate) fn channel_changed(&mut self, channel: u32) {
        if self.channels.get(channel).is_some_and(|it| it.kept) {
            self.records.changed.insert(channel);
        }
    }

    /// Brings what is kept of channels to what they are. Called at the end of a
    /// turn.
    pub(crate) fn record_changes(&mut self) {
        if self.records.changed.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.records.changed);
        let Some(accounts) = self.accounts() else {
            return;
        };
        for channel in changed.into_iter().filter_map(|at| self.channels.get(at)) {
            accounts
                .store()
                .change(|it| it.change_channel(&channel.name, |record| record_of(channel, record)));
        }
    }

    /// A channel is registered now.
    pub(crate) fn channel_registered(&mut self, name: &str) {
        let folded = self.settings.fold(name);
        let at = match self.names.get(folded.as_str()) {
            Some(at) => *at,
            // All have left while it was written.
            None => {
                let channel = Channel::new(name, folded.clone(), self.clock.seconds());
                let at = self.channels.insert(channel);
                self.names.insert(folded, at);
                at
            }
        };
        if let Some(channel) = self.channels.get_mut(at) {
            channel.kept = true;
            channel.flags.set(Flags::REGISTERED, true);
        }
        self.tell_modes(at, &[mode_change(true, 'r', None)]);
        self.channel_changed(at);
    }

    /// A channel is registered no more.
    pub(crate) fn channel_dropped(&mut self, name: &str) {
        let Some(at) = self.channel_named(name) else {
            return;
        };
        self.records.changed.remove(&at);
        if let Some(channel) = self.channels.get_mut(at) {
            channel.kept = false;
            channel.flags.set(Flags::REGISTERED, false);
            if channel.members.is_empty() {
                let folded = channel.folded.clone();
                self.forget_channel(at);
                self.forget_said(&folded);
                return;
            }
        }
        self.tell_modes(at, &[mode_change(false, 'r', None)]);
    }

    /// What somebody is in a registered channel.
    pub(crate) fn role(&self, id: ClientId, channel: u32) -> Option<Role> {
        let channel = self.channels.get(channel).filter(|it| it.kept)?;
        let account = self.client(id)?.account.as_deref()?;
        self.accounts()?
            .store()
            .read(|it| it.role(&channel.name, account))
    }

    /// Gives a member the rank that is its own, and tells everybody.
    pub(crate) fn grant_role(&mut self, id: ClientId, channel: u32) {
        let Some(role) = self.role(id, channel) else {
            return;
        };
        let Some(rank) = Ranks::of_letter(role.letter()) else {
            return;
        };
        self.set_rank(id, channel, rank, true);
    }

    fn set_rank(&mut self, id: ClientId, channel: u32, rank: Ranks, on: bool) {
        let Some(client) = self.client(id) else {
            return;
        };
        let nick = client.nick.to_string();
        let Some(place) = client.membership(channel).map(|it| it.place) else {
            return;
        };
        self.flush_run();
        let member = self
            .channels
            .get_mut(channel)
            .and_then(|it| it.members.get_mut(place as usize));
        let Some(member) = member.filter(|it| it.ranks.has(rank) != on) else {
            return;
        };
        member.ranks.set(rank, on);
        let letter = Ranks::ALL
            .iter()
            .find(|it| it.2 == rank)
            .map_or('v', |it| it.0);
        self.tell_modes(channel, &[mode_change(on, letter, Some(&nick))]);
    }

    /// Opens a channel whose keepers are locked out.
    pub(crate) fn open_channel(&mut self, name: &str) {
        let Some(at) = self.channel_named(name) else {
            return;
        };
        let Some(channel) = self.channels.get_mut(at) else {
            return;
        };
        let mut changes: Vec<(bool, char, Option<String>)> = Vec::new();
        for ban in channel.bans.drain(..) {
            changes.push((false, 'b', Some(ban.mask.as_str().to_owned())));
        }
        if let Some(key) = channel.key.take() {
            changes.push((false, 'k', Some(key.into())));
        }
        if channel.limit.take().is_some() {
            changes.push((false, 'l', None));
        }
        if channel.flags.has(Flags::INVITE_ONLY) {
            channel.flags.set(Flags::INVITE_ONLY, false);
            changes.push((false, 'i', None));
        }
        let most = self.settings.options.limits.modes;
        for part in changes.chunks(most.max(1)) {
            let part: Vec<_> = part
                .iter()
                .map(|(set, letter, param)| mode_change(*set, *letter, param.as_deref()))
                .collect();
            self.tell_modes(at, &part);
        }
        self.channel_changed(at);
    }

    /// Tells the members of a channel what `ChanServ` changed.
    fn tell_modes(&mut self, channel: u32, changes: &[mode::Change<'_>]) {
        let Some(name) = self.channels.get(channel).map(|it| it.name.clone()) else {
            return;
        };
        let source = Service::ChanServ.source(&self.settings);
        for written in mode::write(changes.iter().copied(), usize::MAX, 400) {
            let mut line = Line::new(&source, "MODE").param(&name);
            for part in written.split(' ') {
                line = line.param(part);
            }
            let event = self.notice(line);
            let members = self.members(channel);
            self.deliver_all(&members, &event);
        }
    }
}

fn mode_change(set: bool, letter: char, param: Option<&str>) -> mode::Change<'_> {
    mode::Change { set, letter, param }
}

/// Whether something said is kept, and as an event or as a message. Requests of
/// one client to another are not, nor is that somebody types.
fn kept_as(said: &Said<'_>) -> Option<bool> {
    if said.to_ranks {
        return None;
    }
    let line = str::from_utf8(&said.event.line).ok()?;
    let (_, line) = line.split_once(' ')?;
    let (command, rest) = line.split_once(' ')?;
    if command == "TAGMSG" {
        let mut tags = said.event.client_tags.split(';');
        let lasting = |tag: &str| {
            !matches!(
                tag.split('=').next(),
                Some("+typing" | "+draft/typing" | "")
            )
        };
        return tags.any(lasting).then_some(true);
    }
    let text = rest.split_once(" :").map_or("", |(_, text)| text);
    let request = text.starts_with('\u{1}') && !text.starts_with("\u{1}ACTION");
    (!request).then_some(false)
}

fn of_record(listed: &[ListedMask], mapping: CaseMapping) -> Vec<Entry> {
    let entry = |it: &ListedMask| {
        // What is too long was never in a list.
        let mask = Mask::parse(&it.mask, mapping).ok()?;
        Some(Entry {
            mask,
            by: it.by.as_str().into(),
            at: it.at,
        })
    };
    listed.iter().filter_map(entry).collect()
}

fn record_of(channel: &Channel, record: &mut registered::Channel) {
    let list = |list: &[Entry]| -> Vec<ListedMask> {
        let listed = list.iter().map(|entry| ListedMask {
            mask: entry.mask.as_str().to_owned(),
            by: entry.by.to_string(),
            at: entry.at,
        });
        listed.collect()
    };
    let flags = Flags::ALL.iter();
    let set = flags.filter(|(letter, flag)| *letter != 'r' && channel.flags.has(*flag));
    record.modes = set.map(|(letter, _)| *letter).collect();
    record.topic = channel.topic.as_ref().map(|topic| registered::Topic {
        text: topic.text.to_string(),
        by: topic.by.to_string(),
        at: topic.at,
    });
    record.key = channel.key.as_deref().map(str::to_owned);
    record.limit = channel.limit;
    record.bans = list(&channel.bans);
    record.exceptions = list(&channel.exceptions);
    record.invite_exceptions = list(&channel.invite_exceptions);
}

impl Turn<'_> {
    /// Logs the client in, and gives it what is its own.
    pub(crate) fn log_in(&mut self, account: &str) {
        if self.me().account.as_deref() == Some(account) {
            let source = self.me().source.to_string();
            let text = format!("You are now logged in as {account}");
            self.reply(Numeric::RPL_LOGGEDIN, &[&source, account], &text);
        } else {
            self.set_account(Some(account));
        }
        let nick = self.nick();
        if self.net.is_own(self.id, &nick) {
            self.net.records.reclaims.remove(&self.id);
        }
        let channels: Vec<u32> = self.me().memberships.iter().map(|it| it.channel).collect();
        for channel in channels {
            self.net.grant_role(self.id, channel);
        }
    }

    /// Logs everybody out of an account that is no more.
    pub(crate) fn log_out_all(&mut self, account: &str) {
        let of = |client: &&Client| client.account.as_deref() == Some(account);
        let ids: Vec<_> = self.net.clients.iter().filter(of).map(|it| it.id).collect();
        for id in ids {
            Turn::new(self.net, id).set_account(None);
        }
    }

    /// Tells a client that has come into a channel what was said there, where that
    /// is to be and it does not ask for it.
    pub(crate) fn play_back(&mut self, channel: u32) {
        let most = self.net.settings.options.playback;
        let asks = self.has(Capability::Chathistory) || !self.has(Capability::ServerTime);
        let Some(channel) = self.net.channels.get(channel).filter(|_| most > 0 && !asks) else {
            return;
        };
        let (target, name) = (
            Target::Channel(channel.folded.clone()),
            channel.name.clone(),
        );
        let view = history::View {
            events: false,
            since: self
                .net
                .timestamp()
                .before(self.net.settings.options.history.age),
        };
        let found = self
            .net
            .records
            .history
            .select(&target, &Range::Latest(None), most, view);
        let found: Vec<_> = found
            .into_iter()
            .map(|entry| entry.content.clone())
            .collect();
        if !found.is_empty() {
            self.batch(&["chathistory", &name], found.iter().map(|event| &**event));
        }
    }

    /// Who watches the client and wants to know more of it than whether it is there.
    pub(crate) fn watchers_with(&self, capability: Capability) -> Vec<ClientId> {
        self.net.watchers_with(self.id, capability)
    }

    /// `FAIL`, of a command whose own specification says so: its clients know it
    /// without a capability.
    pub(crate) fn fail(&mut self, command: &str, code: &str, context: &[&str], text: &str) {
        let line = self.by_server("FAIL").param(command).param(code);
        self.tell(line.params(context).text(text));
    }
}
