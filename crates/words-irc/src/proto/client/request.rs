//! Requests that await their answers.
//!
//! With `labeled-response` the server says what answers what. Without it,
//! answers are known by what they are: each kind of request has numerics of
//! its own, and ends with one of them; requests of one kind are answered in
//! their order.

use std::time::Instant;

use super::state::State;
use crate::proto::{
    chathistory,
    isupport::Isupport,
    message::{Message, Source},
    numeric::Numeric,
};

/// A question to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Who somebody is.
    Whois(String),
    /// Who is in a channel.
    Names(String),
    /// Which channels there are, of those that a mask or another condition
    /// holds for (`ELIST`), or all.
    List(Option<String>),
    /// Who is there, by a mask or a channel.
    Who(String),
    /// The masks of a list of a channel: `b` for bans.
    ModeList(String, char),
    /// To be in a channel, with its key.
    Join(String, Option<String>),
    /// To have another nick.
    Nick(String),
    /// Whether the server is there.
    Ping,
    /// What was said; only with labels.
    History(chathistory::Request),
    /// Any other; only with labels.
    Command(String, Vec<String>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refused it.
    #[error("refused: {text} ({code})")]
    Refused {
        /// The numeric's digits, or the code of a `FAIL`.
        code: Box<str>,
        /// In the server's words.
        text: Box<str>,
    },
    /// There is no connection, or it was lost before the answer came.
    #[error("not connected")]
    NotConnected,
    /// No answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is longer than it may be ([`Limits`](super::Limits)).
    #[error("the answer is too long")]
    TooLong,
    /// Too many requests wait already, or too many lines.
    #[error("too much is waiting to be sent")]
    Busy,
    /// The server cannot answer so that one knows what was answered.
    #[error("the server has no labeled-response, and nothing else tells that answer apart")]
    NoLabels,
    /// It cannot stand in a line; the program is at fault.
    #[error(transparent)]
    Unsendable(#[from] crate::proto::message::WriteError),
}

impl RequestError {
    /// Whether there is nobody of that name.
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if matches!(&**code, "401" | "402" | "406"))
    }
}

/// The lines of an answer, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    lines: Vec<Box<str>>,
}

impl Answer {
    /// One after the other.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.lines
            .iter()
            .filter_map(|line| Message::parse(line).ok())
    }

    /// The first line that says that something was refused.
    pub fn refusal(&self) -> Option<RequestError> {
        self.messages().find_map(|message| refusal(&message))
    }

    /// The replies of one number.
    fn of(&self, numeric: Numeric) -> impl Iterator<Item = Message<'_>> {
        self.messages()
            .filter(move |it| it.numeric() == Some(numeric))
    }
}

/// What a line says against it.
fn refusal(message: &Message<'_>) -> Option<RequestError> {
    let text = message.params.last().copied().unwrap_or_default().into();
    if message.is("FAIL") {
        let code = message.param(1).unwrap_or_default().into();
        return Some(RequestError::Refused { code, text });
    }
    let numeric = message.numeric().filter(|it| it.is_error())?;
    let code = numeric.to_string().into();
    Some(RequestError::Refused { code, text })
}

impl Request {
    /// The command and its parameters.
    pub(super) fn line(&self, token: u64) -> (&str, Vec<String>) {
        let own = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        match self {
            Self::Whois(nick) => ("WHOIS", own(&[nick])),
            Self::Names(channel) => ("NAMES", own(&[channel])),
            Self::List(filter) => ("LIST", filter.iter().cloned().collect()),
            Self::Who(mask) => ("WHO", own(&[mask])),
            Self::ModeList(channel, letter) => {
                ("MODE", vec![channel.clone(), format!("+{letter}")])
            }
            Self::Join(channel, key) => {
                let mut params = vec![channel.clone()];
                params.extend(key.clone());
                ("JOIN", params)
            }
            Self::Nick(nick) => ("NICK", own(&[nick])),
            Self::Ping => ("PING", vec![format!("ask-{token}")]),
            Self::History(request) => ("CHATHISTORY", request.params()),
            Self::Command(command, params) => (command, params.clone()),
        }
    }

    /// Whether it can only be answered with labels.
    fn needs_labels(&self) -> bool {
        matches!(self, Self::History(_) | Self::Command(..))
    }

    /// What a line is to it, where nothing but the line tells.
    fn takes(&self, message: &Message<'_>, token: u64, state: &State) -> Takes {
        let isupport = state.isupport();
        let same = |n: usize, name: &str| {
            let found = message.param(n);
            found.is_some_and(|it| isupport.case_mapping().eq(it, name))
        };
        let Some(numeric) = message.numeric() else {
            let of = |nick: Option<Source<'_>>| nick.is_some_and(|it| state.is_me(it.nick()));
            return match self {
                Self::Join(channel, _)
                    if message.is("JOIN") && of(message.source) && same(0, channel) =>
                {
                    Takes::Last
                }
                // It has it already, by then.
                Self::Nick(nick) if message.is("NICK") && same(0, nick) && state.is_me(nick) => {
                    Takes::Last
                }
                Self::Ping if message.is("PONG") => {
                    let token = format!("ask-{token}");
                    match message.params.last() == Some(&&*token) {
                        true => Takes::Last,
                        false => Takes::Not,
                    }
                }
                _ if message.is("FAIL") && message.param(0) == Some(self.line(token).0) => {
                    Takes::Last
                }
                _ => Takes::Not,
            };
        };
        let busy = numeric == Numeric::RPL_TRYAGAIN || matches!(numeric.code(), 416 | 461);
        if busy
            && message
                .param(1)
                .is_some_and(|it| it.eq_ignore_ascii_case(self.line(token).0))
        {
            return Takes::Last;
        }
        let take = |all: &[u16], last: &[u16]| match numeric.code() {
            code if last.contains(&code) => Takes::Last,
            code if all.contains(&code) => Takes::More,
            _ => Takes::Not,
        };
        match self {
            Self::Whois(nick) if same(1, nick) => take(
                &[
                    276, 301, 307, 310, 311, 312, 313, 317, 319, 320, 330, 335, 338, 378, 379, 401,
                    671,
                ],
                &[318, 402, 431],
            ),
            Self::Names(channel) if same(2, channel) => take(&[353], &[]),
            Self::Names(channel) if same(1, channel) => take(&[], &[366, 401, 403]),
            Self::List(_) => take(&[321, 322], &[323]),
            Self::Who(mask) if same(1, mask) => take(&[352, 354], &[315, 401, 402, 403]),
            Self::Who(_) => take(&[352, 354], &[]),
            Self::ModeList(channel, letter) if same(1, channel) => {
                let errors: &[u16] = &[401, 403, 442, 472, 482];
                let (item, end) = list_numerics(*letter);
                match take(&[item], &[end]) {
                    Takes::Not => take(&[], errors),
                    takes => takes,
                }
            }
            Self::ModeList(..) if numeric == Numeric::ERR_UNKNOWNMODE => Takes::Last,
            Self::Join(channel, _) if same(1, channel) => take(
                &[],
                &[
                    403, 405, 407, 437, 470, 471, 473, 474, 475, 476, 477, 479, 480, 485, 489, 520,
                ],
            ),
            Self::Nick(nick) if same(1, nick) => take(&[], &[432, 433, 436, 437, 438, 447, 484]),
            Self::Nick(_) if numeric == Numeric::ERR_NONICKNAMEGIVEN => Takes::Last,
            _ => Takes::Not,
        }
    }
}

/// The numerics of a list's items and of its end.
fn list_numerics(letter: char) -> (u16, u16) {
    match letter {
        'e' => (348, 349),
        'I' => (346, 347),
        // Solanum and InspIRCd have theirs for quiets.
        'q' => (728, 729),
        _ => (367, 368),
    }
}

#[derive(PartialEq, Eq)]
enum Takes {
    Not,
    More,
    Last,
}

/// Names a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: Vec<Waiting>,
    answered: Vec<(RequestId, Result<Answer, RequestError>)>,
}

#[derive(Debug)]
struct Waiting {
    id: RequestId,
    request: Request,
    labeled: bool,
    answer: Answer,
    bytes: usize,
    until: Instant,
}

impl Requests {
    pub(super) fn begin(
        &mut self,
        id: RequestId,
        request: Request,
        labeled: bool,
        until: Instant,
        most: usize,
    ) -> Result<(), RequestError> {
        if !labeled && request.needs_labels() {
            return Err(RequestError::NoLabels);
        }
        if self.waiting.len() >= most {
            return Err(RequestError::Busy);
        }
        self.waiting.push(Waiting {
            id,
            request,
            labeled,
            answer: Answer::default(),
            bytes: 0,
            until,
        });
        Ok(())
    }

    /// Whether a request asks for another nick.
    pub(super) fn is_nick(&self, id: RequestId) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|it| it.id == id && matches!(it.request, Request::Nick(_)))
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, id: RequestId) {
        self.waiting.retain(|it| it.id != id);
    }

    fn finish(&mut self, at: usize, result: Result<(), RequestError>) {
        let waiting = self.waiting.remove(at);
        let answer = result.map(|()| waiting.answer);
        self.answered.push((waiting.id, answer));
    }

    /// Takes a line that has no label; true if it belongs to an answer.
    pub(super) fn unlabeled(
        &mut self,
        line: &str,
        message: &Message<'_>,
        state: &State,
        most: usize,
    ) -> bool {
        let takes = |it: &Waiting| match it.labeled {
            true => Takes::Not,
            false => it.request.takes(message, it.id.0, state),
        };
        let mut waiting = self.waiting.iter().map(takes).enumerate();
        let Some((at, takes)) = waiting.find(|it| it.1 != Takes::Not) else {
            return false;
        };
        if self.add(at, line, most) && takes == Takes::Last {
            self.finish(at, Ok(()));
        }
        true
    }

    /// Takes a line of the answer to a label; true if there is such a request.
    pub(super) fn labeled(
        &mut self,
        id: RequestId,
        line: Option<&str>,
        last: bool,
        most: usize,
    ) -> bool {
        let Some(at) = self.waiting.iter().position(|it| it.id == id) else {
            return false;
        };
        let fits = line.is_none_or(|line| self.add(at, line, most));
        if last && fits {
            self.finish(at, Ok(()));
        }
        true
    }

    fn add(&mut self, at: usize, line: &str, most: usize) -> bool {
        let Some(waiting) = self.waiting.get_mut(at) else {
            return false;
        };
        waiting.bytes += line.len() + size_of::<Box<str>>();
        if waiting.bytes > most {
            self.finish(at, Err(RequestError::TooLong));
            return false;
        }
        waiting.answer.lines.push(line.into());
        true
    }

    /// Those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(at) = self.waiting.iter().position(|it| it.until <= now) {
            self.finish(at, Err(RequestError::TimedOut));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|it| it.until).min()
    }

    /// The connection is over.
    pub(super) fn fail_all(&mut self) {
        while !self.waiting.is_empty() {
            self.finish(0, Err(RequestError::NotConnected));
        }
    }

    pub(super) fn next_answer(&mut self) -> Option<(RequestId, Result<Answer, RequestError>)> {
        (!self.answered.is_empty()).then(|| self.answered.remove(0))
    }
}

/// What `WHOIS` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Whois {
    /// The nick.
    pub nick: Box<str>,
    /// The user name.
    pub user: Box<str>,
    /// The host.
    pub host: Box<str>,
    /// The real name.
    pub realname: Box<str>,
    /// The server, where it is told.
    pub server: Option<Box<str>>,
    /// The channels, with the signs of ranks in front.
    pub channels: Vec<Box<str>>,
    /// The account.
    pub account: Option<Box<str>>,
    /// What they said when they went away.
    pub away: Option<Box<str>>,
    /// The seconds since they last said something.
    pub idle: Option<u64>,
    /// When they connected, in seconds since 1970.
    pub signed_on: Option<u64>,
    /// Whether they are an operator.
    pub is_operator: bool,
    /// Whether their connection is secure.
    pub is_secure: bool,
    /// Whether they call themselves a bot.
    pub is_bot: bool,
}

impl Whois {
    /// Of an answer; `None` if there is nobody of that nick.
    pub fn read(answer: &Answer) -> Option<Self> {
        let mut whois = None;
        for message in answer.messages() {
            let Some(numeric) = message.numeric() else {
                continue;
            };
            if let (Numeric::RPL_WHOISUSER, [_, nick, user, host, .., realname]) =
                (numeric, &message.params[..])
            {
                let found = whois.get_or_insert_with(Self::default);
                (found.nick, found.user) = ((*nick).into(), (*user).into());
                (found.host, found.realname) = ((*host).into(), (*realname).into());
            }
        }
        let mut whois = whois?;
        for message in answer.messages() {
            let params = &message.params[..];
            match (message.numeric().unwrap_or(Numeric::new(0)), params) {
                (Numeric::RPL_WHOISSERVER, [_, _, server, ..]) => {
                    whois.server = Some((*server).into());
                }
                (Numeric::RPL_WHOISCHANNELS, [_, _, channels, ..]) => {
                    let names = channels.split(' ').filter(|it| !it.is_empty());
                    whois.channels.extend(names.map(Box::from));
                }
                (Numeric::RPL_WHOISACCOUNT, [_, _, account, ..]) => {
                    whois.account = Some((*account).into());
                }
                (Numeric::RPL_AWAY, [_, _, text, ..]) => whois.away = Some((*text).into()),
                (Numeric::RPL_WHOISIDLE, [_, _, idle, more @ ..]) => {
                    whois.idle = idle.parse().ok();
                    whois.signed_on = more.first().and_then(|it| it.parse().ok());
                }
                (Numeric::RPL_WHOISOPERATOR, _) => whois.is_operator = true,
                (Numeric::RPL_WHOISSECURE, _) => whois.is_secure = true,
                (Numeric::RPL_WHOISBOT, _) => whois.is_bot = true,
                _ => {}
            }
        }
        Some(whois)
    }
}

/// Somebody in the answer to `NAMES`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The nick.
    pub nick: Box<str>,
    /// The modes of rank, the highest first.
    pub ranks: String,
    /// `user@host`, with `userhost-in-names`.
    pub address: Option<Box<str>>,
}

impl Named {
    /// Of an answer.
    pub fn read(answer: &Answer, isupport: &Isupport) -> Vec<Self> {
        let mut all = Vec::new();
        for message in answer.of(Numeric::RPL_NAMREPLY) {
            for name in message.param(3).unwrap_or_default().split(' ') {
                let (name, ranks) = isupport.member(name);
                let (nick, address) = match name.split_once('!') {
                    Some((nick, address)) => (nick, Some(address.into())),
                    None => (name, None),
                };
                if !nick.is_empty() {
                    all.push(Self {
                        nick: nick.into(),
                        ranks: ranks.into_iter().collect(),
                        address,
                    });
                }
            }
        }
        all
    }
}

/// A channel in the answer to `LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub channel: Box<str>,
    /// How many are in it.
    pub members: usize,
    /// What it is about.
    pub topic: Box<str>,
}

impl Listed {
    /// Of an answer.
    pub fn read(answer: &Answer) -> Vec<Self> {
        let of = |message: Message<'_>| match message.params[..] {
            [_, channel, members, ..] => Some(Self {
                channel: channel.into(),
                members: members.parse().unwrap_or(0),
                topic: message.param(3).unwrap_or_default().into(),
            }),
            _ => None,
        };
        answer.of(Numeric::RPL_LIST).filter_map(of).collect()
    }
}

/// Somebody in the answer to `WHO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The nick.
    pub nick: Box<str>,
    /// The user name.
    pub user: Box<str>,
    /// The host.
    pub host: Box<str>,
    /// The server, where it is told.
    pub server: Box<str>,
    /// A channel that they are in, or `*`.
    pub channel: Box<str>,
    /// `H` or `G` for here or away, `*` for an operator, `B` for a bot, and the
    /// signs of ranks.
    pub flags: Box<str>,
    /// The real name.
    pub realname: Box<str>,
}

impl Found {
    /// Of an answer.
    pub fn read(answer: &Answer) -> Vec<Self> {
        let of = |message: Message<'_>| match message.params[..] {
            [_, channel, user, host, server, nick, flags, last] => Some(Self {
                nick: nick.into(),
                user: user.into(),
                host: host.into(),
                server: server.into(),
                channel: channel.into(),
                flags: flags.into(),
                realname: last.split_once(' ').map_or("", |it| it.1).into(),
            }),
            _ => None,
        };
        answer.of(Numeric::RPL_WHOREPLY).filter_map(of).collect()
    }
}

/// A mask in a list of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The mask.
    pub mask: Box<str>,
    /// Who set it, where it is told.
    pub by: Option<Box<str>>,
    /// When, in seconds since 1970.
    pub at: Option<u64>,
}

impl Listing {
    /// Of an answer about a list.
    pub fn read(answer: &Answer, letter: char) -> Vec<Self> {
        let item = Numeric::new(list_numerics(letter).0);
        // Some name the mode before the mask.
        let skip = if letter == 'q' { 3 } else { 2 };
        let of = |message: Message<'_>| {
            Some(Self {
                mask: message.param(skip)?.into(),
                by: message.param(skip + 1).map(Into::into),
                at: message.param(skip + 2).and_then(|it| it.parse().ok()),
            })
        };
        answer.of(item).filter_map(of).collect()
    }
}
