//! The state machine.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant, SystemTime},
};

use ropewalk_cred::sasl;

use super::{
    Answer, Ended, Event, Kind, Options, RegistrationError, Request, RequestError, RequestId,
    State,
    batch::{self, Batches, Place, later},
    event::is_to_channel,
    pace::Bucket,
    registration::{Next, Registration},
    request::Requests,
    state::{Change, Most},
};
use crate::proto::{
    ctcp::Ctcp,
    message::{Bounds, Message, ParseError, WriteError, Writer},
    numeric::Numeric,
    split, tags,
    timestamp::Timestamp,
};

/// What is known of the connection below.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Link {
    /// What SASL may know of it: whether others can read it, and what can be
    /// bound to it.
    pub channel: sasl::Channel,
    /// Whether it is TLS, which is where a server's wish for it (STS) is
    /// remembered.
    pub is_tls: bool,
    /// Whether it could be TLS instead: over TCP, and in the clear.
    pub can_upgrade: bool,
}

/// What a server says of TLS (<https://ircv3.net/specs/extensions/sts>): for so
/// long, it is to be spoken to over nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StsPolicy {
    /// For how long; zero takes an earlier policy back.
    pub duration: Duration,
}

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no connection now. What is said then is not said later: nobody
    /// wants an answer from an hour ago.
    #[error("not connected")]
    NotConnected,
    /// As much waits to be sent as may ([`Limits::unsent`](super::Limits)).
    #[error("too much is waiting to be sent")]
    Busy,
    /// It cannot stand in a line; the program is at fault.
    #[error(transparent)]
    Unsendable(#[from] WriteError),
}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotConnected => Self::NotConnected,
            SendError::Busy => Self::Busy,
            SendError::Unsendable(error) => Self::Unsendable(error),
        }
    }
}

/// A conversation with a server, and with the next one when that one is lost.
pub struct Session {
    options: Options,
    state: State,
    phase: Phase,
    link: Link,
    registration: Registration,
    urgent: Vec<u8>,
    queue: VecDeque<Box<[u8]>>,
    /// The bytes in it.
    queued: usize,
    pace: Bucket,
    ctcp: Bucket,
    requests: Requests,
    batches: Batches,
    events: VecDeque<Event>,
    ended: Option<Ended>,
    sts: Option<StsPolicy>,
    /// Channels to be in, with their keys.
    wanted: Vec<(String, Option<String>)>,
    /// The nick that is wanted most.
    favourite: String,
    next_id: u64,
    heard: Instant,
    asked_alive: bool,
    until: Option<Instant>,
    regain_at: Option<Instant>,
    /// The nick that was asked for again.
    regaining: bool,
    /// Channels for which `WHO` is out.
    asking: Vec<Box<str>>,
    clock: (Instant, SystemTime),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Off,
    Registering,
    /// Welcome, and not yet told everything.
    Welcome,
    Online,
    Quitting,
}

impl Session {
    /// One that is not connected.
    pub fn new(options: Options) -> Self {
        let now = Instant::now();
        let favourite = options
            .nicks
            .first()
            .map_or("guest", String::as_str)
            .to_owned();
        Self {
            state: State::default(),
            phase: Phase::Off,
            link: Link::default(),
            registration: Registration::new(sasl::Channel::clear()),
            urgent: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            pace: Bucket::new(options.pace.burst, options.pace.every),
            ctcp: Bucket::new(options.ctcp.burst, options.ctcp.every),
            requests: Requests::default(),
            batches: Batches::default(),
            events: VecDeque::new(),
            ended: None,
            sts: None,
            wanted: options.channels.clone(),
            favourite,
            next_id: 1,
            heard: now,
            asked_alive: false,
            until: None,
            regain_at: None,
            regaining: false,
            asking: Vec::new(),
            clock: (now, SystemTime::UNIX_EPOCH),
            options,
        }
    }

    /// What is known of the network.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How it behaves.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// There is a connection: registration begins.
    pub fn connected(&mut self, now: Instant, wall: SystemTime, link: Link) {
        self.disconnected();
        let limits = &self.options.limits;
        let most = Most {
            channels: limits.channels,
            members: limits.members,
        };
        self.phase = Phase::Registering;
        self.ended = None;
        self.sts = None;
        self.clock = (now, wall);
        self.heard = now;
        self.until = Some(later(now, self.options.deadlines.registration));
        self.registration = Registration::new(link.channel.clone());
        self.link = link;
        self.pace = Bucket::new(self.options.pace.burst, self.options.pace.every);
        let nick = self
            .registration
            .next_nick(&self.options)
            .unwrap_or_default();
        self.state = State::new(&nick, most);
        let first = self.options.nicks.first().cloned().unwrap_or_default();
        let user = self.options.user.clone().unwrap_or_else(|| first.clone());
        let realname = self.options.realname.clone().unwrap_or(first);
        if self.say_now("CAP", &["LS", "302"]).is_err() {
            return self.fail(RegistrationError::Unsendable("capabilities"));
        }
        if let Some(password) = self.options.password.clone() {
            let sent = str::from_utf8(password.expose())
                .is_ok_and(|password| self.say_now("PASS", &[password]).is_ok());
            if !sent {
                return self.fail(RegistrationError::Unsendable("password"));
            }
        }
        if nick.contains([' ', ':']) || nick.is_empty() || self.say_now("NICK", &[&nick]).is_err() {
            return self.fail(RegistrationError::Unsendable("nick"));
        }
        if self.say_now("USER", &[&user, "0", "*", &realname]).is_err() {
            self.fail(RegistrationError::Unsendable("user or real name"));
        }
    }

    /// The connection is over, or another one begins: requests fail, and what
    /// was to be sent is not.
    pub fn disconnected(&mut self) {
        self.requests.fail_all();
        let nick = self.state.nick.clone();
        for ended in self.batches.end_all() {
            if ended.is_gathered() && !ended.lines.is_empty() && ended.answers.is_none() {
                let event = ended.event(false, &self.state.isupport, &nick);
                self.events.push_back(event);
            }
        }
        self.state = State::new(&nick, Most::default());
        self.phase = Phase::Off;
        self.urgent.clear();
        self.queue.clear();
        self.queued = 0;
        self.until = None;
        self.regain_at = None;
        self.regaining = false;
        self.asked_alive = false;
        self.asking.clear();
    }

    /// Why the connection is to be ended, once it is.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next answer to a request.
    pub fn next_answer(&mut self) -> Option<(RequestId, Result<Answer, RequestError>)> {
        self.requests.next_answer()
    }

    /// A policy that the server has just stated.
    pub fn take_sts(&mut self) -> Option<StsPolicy> {
        self.sts.take()
    }

    /// Whether the client may talk.
    pub fn is_online(&self) -> bool {
        self.phase == Phase::Online
    }

    /// The longest line that is read, without its end; what is longer is
    /// skipped, and told by [`too_long`](Self::too_long).
    pub fn longest_line(&self) -> usize {
        self.bounds().most()
    }

    fn bounds(&self) -> Bounds {
        // A server that says so may send longer lines, within reason.
        let rest = self.state.isupport.line_length().min(LONGEST_LINE);
        Bounds {
            rest: rest.max(Bounds::FROM_SERVER.rest),
            ..Bounds::FROM_SERVER
        }
    }

    /// Writes what may be sent now.
    pub fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
        out.append(&mut self.urgent);
        if !matches!(self.phase, Phase::Online | Phase::Quitting) {
            return;
        }
        while !self.queue.is_empty() && self.pace.take(now) {
            if let Some(line) = self.queue.pop_front() {
                self.queued -= line.len();
                out.extend_from_slice(&line);
            }
        }
    }

    /// Bytes that wait for their time.
    pub fn unsent(&self) -> usize {
        self.queued
    }

    /// When [`poll`](Self::poll) has something to do.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.phase == Phase::Off {
            return None;
        }
        let deadlines = &self.options.deadlines;
        let mut silence = deadlines.silence;
        if self.asked_alive {
            silence = silence.saturating_add(deadlines.pong);
        }
        let alive = (self.phase != Phase::Quitting).then(|| later(self.heard, silence));
        let queue = match self.queue.is_empty() {
            true => None,
            false => Some(self.pace.next(now).unwrap_or(now)),
        };
        [
            self.until,
            alive,
            queue.filter(|_| matches!(self.phase, Phase::Online | Phase::Quitting)),
            self.regain_at,
            self.requests.next_deadline(),
            self.batches.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what its time has come for.
    pub fn poll(&mut self, now: Instant) {
        if self.phase == Phase::Off || self.ended.is_some() {
            return;
        }
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            match self.phase {
                Phase::Registering => {
                    let after = self.options.deadlines.registration;
                    return self.fail(RegistrationError::TimedOut(after));
                }
                // Welcome was said, and nothing of a message of the day.
                Phase::Welcome => self.online(now),
                Phase::Quitting => self.ended = Some(Ended::Quit),
                Phase::Off | Phase::Online => {}
            }
        }
        self.requests.expire(now);
        for ended in self.batches.expire(now) {
            self.batch_ended(ended, false);
        }
        if self.regain_at.is_some_and(|at| at <= now) {
            self.regain(now);
        }
        let deadlines = self.options.deadlines;
        if self.phase != Phase::Quitting {
            let silent = now.saturating_duration_since(self.heard);
            if self.asked_alive && silent >= deadlines.silence.saturating_add(deadlines.pong) {
                self.ended = Some(Ended::TimedOut(silent));
            } else if !self.asked_alive && silent >= deadlines.silence {
                self.asked_alive = true;
                // It is a word of ours, which can stand in a line.
                let _ = self.say_now("PING", &["alive"]);
            }
        }
    }

    /// A line was longer than it may be, and was skipped.
    pub fn too_long(&mut self, now: Instant) {
        self.heard = now;
        self.asked_alive = false;
        self.unreadable(&format!("more than {} bytes", self.longest_line()));
    }

    fn unreadable(&mut self, why: &str) {
        self.events
            .push_back(Event::own(Kind::Unreadable { why: why.into() }));
    }

    /// Nothing is read for now, so silence is not the server's.
    pub fn hold(&mut self, now: Instant) {
        self.heard = now;
        self.asked_alive = false;
    }

    /// Takes one line, without its end.
    pub fn receive(&mut self, now: Instant, line: &[u8]) {
        if self.phase == Phase::Off || self.ended.is_some() {
            return;
        }
        self.heard = now;
        self.asked_alive = false;
        // What is not UTF-8 is shown as such rather than lost.
        let text = String::from_utf8_lossy(line);
        match Message::parse_within(&text, self.bounds()) {
            Ok(message) => self.message(now, &message, &text),
            Err(ParseError::NoCommand) => {}
            Err(error) => self.unreadable(&error.to_string()),
        }
    }

    fn message(&mut self, now: Instant, message: &Message<'_>, line: &str) {
        if message.is("PING") {
            let params: Vec<_> = message.params.iter().copied().take(2).collect();
            // What was read can be written.
            let _ = self.say_now("PONG", &params);
            return;
        }
        let tag = |key| match message.tags.as_str() {
            "" => None,
            _ => message.tags.get(key),
        };
        let label = tag("label").as_deref().and_then(read_label);
        let around = tag("batch");
        if message.is("BATCH") {
            return self.batch(now, message, around.as_deref(), label);
        }
        let mut answers = None;
        if let Some(name) = around {
            let most = self.options.limits.batch_bytes;
            let state = &self.state;
            match self
                .batches
                .place(&name, line, most, &state.isupport, &state.nick)
            {
                Place::Now(request) => answers = request,
                Place::Gathered(part) => {
                    self.events.extend(part);
                    return;
                }
            }
        }
        let most = self.options.limits.answer_bytes;
        let mut answered = false;
        // A NICK comes from the old one; but for InspIRCd's answer to a label,
        // which comes from the new one.
        let source = message.source.map_or("", |it| it.nick());
        let me = (message.is("NICK") && self.state.is_me(source)).then(|| self.state.nick.clone());
        if message.is("NICK")
            && label.is_some_and(|it| self.requests.is_nick(it))
            && let Some(nick) = message.param(0)
        {
            self.state.take_nick(nick);
        }
        // What it says counts before whoever asked hears of it.
        let swallowed = self.take(now, message);
        if let Some(request) = answers {
            answered = self.requests.labeled(request, Some(line), false, most);
        } else if let Some(request) = label {
            let line = (!message.is("ACK")).then_some(line);
            answered = self.requests.labeled(request, line, true, most);
        } else if !swallowed {
            answered = self.requests.unlabeled(line, message, &self.state, most);
        }
        // Whoever asked for it has it; what happened besides is for all.
        let told = answered && (message.numeric().is_some() || message.is("FAIL"));
        if swallowed || told || message.is("ACK") || message.is("PONG") {
            return;
        }
        let me = me.as_ref().unwrap_or(&self.state.nick);
        let event = Event::read(message, &self.state.isupport, me);
        self.answer_ctcp(now, &event);
        self.events.push_back(event);
    }

    fn batch(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        around: Option<&str>,
        label: Option<RequestId>,
    ) {
        let [name, params @ ..] = &message.params[..] else {
            return self.unreadable("a BATCH without its name");
        };
        if let Some(name) = name.strip_prefix('+') {
            let until = later(now, self.options.deadlines.batch);
            let most = self.options.limits.batches;
            if !self.batches.begin(name, params, around, label, until, most) {
                self.unreadable("a BATCH that cannot be");
            }
        } else if let Some(name) = name.strip_prefix('-')
            && let Some(ended) = self.batches.end(name)
        {
            self.batch_ended(ended, true);
        }
    }

    fn batch_ended(&mut self, ended: batch::Ended, complete: bool) {
        let most = self.options.limits.answer_bytes;
        let Some(request) = ended.answers else {
            if ended.is_gathered() {
                let event = ended.event(complete, &self.state.isupport, &self.state.nick);
                self.events.push_back(event);
            }
            return;
        };
        for line in &ended.lines {
            self.requests.labeled(request, Some(line), false, most);
        }
        if ended.is_answer && complete {
            self.requests.labeled(request, None, true, most);
        }
    }

    /// What a message means to the client itself; true if nobody else needs to
    /// hear of it.
    fn take(&mut self, now: Instant, message: &Message<'_>) -> bool {
        let params = &message.params[..];
        // Who has it now, before that is changed.
        let favourite_freed = (message.is("QUIT") || message.is("NICK"))
            && message.source.is_some_and(|source| {
                let mapping = self.state.isupport.case_mapping();
                mapping.eq(source.nick(), &self.favourite) && !self.state.is_me(source.nick())
            });
        let left: Vec<String> = match params {
            [channels, ..] if message.is("PART") => {
                channels.split(',').map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        match self.state.apply(message) {
            Some(Change::Entered(channel)) => self.entered(&channel),
            Some(Change::Synced(channel)) => {
                self.synced(&channel);
                let event = Event::own(Kind::Joined { channel });
                self.events.push_back(event);
            }
            Some(Change::Left) => left.iter().for_each(|channel| self.unwant(channel)),
            Some(Change::Kicked(channel)) => self.unwant(&channel),
            Some(Change::Renamed(old, new)) => {
                let mapping = self.state.isupport.case_mapping();
                for (name, _) in &mut self.wanted {
                    if mapping.eq(name, &old) {
                        *name = new.to_string();
                    }
                }
            }
            Some(Change::Key(channel, key)) => {
                let mapping = self.state.isupport.case_mapping();
                for (name, known) in &mut self.wanted {
                    // Some servers do not tell it: `*` is no key.
                    if mapping.eq(name, &channel) && key.as_deref() != Some("*") {
                        *known = key.as_deref().map(str::to_owned);
                    }
                }
            }
            None => {}
        }
        if favourite_freed && self.phase == Phase::Online {
            self.regain(now);
        }
        if let Some(numeric) = message.numeric() {
            return self.numeric(now, numeric, message);
        }
        match (message.command.to_ascii_uppercase().as_str(), params) {
            ("CAP", [_, command, list @ ..]) => {
                self.capabilities(command, list);
                true
            }
            ("AUTHENTICATE", [piece, ..]) => {
                let next = self.registration.challenge(piece);
                self.proceed(next);
                true
            }
            ("ERROR", text) => {
                let text = text.first().copied().unwrap_or_default();
                self.ended = Some(match self.phase {
                    Phase::Quitting => Ended::Quit,
                    _ => Ended::Server(text.into()),
                });
                false
            }
            ("NICK", _) => {
                if self.is_favourite() {
                    self.regain_at = None;
                    self.regaining = false;
                }
                false
            }
            _ => false,
        }
    }

    fn numeric(&mut self, now: Instant, numeric: Numeric, message: &Message<'_>) -> bool {
        let params = &message.params[..];
        let text = || Box::from(params.last().copied().unwrap_or_default());
        match (numeric, self.phase) {
            (Numeric::RPL_WELCOME, Phase::Registering) => {
                if let Some(nick) = params.first().filter(|it| !it.is_empty()) {
                    self.state.nick = (*nick).into();
                }
                self.state.server = message.source.map(|it| it.as_str().into());
                if !self.options.logins.is_empty()
                    && !self.registration.logged_in
                    && !self.options.allow_without_login
                {
                    self.fail(RegistrationError::NoSasl);
                    return false;
                }
                self.registration.finish();
                self.state.registered = true;
                self.phase = Phase::Welcome;
                self.until = Some(later(now, WELCOME));
            }
            (Numeric::RPL_ENDOFMOTD | Numeric::ERR_NOMOTD, Phase::Welcome) => self.online(now),
            (
                Numeric::ERR_ERRONEUSNICKNAME
                | Numeric::ERR_NICKNAMEINUSE
                | Numeric::ERR_NICKCOLLISION
                | Numeric::ERR_UNAVAILRESOURCE,
                Phase::Registering,
            ) => match self.registration.next_nick(&self.options) {
                Some(nick) => {
                    self.state.nick = nick.as_str().into();
                    if self.say_now("NICK", &[&nick]).is_err() {
                        self.fail(RegistrationError::Unsendable("nick"));
                    }
                }
                None => {
                    let tried = self.registration.tried.clone();
                    self.fail(RegistrationError::Nick {
                        tried,
                        text: text(),
                    });
                }
            },
            (
                Numeric::ERR_ERRONEUSNICKNAME
                | Numeric::ERR_NICKNAMEINUSE
                | Numeric::ERR_UNAVAILRESOURCE,
                Phase::Online,
            ) => {
                let ours = self.regaining && params.get(1) == Some(&&*self.favourite);
                self.regaining &= !ours;
                return ours;
            }
            (Numeric::ERR_PASSWDMISMATCH, Phase::Registering) => {
                self.fail(RegistrationError::Password(text()));
            }
            (Numeric::ERR_YOUREBANNEDCREEP, Phase::Registering) => {
                self.fail(RegistrationError::Banned(text()));
            }
            (
                Numeric::ERR_NICKLOCKED
                | Numeric::RPL_SASLSUCCESS
                | Numeric::ERR_SASLFAIL
                | Numeric::ERR_SASLTOOLONG
                | Numeric::ERR_SASLABORTED
                | Numeric::ERR_SASLALREADY
                | Numeric::RPL_SASLMECHS,
                Phase::Registering,
            ) => {
                let next = self.registration.outcome(numeric, params, &self.options);
                self.proceed(next);
            }
            (Numeric::RPL_WHOSPCRPL, _) => {
                if let [_, ASKED, user, host, nick, flags, account, realname, ..] = *params {
                    let account = if account == "0" { "" } else { account };
                    self.state
                        .seen(nick, user, host, flags, Some(account), realname);
                    return true;
                }
            }
            (Numeric::RPL_ENDOFWHO, _) => {
                let mask = params.get(1).copied().unwrap_or_default();
                let mapping = self.state.isupport.case_mapping();
                if let Some(at) = self.asking.iter().position(|it| mapping.eq(it, mask)) {
                    self.asking.swap_remove(at);
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    fn capabilities(&mut self, command: &str, list: &[&str]) {
        let most = self.options.limits.capabilities;
        let last = list.last().copied().unwrap_or_default();
        match command.to_ascii_uppercase().as_str() {
            "LS" => {
                self.registration.listed(last, most);
                // A star says that more is to come.
                if list.len() > 1 && list.first() == Some(&"*") {
                    return;
                }
                if self.secure_transport() {
                    return;
                }
                self.ask_capabilities();
            }
            "NEW" => {
                self.registration.listed(last, most);
                if !self.secure_transport() {
                    self.ask_capabilities();
                }
            }
            "DEL" => {
                self.registration.withdrawn(last);
                for name in last.split(' ') {
                    self.state.capabilities.remove(name);
                }
            }
            "ACK" => {
                for name in last.split(' ').filter(|it| !it.is_empty()) {
                    match name.strip_prefix('-') {
                        Some(name) => {
                            self.state.capabilities.remove(name);
                        }
                        None if self.state.capabilities.len() < most => {
                            self.state.capabilities.insert(name.into());
                        }
                        None => {}
                    }
                }
                let next = self.registration.answered(last, true, &self.options);
                self.proceed(next);
            }
            "NAK" => {
                let next = self.registration.answered(last, false, &self.options);
                self.proceed(next);
            }
            _ => {}
        }
    }

    fn ask_capabilities(&mut self) {
        let have = &self.state.capabilities;
        let next = self
            .registration
            .ask(&self.options, |name| have.contains(name));
        self.proceed(next);
    }

    /// Looks at the server's policy; true if the connection is to end for it.
    fn secure_transport(&mut self) -> bool {
        let Some(value) = self.registration.value("sts") else {
            return false;
        };
        let token = |name: &str| {
            let of = |it: &str| {
                it.strip_prefix(name)?
                    .strip_prefix('=')?
                    .parse::<u64>()
                    .ok()
            };
            value.split(',').find_map(of)
        };
        if self.link.is_tls {
            if let Some(seconds) = token("duration") {
                let duration = Duration::from_secs(seconds);
                self.sts = Some(StsPolicy { duration });
            }
            return false;
        }
        match token("port").and_then(|port| u16::try_from(port).ok()) {
            Some(port) if self.link.can_upgrade && port > 0 => {
                self.ended = Some(Ended::Sts(port));
                true
            }
            _ => false,
        }
    }

    fn proceed(&mut self, next: Next) {
        match next {
            Next::Send(lines) => {
                for line in lines {
                    self.urgent.extend_from_slice(line.as_bytes());
                    self.urgent.extend_from_slice(b"\r\n");
                }
            }
            Next::Wait => {}
            Next::Fail(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: RegistrationError) {
        if self.ended.is_none() {
            // Best effort: the connection ends either way.
            let _ = self.say_now("QUIT", &[]);
            self.ended = Some(Ended::Registration(error));
        }
    }

    /// Registered, and told what there is to know.
    fn online(&mut self, now: Instant) {
        self.phase = Phase::Online;
        self.until = None;
        let nick = self.state.nick.clone();
        self.events
            .push_back(Event::own(Kind::Registered { nick: nick.clone() }));
        let mark = self
            .state
            .isupport
            .get("BOT")
            .unwrap_or_default()
            .to_owned();
        if self.options.bot && mark.chars().count() == 1 {
            // It is one letter, which can stand in a line.
            let _ = self.send("MODE", &[&nick, &format!("+{mark}")]);
        }
        for line in self.rejoin() {
            let _ = self.enqueue(line);
        }
        self.plan_regain(now);
    }

    /// The channels to be in, in few lines.
    fn rejoin(&self) -> Vec<Vec<u8>> {
        let isupport = &self.state.isupport;
        let most = match isupport.get("TARGMAX") {
            Some(_) => isupport.targets("JOIN").unwrap_or(usize::MAX),
            None => 10,
        };
        // Those with keys first, so that each key stands at its channel's place.
        let mut wanted: Vec<_> = self.wanted.iter().collect();
        wanted.sort_by_key(|it| it.1.is_none());
        let mut lines = Vec::new();
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let (mut channels, mut keys, mut taken) = (String::new(), String::new(), 0);
            for (channel, key) in rest.iter().take(most.max(1)) {
                let more = channel.len() + key.as_ref().map_or(0, String::len) + 2;
                if taken > 0 && channels.len() + keys.len() + more > 400 {
                    break;
                }
                for (list, item) in [(&mut channels, Some(channel)), (&mut keys, key.as_ref())] {
                    if let Some(item) = item {
                        if !list.is_empty() {
                            list.push(',');
                        }
                        list.push_str(item);
                    }
                }
                taken += 1;
            }
            rest = &rest[taken..];
            let mut line = Vec::new();
            let mut writer = Writer::new(&mut line);
            writer.command("JOIN").param(&channels);
            if !keys.is_empty() {
                writer.param(&keys);
            }
            // A name that cannot be is left out, with those beside it.
            if writer.end().is_ok() {
                lines.push(line);
            }
        }
        lines
    }

    fn entered(&mut self, channel: &str) {
        if self.options.ask_on_join && self.phase == Phase::Online {
            let _ = self.send("MODE", &[channel]);
        }
    }

    fn synced(&mut self, channel: &str) {
        let members = self
            .state
            .channel(channel)
            .map_or(0, |it| it.members().len());
        if self.options.ask_on_join
            && self.phase == Phase::Online
            && members <= self.options.ask_members
            && self.state.isupport.get("WHOX").is_some()
            && self.asking.len() < self.options.limits.requests
            && self
                .send("WHO", &[channel, &format!("%tuhnfar,{ASKED}")])
                .is_ok()
        {
            self.asking.push(channel.into());
        }
    }

    fn is_favourite(&self) -> bool {
        self.state.is_me(&self.favourite)
    }

    fn plan_regain(&mut self, now: Instant) {
        self.regain_at = (self.options.regain && !self.is_favourite())
            .then(|| later(now, self.options.regain_every));
    }

    fn regain(&mut self, now: Instant) {
        self.plan_regain(now);
        if self.regain_at.is_some() && self.phase == Phase::Online {
            let nick = self.favourite.clone();
            self.regaining = self.send("NICK", &[&nick]).is_ok();
        }
    }

    fn want(&mut self, channel: &str, key: Option<&str>) {
        self.unwant(channel);
        if self.wanted.len() < self.options.limits.channels {
            self.wanted
                .push((channel.to_owned(), key.map(str::to_owned)));
        }
    }

    fn unwant(&mut self, channel: &str) {
        let mapping = self.state.isupport.case_mapping();
        self.wanted.retain(|it| !mapping.eq(&it.0, channel));
    }

    fn answer_ctcp(&mut self, now: Instant, event: &Event) {
        let Kind::Ctcp { command, text, .. } = &event.kind else {
            return;
        };
        let options = &self.options.ctcp;
        if event.is_own || event.nick().is_empty() || self.phase != Phase::Online {
            return;
        }
        let answer = match &**command {
            "VERSION" => options.version.clone(),
            "PING" => options.ping.then(|| text.to_string()),
            "TIME" => options.time.then(|| {
                let (start, wall) = self.clock;
                let time = wall + now.saturating_duration_since(start);
                Timestamp::from(time).to_string()
            }),
            "CLIENTINFO" => options.clientinfo.then(|| {
                let known = [
                    ("ACTION", true),
                    ("CLIENTINFO", true),
                    ("PING", options.ping),
                    ("TIME", options.time),
                    ("VERSION", options.version.is_some()),
                ];
                let known = known.iter().filter(|it| it.1).map(|it| it.0);
                known.collect::<Vec<_>>().join(" ")
            }),
            _ => None,
        };
        if let Some(text) = answer
            && self.ctcp.take(now)
        {
            let reply = Ctcp {
                command,
                text: &text,
            };
            // Too much to say is left unsaid.
            let _ = self.send("NOTICE", &[event.nick(), &reply.to_text()]);
        }
    }

    /// Says a command at once, whatever the pace.
    fn say_now(&mut self, command: &str, params: &[&str]) -> Result<(), WriteError> {
        write_line(&mut self.urgent, None, command, params)
    }

    fn enqueue(&mut self, line: Vec<u8>) -> Result<(), SendError> {
        if self.phase != Phase::Online {
            return Err(SendError::NotConnected);
        }
        if self.queued + line.len() > self.options.limits.unsent {
            return Err(SendError::Busy);
        }
        self.queued += line.len();
        self.queue.push_back(line.into());
        Ok(())
    }

    /// Sends a command when its time comes.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&mut self, command: &str, params: &[&str]) -> Result<(), SendError> {
        let mut line = Vec::new();
        write_line(&mut line, None, command, params)?;
        if command.eq_ignore_ascii_case("JOIN")
            && let [channels, keys @ ..] = params
        {
            let mut keys = keys.first().copied().unwrap_or_default().split(',');
            for channel in channels.split(',').filter(|it| *it != "0") {
                let key = keys.next().filter(|it| !it.is_empty());
                self.want(channel, key);
            }
        }
        self.enqueue(line)
    }

    /// Sends a text to a channel or somebody, in as many messages as it takes:
    /// each is as long as the server can pass it on to others, whole.
    ///
    /// # Errors
    /// [`SendError`]; nothing of it is sent then.
    pub fn say(&mut self, how: Say, target: &str, text: &str) -> Result<(), SendError> {
        let (command, before, after) = match how {
            Say::Privmsg => ("PRIVMSG", "", ""),
            Say::Notice => ("NOTICE", "", ""),
            Say::Action => ("PRIVMSG", "\u{1}ACTION ", "\u{1}"),
        };
        let room = self
            .room(command, target)
            .saturating_sub(before.len() + after.len());
        let mut lines = Vec::new();
        let mut bytes = 0;
        for piece in split::pieces(text, room.max(1)) {
            let mut line = Vec::new();
            let piece = format!("{before}{piece}{after}");
            Writer::new(&mut line)
                .command(command)
                .param(target)
                .text_param(&piece)
                .end()?;
            bytes += line.len();
            lines.push(line);
        }
        if self.phase != Phase::Online {
            return Err(SendError::NotConnected);
        }
        // All of it or nothing, unless it alone is more than may ever wait.
        if self.queued > 0 && self.queued + bytes > self.options.limits.unsent {
            return Err(SendError::Busy);
        }
        self.queued += bytes;
        self.queue
            .extend(lines.into_iter().map(Vec::into_boxed_slice));
        Ok(())
    }

    /// The bytes of a text that others can get in one message.
    fn room(&self, command: &str, target: &str) -> usize {
        let isupport = &self.state.isupport;
        let number = |name: &str| isupport.get(name).and_then(|it| it.parse().ok());
        let length = |known: &Option<Box<str>>, name: &str, default: usize| {
            known
                .as_ref()
                .map_or(number(name).unwrap_or(default), |it| it.len())
        };
        // What is not known yet is as long as it may be.
        let source = self.state.nick.len()
            + length(&self.state.user, "USERLEN", 12)
            + length(&self.state.host, "HOSTLEN", 63)
            + "!@".len();
        let line = isupport.line_length().min(LONGEST_LINE);
        let usual = split::room("", command, target) + line;
        usual.saturating_sub(crate::proto::message::LIMIT + source)
    }

    /// Asks something; [`next_answer`](Self::next_answer) has the answer.
    ///
    /// # Errors
    /// [`RequestError`]; there will be no answer then.
    pub fn request(&mut self, now: Instant, request: Request) -> Result<RequestId, RequestError> {
        if self.phase != Phase::Online {
            return Err(RequestError::NotConnected);
        }
        let id = RequestId(self.next_id);
        let labeled = ["labeled-response", "batch", "message-tags"]
            .iter()
            .all(|it| self.state.has_capability(it));
        let label = labeled.then(|| write_label(id));
        let (command, params) = request.line(id.0);
        let params: Vec<_> = params.iter().map(String::as_str).collect();
        let mut line = Vec::new();
        write_line(&mut line, label.as_deref(), command, &params)?;
        if self.queued + line.len() > self.options.limits.unsent {
            return Err(RequestError::Busy);
        }
        match &request {
            Request::Join(channel, key) => {
                let (channel, key) = (channel.clone(), key.clone());
                self.want(&channel, key.as_deref());
            }
            Request::Nick(nick) => {
                self.favourite.clone_from(nick);
                self.regain_at = None;
                self.regaining = false;
            }
            _ => {}
        }
        let until = later(now, self.options.deadlines.answer);
        // It may have to wait for its turn before it is even asked.
        let until = later(
            until,
            self.options.pace.every.saturating_mul(self.waiting_lines()),
        );
        let most = self.options.limits.requests;
        self.requests.begin(id, request, labeled, until, most)?;
        self.next_id += 1;
        self.enqueue(line)?;
        Ok(id)
    }

    fn waiting_lines(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    /// Nobody waits for an answer any more.
    pub fn forget(&mut self, request: RequestId) {
        self.requests.forget(request);
    }

    /// Says goodbye once what waits was sent, and ends when the server ends the
    /// connection, or soon after.
    pub fn quit(&mut self, now: Instant, reason: &str) {
        let line = |params: &[&str]| {
            let mut line = Vec::new();
            write_line(&mut line, None, "QUIT", params).map(|()| line)
        };
        match self.phase {
            Phase::Off => self.ended = Some(Ended::Quit),
            Phase::Quitting => {}
            phase => {
                // A reason that cannot stand in a line is none.
                let line = match reason {
                    "" => line(&[]),
                    reason => line(&[reason]).or_else(|_| line(&[])),
                }
                .unwrap_or_default();
                let rest = self.options.pace.every.saturating_mul(self.waiting_lines());
                match phase {
                    Phase::Online => {
                        self.queued += line.len();
                        self.queue.push_back(line.into());
                    }
                    _ => self.urgent.extend_from_slice(&line),
                }
                let rest = rest.min(Duration::from_secs(60));
                self.until = Some(later(later(now, self.options.deadlines.quit), rest));
                self.phase = Phase::Quitting;
                self.regain_at = None;
            }
        }
    }

    /// Whether a target is a channel, or those of a rank in one.
    pub fn is_channel(&self, target: &str) -> bool {
        is_to_channel(target, &self.state.isupport)
    }

    /// What must hold, whatever a server says.
    #[cfg(any(test, feature = "testing"))]
    pub fn check(&self) {
        let limits = &self.options.limits;
        if self.phase != Phase::Off {
            self.state.check();
        }
        let (batches, bytes) = self.batches.held();
        assert!(batches <= limits.batches && bytes <= limits.batch_bytes);
        assert!(self.wanted.len() <= limits.channels.max(self.options.channels.len()));
        let queued: usize = self.queue.iter().map(|it| it.len()).sum();
        assert_eq!(queued, self.queued);
    }

    #[cfg(test)]
    pub(super) fn batches_held(&self) -> (usize, usize) {
        self.batches.held()
    }

    /// One of the client's own events, from whoever drives it.
    pub(crate) fn tell(&mut self, kind: Kind) {
        self.events.push_back(Event::own(kind));
    }
}

/// Without what is to be sent: secrets are among it.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("nick", &self.state.nick)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// How a text is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Say {
    /// As a message.
    Privmsg,
    /// As one that no program answers.
    Notice,
    /// As something that one does (`/me`).
    Action,
}

fn write_line(
    out: &mut Vec<u8>,
    label: Option<&str>,
    command: &str,
    params: &[&str],
) -> Result<(), WriteError> {
    let mut writer = Writer::new(out);
    if let Some(label) = label {
        writer.tag("label", label);
    }
    writer.command(command);
    for param in params {
        writer.param(param);
    }
    writer.end()
}

fn write_label(id: RequestId) -> String {
    format!("r{}", id.0)
}

fn read_label(label: &str) -> Option<RequestId> {
    label.strip_prefix('r')?.parse().ok().map(RequestId)
}

/// What `WHO` on entering a channel is known by in its answers.
const ASKED: &str = "847";

/// The time after the welcome in which a message of the day begins, or is said
/// not to be.
const WELCOME: Duration = Duration::from_secs(10);

/// As long as a line is taken, whatever the server says of it.
const LONGEST_LINE: usize = 16 * 1024;

const _: () = assert!(
    tags::LIMIT + LONGEST_LINE < 64 * 1024,
    "far below what may be unread"
);
