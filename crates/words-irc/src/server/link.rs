//! One client's way into the network: lines, time and outcomes in, and what is to be waited for
//! out. What carries the lines is somebody else's: a connection, a WebSocket, a test.

use std::{net::IpAddr, time::Instant};

use ropewalk_core::{Input, OutboxDrain, Peer, TooLong, wall_clock};

use super::{
    client::ClientId,
    commands,
    network::Network,
    options::NetworkLimits,
    state::{Origin, State},
    turn::Turn,
    work::{Completion, Work},
};
use crate::proto::{
    message::{Bounds, Message, ParseError},
    numeric::Numeric,
};

/// The longest line that is taken, tags included, without its end.
pub(crate) const LONGEST: usize = Bounds::FROM_CLIENT.most();

/// A client's way into the network. When it is dropped, the client is gone.
pub(crate) struct Link {
    network: Network,
    id: ClientId,
}

/// What is to be waited for before the next line is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: all lines that were here are done.
    More,
    /// The bucket is empty until then.
    Wait(Instant),
    /// The next page of an answer, for which the last must have left.
    Page,
    /// Work, to be had from [`Link::work`] where it has not begun.
    Work,
    /// The client is gone; what it is told last is in its outbox.
    Gone,
}

impl Link {
    /// A client comes.
    pub(crate) fn open(network: &Network, peer: &Peer, now: Instant) -> (Self, OutboxDrain) {
        Self::open_from(network, origin(peer), now)
    }

    pub(crate) fn open_from(
        network: &Network,
        origin: Origin,
        now: Instant,
    ) -> (Self, OutboxDrain) {
        let mut state = network.lock();
        state.clock.set(now, wall_clock());
        let (id, drain) = state.enter(origin);
        drop(state);
        let network = network.clone();
        (Self { network, id }, drain)
    }

    /// Takes the lines that are here, as far as the client may send now.
    pub(crate) fn receive(&self, input: &mut Input, now: Instant) -> Step {
        let mut state = self.network.lock();
        state.begin(self.id, now, wall_clock());
        let mut step = ready(&state, self.id, now);
        if step == Step::More {
            // Lines that are not asked for stay unread.
            for line in input.lines(LONGEST) {
                take(&mut state, self.id, line.as_deref().map_err(|e| *e));
                step = ready(&state, self.id, now);
                if step != Step::More {
                    break;
                }
            }
        }
        if matches!(step, Step::Wait(_)) && input.len() > state.settings.options.flood.backlog {
            state.tally.floods += 1;
            state.remove(self.id, "Excess Flood");
            step = Step::Gone;
        }
        state.end();
        self.rehash_if_asked(&mut state);
        // It may have been its own outbox that ran over.
        match state.client(self.id) {
            Some(_) => step,
            None => Step::Gone,
        }
    }

    /// Takes one line.
    #[allow(dead_code, reason = "for what carries lines without a stream of bytes")]
    pub(crate) fn line(&self, line: &[u8], now: Instant) -> Step {
        self.act(now, |turn| take(turn.net, turn.id, Ok(line)))
    }

    /// Gives the next page of a long answer.
    pub(crate) fn page(&self, now: Instant) -> Step {
        self.act(now, |turn| turn.page())
    }

    /// Takes the outcome of work.
    pub(crate) fn complete(&self, completion: Completion, now: Instant) -> Step {
        self.act(now, |turn| {
            let me = turn.me_mut();
            me.working -= 1;
            let label = me.label.take();
            let start = turn.net.told.len();
            (completion.0)(turn);
            if let Some(label) = label {
                turn.label(&label, start);
            }
        })
    }

    /// The work that is to be begun.
    pub(crate) fn work(&self) -> Vec<Work> {
        let mut state = self.network.lock();
        let client = state.client_mut(self.id);
        client
            .map(|c| std::mem::take(&mut c.work))
            .unwrap_or_default()
    }

    /// Whether something waits in the client's outbox.
    pub(crate) fn waits(&self) -> bool {
        let state = self.network.lock();
        state
            .client(self.id)
            .is_some_and(|client| client.outbox.waiting() > 0)
    }

    /// Looks whether the client is late with something; says when to look again.
    pub(crate) fn tick(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        self.act(now, |turn| next = tick(turn, now));
        next
    }

    /// The client ends, since the server does.
    pub(crate) fn drain(&self, now: Instant) {
        let mut state = self.network.lock();
        state.draining = true;
        state.begin(self.id, now, wall_clock());
        state.remove(self.id, "Server shutting down");
        state.end();
    }

    /// The client is gone.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.network.lock();
        let (now, wall) = (state.clock.now, wall_clock());
        state.begin(self.id, now, wall);
        state.remove(self.id, reason);
        state.end();
    }

    fn act(&self, now: Instant, act: impl FnOnce(&mut Turn<'_>)) -> Step {
        let mut state = self.network.lock();
        state.begin(self.id, now, wall_clock());
        if state.client(self.id).is_some() {
            act(&mut Turn::new(&mut state, self.id));
        }
        state.end();
        self.rehash_if_asked(&mut state);
        ready(&state, self.id, now)
    }

    /// It takes the lock itself, and may read files: so on a thread of its own.
    fn rehash_if_asked(&self, state: &mut State) {
        if std::mem::take(&mut state.rehash_asked)
            && let Some(rehash) = self.network.rehash()
        {
            let network = self.network.clone();
            let thread = std::thread::Builder::new().name("rehash".to_owned());
            if let Err(error) = thread.spawn(move || rehash(&network)) {
                tracing::error!(%error, "no thread to read the configuration on");
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close("Connection closed");
    }
}

/// Whether a client's next line can be taken.
fn ready(state: &State, id: ClientId, now: Instant) -> Step {
    let Some(client) = state.client(id) else {
        return Step::Gone;
    };
    if client.working > 0 {
        return Step::Work;
    }
    if client.pages.is_some() {
        return Step::Page;
    }
    let flood = &state.settings.options.flood;
    let exempt = flood.disabled || (flood.opers_exempt && client.is_oper());
    let until = client.busy_until.checked_sub(flood.unit * flood.burst);
    match until {
        Some(until) if until > now && !exempt => Step::Wait(until),
        _ => Step::More,
    }
}

/// Takes one line of a client that is there.
fn take(state: &mut State, id: ClientId, line: Result<&[u8], TooLong>) {
    let now = state.clock.now;
    if let Some(client) = state.client_mut(id) {
        client.heard = now;
        client.pinged = None;
    }
    let mut turn = Turn::new(state, id);
    let Ok(line) = line else {
        return too_long(&mut turn);
    };
    let lossy;
    let line = match str::from_utf8(line) {
        Ok(line) => line,
        Err(_) => {
            lossy = String::from_utf8_lossy(line);
            if turn.net.settings.options.utf8_only {
                return not_utf8(&mut turn, &lossy);
            }
            &lossy
        }
    };
    match Message::parse_within(line, Bounds::FROM_CLIENT) {
        Ok(message) => commands::run(&mut turn, &message),
        Err(ParseError::NoCommand) => charge(&mut turn, 1),
        Err(ParseError::LongTags(_) | ParseError::Long(_)) => too_long(&mut turn),
        Err(ParseError::BadCommand) => commands::unknown(&mut turn, line),
        Err(error) => {
            charge(&mut turn, 1);
            turn.reply(
                Numeric::ERR_UNKNOWNERROR,
                &["*"],
                &format!("Not a message: {error}"),
            );
        }
    }
}

fn too_long(turn: &mut Turn<'_>) {
    charge(turn, 4);
    turn.reply(Numeric::ERR_INPUTTOOLONG, &[], "Input line was too long");
}

/// <https://ircv3.net/specs/extensions/utf8-only>
fn not_utf8(turn: &mut Turn<'_>, lossy: &str) {
    charge(turn, 1);
    let fail = |turn: &mut Turn<'_>, command: &str| {
        let line = turn.by_server("FAIL").param(&command.to_ascii_uppercase());
        let text = "Message rejected: it is not UTF-8";
        turn.tell(line.param("INVALID_UTF8").text(text));
    };
    match Message::parse(lossy) {
        Ok(message) => commands::labelled(turn, &message, |turn| fail(turn, message.command)),
        Err(_) => fail(turn, "*"),
    }
}

/// Takes so many units out of a client's bucket.
pub(crate) fn charge(turn: &mut Turn<'_>, weight: u32) {
    let (now, unit) = (turn.net.clock.now, turn.net.settings.options.flood.unit);
    if let Some(client) = turn.net.client_mut(turn.id) {
        client.busy_until = client.busy_until.max(now) + unit * weight;
    }
}

/// Looks whether a client is late; says when to look again.
fn tick(turn: &mut Turn<'_>, now: Instant) -> Option<Instant> {
    let settings = turn.net.settings.clone();
    let limits = &settings.options.limits;
    let reclaim = turn.net.reclaim(turn.id);
    if !turn.is_here() {
        return None;
    }
    let next = late(turn, now, limits)?;
    Some(reclaim.map_or(next, |at| at.min(next)))
}

fn late(turn: &mut Turn<'_>, now: Instant, limits: &NetworkLimits) -> Option<Instant> {
    let me = turn.me();
    if !me.is_registered() {
        // What it heard from us is what began its time.
        let came = me.spoke + limits.registration;
        if came > now {
            return Some(came);
        }
        turn.net.remove(turn.id, "Registration timed out");
        return None;
    }
    match me.pinged {
        Some(at) if at + limits.ping_timeout <= now => {
            let silent = now.saturating_duration_since(me.heard).as_secs();
            let reason = format!("Ping timeout: {silent} seconds");
            turn.net.remove(turn.id, &reason);
            None
        }
        Some(at) => Some(at + limits.ping_timeout),
        None if me.heard + limits.ping > now => Some(me.heard + limits.ping),
        None => {
            turn.me_mut().pinged = Some(now);
            let line = super::event::Line::bare("PING").text(turn.net.settings.server());
            turn.tell(line);
            Some(now + limits.ping_timeout)
        }
    }
}

/// What a connection knows of where its client is.
pub(crate) fn origin(peer: &Peer) -> Origin {
    let address = match peer.address.inet() {
        Some(inet) => shown(inet.ip()),
        None => "localhost".to_owned(),
    };
    Origin {
        address: address.into(),
        secure: is_secure(peer),
        #[cfg(feature = "tls")]
        tls: peer.tls.clone(),
    }
}

/// An address as it is shown.
pub(crate) fn shown(address: IpAddr) -> String {
    let text = address.to_canonical().to_string();
    // A parameter cannot begin with a colon, as `::1` does.
    if text.starts_with(':') {
        format!("0{text}")
    } else {
        text
    }
}

fn is_secure(peer: &Peer) -> bool {
    #[cfg(feature = "tls")]
    if peer.tls.is_some() {
        return true;
    }
    peer.address.inet().is_none()
}
