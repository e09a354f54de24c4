//! One question, asked of several servers until one has an answer.
//!
//! An [`Exchange`] is told the time, what arrived and what failed, and says what to send next and
//! how long to wait. It holds no socket: whoever drives it sends an [`Attempt`] as the attempt says,
//! under an id of its own, and lets in only what has the right source, id and question. It follows
//! RFC 1035 section 7 and RFC 5452 (retries, forgeries), RFC 6891 (EDNS and doing without), RFC 7873
//! (cookies), RFC 7766 (truncation), and asks each server a bounded number of times (RFC 9520,
//! section 3.1).
//!
//! It does not follow aliases, cache, or judge what an answer says beyond its response code.

pub(crate) mod pending;
mod servers;
mod write;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hickory_proto::op::ResponseCode;

use super::{Edns, Header, OptionCode, Query, Rcode, RecordType, Section, walk::Walk};
pub use servers::{Selection, Servers, Ways};

/// How questions are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeOptions {
    /// The longest wait for one server before the next is asked too, in the first round; it doubles
    /// with each round. A server that is known to be fast is given less. Default 3 s.
    pub timeout: Duration,
    /// Rounds over all servers. Default 3.
    pub rounds: u32,
    /// The time for all of it. Default 12 s.
    pub deadline: Duration,
    /// Queries sent for one question at most, whatever the answers call for. Default 16.
    pub budget: usize,
    /// Whom to ask first. Default [`Selection::Fastest`].
    pub selection: Selection,
    /// Asks for recursion. Default true.
    pub recursion_desired: bool,
    /// Says with the AD bit that we understand it in answers (RFC 6840, section 5.7): a server that
    /// validates then tells what it found. Default true.
    pub authentic_data: bool,
    /// The largest datagram that we take, in bytes, as EDNS says it. Default 1232, which no network
    /// has to cut up; 0 asks without EDNS.
    pub payload: u16,
    /// Draws the case of each letter of a datagram's question, which the answer must repeat. Default
    /// true.
    pub random_case: bool,
    /// Sends and checks cookies (RFC 7873) on ways that are not encrypted. Default true.
    pub cookies: bool,
}

impl Default for ExchangeOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            rounds: 3,
            deadline: Duration::from_secs(12),
            budget: 16,
            selection: Selection::default(),
            recursion_desired: true,
            authentic_data: true,
            payload: 1232,
            random_case: true,
            cookies: true,
        }
    }
}

/// How an attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// By a datagram from a port that cannot be foreseen.
    Datagram,
    /// Over a stream, with others on it.
    Stream,
}

/// One query to be sent to one server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, by which its outcome is reported.
    pub number: usize,
    /// The server, by its place in [`Servers`].
    pub server: usize,
    /// By which way.
    pub way: Way,
    /// The message; its id is 0, and for the sender to draw.
    pub query: Vec<u8>,
}

/// What an [`Exchange`] wants.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Sends this, and asks again.
    Send(Attempt),
    /// Waits for an outcome, until then.
    Wait(Instant),
    /// It is over.
    Done(Result<Reply, Failure>),
}

/// An answer: NOERROR, NXDOMAIN or YXDOMAIN, as it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// Whose it is.
    pub server: usize,
    /// By which way it came.
    pub way: Way,
    /// The message.
    pub message: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The refusal of a server (SERVFAIL, REFUSED and the like), if one gave any: its place and its
    /// message.
    pub refusal: Option<(usize, Vec<u8>)>,
    /// Everything that was tried, in order.
    pub tried: Vec<Tried>,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// The server.
    pub server: usize,
    /// By which way.
    pub way: Way,
    /// What went wrong.
    pub trouble: Trouble,
}

/// What went wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing came in time.
    #[error("no answer")]
    NoAnswer,
    /// The other end refused, or there is no way to it.
    #[error("{0}")]
    Unreachable(String),
    /// The connection ended before the answer came.
    #[error("the connection ended: {0}")]
    Ended(String),
    /// The answer does not keep the case of the question: a server that folds it, or a forgery.
    #[error("the answer is not in the question's case")]
    WrongCase,
    /// The answer has not the cookie that it should have.
    #[error("the answer has the wrong cookie, or none")]
    WrongCookie,
    /// What came is not a DNS message, or is cut off where that cannot be.
    #[error("the answer cannot be read")]
    Malformed,
    /// The answer did not fit, and there is no other way to this server; or not even there did it fit.
    #[error("the answer is truncated")]
    Truncated,
    /// It knows nothing of this name, and does not look further.
    #[error("the server leads elsewhere, and does not look there itself")]
    Lame,
    /// The server refused, with this code.
    #[error("{0}")]
    Code(ResponseCode),
}

/// The state machine of one question.
#[derive(Debug)]
pub struct Exchange {
    query: Query,
    options: ExchangeOptions,
    order: Vec<usize>,
    /// How many places of the plan are behind us: the plan is the order, as often as there are
    /// rounds.
    place: usize,
    sent: Vec<Sent>,
    again: VecDeque<Again>,
    /// Servers that have said all they will say.
    spent: Vec<usize>,
    refusal: Option<(usize, Vec<u8>)>,
    next_at: Instant,
    deadline: Instant,
    done: Option<Reply>,
}

/// An attempt that is out.
#[derive(Debug)]
struct Sent {
    server: usize,
    way: Way,
    at: Instant,
    /// When it counts as unanswered. It is still listened for.
    until: Instant,
    is_edns: bool,
    /// How often a BADCOOKIE led to this.
    cookie_tries: u8,
    cookie: Vec<u8>,
    is_late: bool,
    outcome: Option<Trouble>,
}

/// Something to send at once.
#[derive(Debug)]
struct Again {
    server: usize,
    way: Way,
    is_edns: bool,
    cookie_tries: u8,
}

impl Exchange {
    /// A question that nothing has been done about.
    pub fn new(
        query: Query,
        options: &ExchangeOptions,
        servers: &mut Servers,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Self {
        Self {
            query,
            order: servers.order(options.selection, now, random),
            options: options.clone(),
            place: 0,
            sent: Vec::new(),
            again: VecDeque::new(),
            spent: Vec::new(),
            refusal: None,
            next_at: now,
            deadline: now + options.deadline,
            done: None,
        }
    }

    /// What to do now.
    pub fn poll(
        &mut self,
        servers: &mut Servers,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Step {
        if let Some(reply) = self.done.take() {
            return Step::Done(Ok(reply));
        }
        for sent in &mut self.sent {
            if sent.outcome.is_none() && !sent.is_late && sent.until <= now {
                sent.is_late = true;
                servers.silent(sent.server, now);
            }
        }
        if now >= self.deadline {
            return Step::Done(Err(self.failure()));
        }
        while let Some(again) = self.again.pop_front() {
            if self.sent.len() < self.options.budget {
                return Step::Send(self.send(again, servers, now, random));
            }
        }
        if now >= self.next_at
            && let Some(server) = self.next_server()
        {
            let ways = servers.ways(server);
            let again = Again {
                server,
                way: match ways.datagram {
                    true => Way::Datagram,
                    false => Way::Stream,
                },
                is_edns: true,
                cookie_tries: 0,
            };
            let attempt = self.send(again, servers, now, random);
            self.next_at = self.sent.last().map_or(now, |sent| sent.until);
            return Step::Send(attempt);
        }
        if self.is_plan_left() {
            return Step::Wait(self.next_at.min(self.deadline));
        }
        // The last ones are waited for: a datagram for its time, a stream to the end.
        let until = self.sent.iter().filter(|s| s.outcome.is_none());
        let until = until.map(|sent| match sent.way {
            Way::Datagram => sent.until,
            Way::Stream => self.deadline,
        });
        match until.max() {
            Some(until) if until > now => Step::Wait(until.min(self.deadline)),
            _ => Step::Done(Err(self.failure())),
        }
    }

    /// A message arrived for an attempt: from where it was sent, under its id, with its question.
    pub fn answered(
        &mut self,
        number: usize,
        message: Vec<u8>,
        servers: &mut Servers,
        now: Instant,
    ) {
        let Some(sent) = self.sent.get(number).filter(|s| s.outcome.is_none()) else {
            return;
        };
        let (server, way, took) = (sent.server, sent.way, now - sent.at);
        let Ok(walk) = Walk::read(&message) else {
            return self.failed(number, Trouble::Malformed, servers, now);
        };
        // What is cut off may be cut off anywhere.
        let opt = match walk.opt() {
            Ok(opt) => opt,
            Err(_) if walk.header().has(Header::TC) => None,
            Err(_) => return self.failed(number, Trouble::Malformed, servers, now),
        };
        let ways = servers.ways(server);
        let is_open = !ways.secure && self.options.cookies && sent.is_edns;
        if is_open {
            let cookie = opt.as_ref().and_then(|o| o.option(OptionCode::COOKIE));
            let is_ours = servers.check_cookie(server, &sent.cookie, cookie);
            match way {
                Way::Datagram if !is_ours => {
                    self.over(number, Trouble::WrongCookie);
                    return self.by_stream(number, ways, now);
                }
                // Nobody forges this, so we were mistaken.
                Way::Stream if !is_ours => servers.forget_cookie(server),
                _ => {}
            }
        }
        servers.answered(server, took);
        if walk.header().has(Header::TC) {
            self.over(number, Trouble::Truncated);
            return match way {
                Way::Datagram => self.by_stream(number, ways, now),
                Way::Stream => self.give_up(number, now),
            };
        }
        let code = response_code(&walk, opt.as_deref());
        match code {
            ResponseCode::NoError if is_lame(&walk, self.options.recursion_desired) => {
                self.over(number, Trouble::Lame);
                self.give_up(number, now);
            }
            ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain => {
                self.done = Some(Reply {
                    server,
                    way,
                    message,
                });
            }
            ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS
                if sent.is_edns && (opt.is_none() || code == ResponseCode::BADVERS) =>
            {
                // It does not know EDNS (RFC 6891, section 7), or not this one.
                servers.learn_plain(server, now);
                let again = Again {
                    server,
                    way,
                    is_edns: false,
                    cookie_tries: sent.cookie_tries,
                };
                self.over(number, Trouble::Code(code));
                self.again.push_back(again);
            }
            ResponseCode::BADCOOKIE if is_open && sent.cookie_tries < 2 => {
                // The cookie that came with it is a good one (RFC 7873, section 5.3); if that does
                // not do either, a stream needs none.
                let again = Again {
                    server,
                    way: match sent.cookie_tries {
                        0 => way,
                        _ => Way::Stream,
                    },
                    is_edns: true,
                    cookie_tries: sent.cookie_tries + 1,
                };
                self.over(number, Trouble::Code(code));
                self.again.push_back(again);
            }
            _ => {
                self.over(number, Trouble::Code(code));
                let is_telling = |message: &[u8]| {
                    // SERVFAIL says more of the name than that a server refuses us.
                    Walk::read(message).is_ok_and(|w| w.header().rcode() == Rcode::SERVFAIL)
                };
                if self.refusal.as_ref().is_none_or(|(_, m)| !is_telling(m)) {
                    self.refusal = Some((server, message));
                }
                self.give_up(number, now);
            }
        }
    }

    /// An attempt came to nothing.
    pub fn failed(&mut self, number: usize, trouble: Trouble, servers: &mut Servers, now: Instant) {
        let Some(sent) = self.sent.get(number).filter(|s| s.outcome.is_none()) else {
            return;
        };
        let (server, way, is_late) = (sent.server, sent.way, sent.is_late);
        self.over(number, trouble.clone());
        match trouble {
            Trouble::WrongCase => {
                servers.learn_folds_case(server, now);
                self.by_stream(number, servers.ways(server), now);
            }
            Trouble::Unreachable(_) => {
                if !is_late {
                    servers.silent(server, now);
                }
                self.give_up(number, now);
            }
            // Another try may do better, in the next round.
            _ if way == Way::Stream && trouble == Trouble::NoAnswer && !is_late => {
                servers.silent(server, now);
                self.next_at = now;
            }
            _ => self.next_at = now,
        }
    }

    /// So many queries were sent.
    pub fn queries(&self) -> usize {
        self.sent.len()
    }

    fn over(&mut self, number: usize, trouble: Trouble) {
        self.sent[number].outcome = Some(trouble);
    }

    /// Asks the server of this attempt again, where nobody cuts off or forges.
    fn by_stream(&mut self, number: usize, ways: Ways, now: Instant) {
        if !ways.stream {
            return self.give_up(number, now);
        }
        let sent = &self.sent[number];
        self.again.push_back(Again {
            server: sent.server,
            way: Way::Stream,
            is_edns: sent.is_edns,
            cookie_tries: sent.cookie_tries,
        });
    }

    /// Expects nothing more of the server of this attempt, and asks the next one now.
    fn give_up(&mut self, number: usize, now: Instant) {
        let server = self.sent[number].server;
        if !self.spent.contains(&server) {
            self.spent.push(server);
        }
        self.next_at = now;
    }

    fn is_plan_left(&self) -> bool {
        let all = self.order.len() * self.options.rounds.max(1) as usize;
        self.sent.len() < self.options.budget
            && (self.place..all).any(|p| !self.spent.contains(&self.order[p % self.order.len()]))
    }

    fn next_server(&mut self) -> Option<usize> {
        while self.is_plan_left() {
            let server = self.order[self.place % self.order.len()];
            self.place += 1;
            if !self.spent.contains(&server) {
                return Some(server);
            }
        }
        None
    }

    fn send(
        &mut self,
        again: Again,
        servers: &mut Servers,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Attempt {
        let Again {
            server,
            way,
            is_edns,
            cookie_tries,
        } = again;
        let ways = servers.ways(server);
        let is_edns = is_edns && self.options.payload > 0 && servers.speaks_edns(server, now);
        let cookie = match is_edns && self.options.cookies && !ways.secure {
            true => servers.cookie(server, now, random).to_vec(),
            false => Vec::new(),
        };
        let style = write::Style {
            recursion_desired: self.options.recursion_desired,
            authentic_data: self.options.authentic_data,
            edns: is_edns.then_some(write::Edns {
                payload: self.options.payload,
                cookie: &cookie,
                padded: ways.secure,
            }),
        };
        let mut query = write::write(&self.query, &style);
        if way == Way::Datagram && self.options.random_case && servers.keeps_case(server, now) {
            write::shuffle_case(&mut query, self.query.wire_name().len(), random);
        }
        let round = self.place.saturating_sub(1) / self.order.len().max(1);
        let times = 2_u32.saturating_pow(u32::try_from(round).unwrap_or(8).min(8));
        let wait = servers.wait(server, &self.options).saturating_mul(times);
        let number = self.sent.len();
        self.sent.push(Sent {
            server,
            way,
            at: now,
            until: now + wait,
            is_edns,
            cookie_tries,
            cookie,
            is_late: false,
            outcome: None,
        });
        // Who is asked again at once is not to be overtaken by the next one.
        self.next_at = self.next_at.max(now + wait);
        Attempt {
            number,
            server,
            way,
            query,
        }
    }

    fn failure(&mut self) -> Failure {
        let tried = |sent: &Sent| Tried {
            server: sent.server,
            way: sent.way,
            trouble: sent.outcome.clone().unwrap_or(Trouble::NoAnswer),
        };
        Failure {
            refusal: self.refusal.take(),
            tried: self.sent.iter().map(tried).collect(),
        }
    }
}

/// All twelve bits of it.
pub(crate) fn response_code(walk: &Walk<'_>, edns: Option<&Edns<'_>>) -> ResponseCode {
    let high = edns.map_or(0, |edns| u16::from(edns.extended_rcode));
    // BADVERS and BADSIG share a number; over OPT it is the former.
    match high << 4 | walk.header().rcode().0 {
        16 => ResponseCode::BADVERS,
        code => code.into(),
    }
}

/// Whether a server only knows who would know more. A resolver that was asked to look there does.
fn is_lame(walk: &Walk<'_>, recursion_desired: bool) -> bool {
    let header = walk.header();
    let says_what_it_knows = header.counts[1] > 0 || header.flags & (Header::RA | Header::AA) != 0;
    if !recursion_desired || says_what_it_knows {
        return false;
    }
    let mut leads = false;
    for record in walk.records().flatten() {
        match (record.section, record.record_type) {
            (Section::Authority, RecordType::SOA) => return false,
            (Section::Authority, RecordType::NS) => leads = true,
            _ => {}
        }
    }
    leads
}

#[cfg(test)]
mod tests;
