//! The network: who is there, which channels there are, and what everybody is told.
//!
//! It is one state machine without I/O. Whoever drives it says what the time is and which client
//! sent which message; what clients are told stands in their outboxes then. Nothing here waits.
//! The same in, the same out: no order is that of a hash map.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use ropewalk_core::{Outbox, OutboxDrain, PushError};

use super::{
    channel::{Channel, Member, Ranks},
    client::{Client, ClientId, Membership, Registering, UserModes},
    clock::Clock,
    event::{Class, Encoded, Event, Line},
    fanout::Run,
    options::NetworkOptions,
    passwords::Passwords,
    records::Records,
    settings::Settings,
    slab::Slab,
    whowas::Whowas,
};
use crate::proto::{capability::Set, casemap::Folded};

/// All of a network that is not a socket.
pub(crate) struct State {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clients: Slab<Client>,
    serial: u32,
    pub(crate) nicks: HashMap<Folded, ClientId>,
    pub(crate) channels: Slab<Channel>,
    /// Channels by name, in the order in which `LIST` gives them.
    pub(crate) names: BTreeMap<Folded, u32>,
    pub(crate) whowas: Whowas,
    /// What judges passwords that are not accounts'.
    pub(crate) passwords: Passwords,
    /// What was said, who watches whom, which channels are registered.
    pub(crate) records: Records,
    pub(crate) tally: Tally,
    pub(crate) clock: Clock,
    /// When it began, in seconds since 1970.
    pub(crate) started: u64,
    pub(crate) draining: bool,
    /// An operator asked for the configuration to be read again.
    pub(crate) rehash_asked: bool,
    /// Who acts in this turn, and what they are told.
    pub(super) acting: Option<ClientId>,
    pub(super) told: Vec<u8>,
    /// What they are told besides, which is no answer to the command of this turn.
    pub(super) aside: Vec<u8>,
    pub(super) run: Option<Run>,
    overflowed: Vec<ClientId>,
    mark: u64,
    /// How often each command was given, by its place in the table.
    pub(crate) used: Vec<u64>,
    /// What ids of messages begin with in this run, and how many there were.
    msgids: (String, u64),
    batches: u64,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Registered clients.
    pub(crate) users: usize,
    /// Those of them that are invisible.
    pub(crate) invisible: usize,
    /// Those of them that are operators.
    pub(crate) opers: usize,
    /// The most there have been.
    pub(crate) most: usize,
    /// Given up since they did not read.
    pub(crate) overflows: u64,
    /// Given up since they sent too fast.
    pub(crate) floods: u64,
    /// Messages taken from clients.
    pub(crate) messages: u64,
}

/// Where a client comes from, as its connection knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) address: Box<str>,
    pub(crate) secure: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<ropewalk_core::tls::TlsInfo>>,
}

impl State {
    /// An empty network. `seed` makes ids of messages unlike those of the run before.
    pub(crate) fn new(options: NetworkOptions, now: Instant, wall: SystemTime, seed: u64) -> Self {
        let clock = Clock::new(now, wall);
        let mut state = Self {
            started: clock.seconds(),
            whowas: Whowas::new(options.limits.whowas),
            passwords: Passwords::new(options.accounts.as_deref()),
            records: Records::new(&options),
            settings: Arc::new(Settings::new(options)),
            clients: Slab::new(),
            serial: 0,
            nicks: HashMap::new(),
            channels: Slab::new(),
            names: BTreeMap::new(),
            tally: Tally::default(),
            clock,
            draining: false,
            rehash_asked: false,
            acting: None,
            told: Vec::new(),
            aside: Vec::new(),
            run: None,
            overflowed: Vec::new(),
            mark: 0,
            used: vec![0; super::commands::COMMANDS.len()],
            msgids: (format!("{seed:x}-"), 0),
            batches: 0,
        };
        state.restore_channels();
        state
    }

    /// A client has come.
    pub(crate) fn enter(&mut self, origin: Origin) -> (ClientId, OutboxDrain) {
        let (outbox, drain) = Outbox::new(self.settings.options.limits.send_queue);
        self.serial = self.serial.wrapping_add(1);
        let id = ClientId::new(self.clients.next(), self.serial);
        let now = self.clock.now;
        self.clients.insert(Client {
            id,
            outbox,
            nick: "*".into(),
            user: "".into(),
            real_name: "".into(),
            host: origin.address.clone(),
            address: origin.address,
            source: "*".into(),
            account: None,
            away: None,
            modes: UserModes::default(),
            capabilities: Set::NONE,
            class: Class::default(),
            memberships: Vec::new(),
            invitations: Vec::new(),
            registering: Some(Box::default()),
            cap_notify: false,
            since: self.clock.seconds(),
            spoke: now,
            heard: now,
            pinged: None,
            busy_until: now,
            secure: origin.secure,
            #[cfg(feature = "tls")]
            tls: origin.tls,
            oper: None,
            exchange: None,
            pages: None,
            work: Vec::new(),
            working: 0,
            label: None,
            mark: 0,
            doomed: false,
        });
        (id, drain)
    }

    /// A client, if it is still there.
    pub(crate) fn client(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(id.index).filter(|client| client.id == id)
    }

    /// A client, if it is still there.
    pub(crate) fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        let client = self.clients.get_mut(id.index);
        client.filter(|client| client.id == id)
    }

    /// A registered client, by its nick.
    pub(crate) fn named(&self, nick: &str) -> Option<&Client> {
        let id = *self.nicks.get(self.settings.fold(nick).as_str())?;
        self.client(id).filter(|client| client.is_registered())
    }

    /// The number of a channel, by its name.
    pub(crate) fn channel_named(&self, name: &str) -> Option<u32> {
        self.names.get(self.settings.fold(name).as_str()).copied()
    }

    /// The ranks of a client in a channel; none if it is not in it.
    pub(crate) fn ranks(&self, id: ClientId, channel: u32) -> Option<Ranks> {
        let place = self.client(id)?.membership(channel)?.place;
        Some(
            self.channels
                .get(channel)?
                .members
                .get(place as usize)?
                .ranks,
        )
    }

    /// The members of a channel.
    pub(crate) fn members(&self, channel: u32) -> Vec<ClientId> {
        let members = self.channels.get(channel).map(|c| &*c.members);
        members
            .unwrap_or_default()
            .iter()
            .map(|m| m.client)
            .collect()
    }

    /// All who share a channel with a client, each once, without itself.
    pub(crate) fn peers(&mut self, id: ClientId) -> Vec<ClientId> {
        self.mark += 1;
        let mut peers = Vec::new();
        let Some(client) = self.client_mut(id) else {
            return peers;
        };
        let channels: Vec<u32> = client.memberships.iter().map(|m| m.channel).collect();
        let mark = self.mark;
        if let Some(client) = self.client_mut(id) {
            client.mark = mark;
        }
        for channel in channels {
            let Some(channel) = self.channels.get(channel) else {
                continue;
            };
            for member in &channel.members {
                if let Some(peer) = self.clients.get_mut(member.client.index)
                    && peer.mark != mark
                {
                    peer.mark = mark;
                    peers.push(peer.id);
                }
            }
        }
        peers
    }

    /// Whether two clients share a channel.
    pub(crate) fn share(&self, one: ClientId, other: ClientId) -> bool {
        let (Some(one), Some(other)) = (self.client(one), self.client(other)) else {
            return false;
        };
        let (fewer, more) = match one.memberships.len() <= other.memberships.len() {
            true => (one, other),
            false => (other, one),
        };
        let shared = |m: &Membership| more.membership(m.channel).is_some();
        fewer.memberships.iter().any(shared)
    }

    /// Puts a client into a channel that it is not in.
    pub(crate) fn add_member(&mut self, id: ClientId, channel: u32, ranks: Ranks) {
        self.flush_run();
        let Some(client) = self.clients.get_mut(id.index) else {
            return;
        };
        let Some(joined) = self.channels.get_mut(channel) else {
            return;
        };
        let place = u32::try_from(joined.members.len()).expect("fewer members than four billion");
        joined.members.push(Member { client: id, ranks });
        joined.classes[client.class.index()] += 1;
        client.memberships.push(Membership { channel, place });
    }

    /// Takes a client out of a channel; an empty channel is forgotten, unless it is kept.
    pub(crate) fn remove_member(&mut self, id: ClientId, channel: u32) {
        self.flush_run();
        let Some(client) = self.clients.get_mut(id.index) else {
            return;
        };
        let class = client.class.index();
        let Some(at) = client.memberships.iter().position(|m| m.channel == channel) else {
            return;
        };
        let place = client.memberships.remove(at).place;
        let Some(left) = self.channels.get_mut(channel) else {
            return;
        };
        left.members.swap_remove(place as usize);
        left.classes[class] -= 1;
        // Whoever was last stands in the place that became free.
        if let Some(moved) = left.members.get(place as usize)
            && let Some(moved) = self.clients.get_mut(moved.client.index)
            && let Some(m) = moved.memberships.iter_mut().find(|m| m.channel == channel)
        {
            m.place = place;
        }
        if left.members.is_empty() && !left.kept {
            self.forget_channel(channel);
        }
    }

    /// Forgets a channel that nobody is in.
    pub(crate) fn forget_channel(&mut self, channel: u32) {
        if let Some(gone) = self.channels.remove(channel) {
            debug_assert!(gone.members.is_empty(), "somebody is still in it");
            self.names.remove(gone.folded.as_str());
            super::hooks::ended(self, &gone);
        }
    }

    /// Changes what a client can do, and with it how it is written to.
    pub(crate) fn set_capabilities(&mut self, id: ClientId, capabilities: Set) {
        self.flush_run();
        let Some(client) = self.clients.get_mut(id.index) else {
            return;
        };
        client.capabilities = capabilities;
        let class = Class::of(capabilities);
        let before = std::mem::replace(&mut client.class, class);
        for membership in &client.memberships {
            if let Some(channel) = self.channels.get_mut(membership.channel) {
                channel.classes[before.index()] -= 1;
                channel.classes[class.index()] += 1;
            }
        }
    }

    /// An id for a message.
    pub(crate) fn msgid(&mut self) -> String {
        self.msgids.1 += 1;
        format!("{}{:x}", self.msgids.0, self.msgids.1)
    }

    /// A name for a batch.
    pub(crate) fn batch(&mut self) -> Box<str> {
        self.batches += 1;
        format!("b{:x}", self.batches).into()
    }

    /// An event of the server's own, now.
    pub(crate) fn notice(&self, line: Line) -> Event {
        Event::new(self.clock.stamp(), line.end())
    }

    /// Tells one client.
    pub(crate) fn deliver(&mut self, to: ClientId, event: &Event) {
        if self.run.as_ref().is_some_and(|run| run.sender != to) {
            self.flush_run();
        }
        let Some(client) = self.clients.get(to.index).filter(|c| c.id == to) else {
            return;
        };
        if self.acting == Some(to) {
            event.encode(client.class, &mut self.told);
        } else {
            let mut piece = Vec::with_capacity(event.line.len() + 64);
            event.encode(client.class, &mut piece);
            self.push(to, piece.into());
        }
    }

    /// Tells whoever acts something that is no answer to what they asked.
    pub(crate) fn deliver_aside(&mut self, event: &Event) {
        if let Some(client) = self.acting.and_then(|id| self.clients.get(id.index)) {
            event.encode(client.class, &mut self.aside);
        }
    }

    /// Tells several, writing it once for each class.
    pub(crate) fn deliver_all(&mut self, to: &[ClientId], event: &Event) {
        self.flush_run();
        let mut encoded = Encoded::new(event);
        for &id in to {
            let Some(client) = self.clients.get(id.index).filter(|c| c.id == id) else {
                continue;
            };
            let piece = encoded.of(client.class);
            if self.acting == Some(id) {
                self.told.extend_from_slice(&piece);
            } else {
                self.push(id, piece);
            }
        }
    }

    /// Those of them for whom `filter` holds.
    pub(crate) fn only(&self, ids: &[ClientId], filter: impl Fn(&Client) -> bool) -> Vec<ClientId> {
        let fits = |id: &&ClientId| self.client(**id).is_some_and(&filter);
        ids.iter().filter(fits).copied().collect()
    }

    pub(super) fn push(&mut self, to: ClientId, piece: Bytes) {
        if let Some(client) = self.clients.get(to.index)
            && let Err(PushError::Full(_)) = client.outbox.push(piece)
        {
            self.overflow(to);
        }
    }

    /// Notes that a client does not read; it is given up at the end of the turn.
    pub(super) fn overflow(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id.index)
            && !std::mem::replace(&mut client.doomed, true)
        {
            self.overflowed.push(id);
        }
    }

    /// Begins what a client does now.
    pub(crate) fn begin(&mut self, id: ClientId, now: Instant, wall: SystemTime) {
        self.clock.set(now, wall);
        self.acting = Some(id);
    }

    /// Ends it: what everybody is told is in their outboxes then, and those who do not read are
    /// gone.
    pub(crate) fn end(&mut self) {
        self.record_changes();
        self.flush_run();
        self.flush_told();
        self.acting = None;
        while let Some(id) = self.overflowed.pop() {
            self.tally.overflows += 1;
            self.remove(id, "SendQ exceeded");
        }
    }

    fn flush_told(&mut self) {
        if let Some(id) = self.acting
            && !self.told.is_empty()
        {
            let told = std::mem::take(&mut self.told);
            self.push(id, told.into());
        }
    }

    /// Ends a client: its peers learn why, and so does it.
    pub(crate) fn remove(&mut self, id: ClientId, reason: &str) {
        let Some(client) = self.client(id) else {
            return;
        };
        let last = Line::bare("ERROR")
            .text(&format!("Closing Link: {} ({reason})", client.host))
            .end();
        let registered = client.is_registered();
        let quit = Event {
            account: client.account.clone(),
            bot: client.is_bot(),
            ..self.notice(Line::new(&client.source, "QUIT").text(reason))
        };
        if registered && !self.draining {
            let peers = self.peers(id);
            self.deliver_all(&peers, &quit);
        }
        self.flush_run();
        let Some(client) = self.clients.get(id.index) else {
            return;
        };
        if registered {
            self.tally.users -= 1;
            self.tally.invisible -= usize::from(client.is_invisible());
            self.tally.opers -= usize::from(client.is_oper());
            self.whowas
                .add(client, self.clock.seconds(), &self.settings);
        }
        if client.doomed {
            client.outbox.cut(last.into());
        } else {
            if self.acting == Some(id) {
                self.told.extend_from_slice(&last);
                self.flush_told();
            } else {
                self.push(id, last.into());
            }
            if let Some(client) = self.client(id) {
                client.outbox.close();
            }
        }
        let channels: Vec<u32> = match self.client(id) {
            Some(client) => client.memberships.iter().map(|m| m.channel).collect(),
            None => Vec::new(),
        };
        for channel in channels {
            self.remove_member(id, channel);
        }
        if let Some(client) = self.clients.remove(id.index) {
            super::hooks::gone(self, id);
            let folded = self.settings.fold(&client.nick);
            // It may have asked for a nick without having got it.
            if self.nicks.get(&folded) == Some(&id) {
                self.nicks.remove(&folded);
            }
            if registered {
                super::hooks::offline(self, &client);
            }
        }
    }

    /// Gives a client a nick, which is free or its own.
    pub(crate) fn rename(&mut self, id: ClientId, nick: &str) {
        let Some(client) = self.clients.get_mut(id.index) else {
            return;
        };
        let before = self.settings.fold(&client.nick);
        if self.nicks.get(&before) == Some(&id) {
            self.nicks.remove(&before);
        }
        self.nicks.insert(self.settings.fold(nick), id);
        client.nick = nick.into();
        client.renew_source();
    }

    /// What is missing for a client to be registered.
    pub(crate) fn registering(&mut self, id: ClientId) -> Option<&mut Registering> {
        self.client_mut(id)?.registering.as_deref_mut()
    }
}
