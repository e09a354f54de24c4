//! A fake name server for somebody's tests: records, failures and delays as the test says, over
//! `mem:` and `sim:` in virtual time.
//!
//! ```
//! use std::time::Duration;
//! use ropewalk_core::Schemes;
//! use ropewalk_names_dns::testing::{FakeDns, Fault};
//!
//! # ropewalk_core::testing::run(async {
//! let dns = FakeDns::new();
//! dns.add("mail.test. 300 MX 10 mx.mail.test.\n\
//!          mx.mail.test. 300 A 192.0.2.25")?;
//! dns.fault("mail.test.", Fault::Silence, 1);
//!
//! let schemes = Schemes::new();
//! let _server = dns.serve(&schemes, "mem:dns").await?;
//! let resolver = dns.resolver(&schemes, "mem:dns")?;
//! assert_eq!(resolver.mx("mail.test.").await?[0].preference, 10);
//! assert_eq!(dns.questions().len(), 2, "it was asked again");
//! # Ok::<(), ropewalk_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! It answers as a resolver does, for any name: with the records that it was given, along aliases,
//! and else that there is nothing. It is no authority: no delegations, no DNSSEC.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{SOA, opt::EdnsOption},
    },
    serialize::binary::{BinDecodable, BinEncodable},
};
use ropewalk_core::{DatagramOptions, DatagramServer, Schemes, Server, ServerEndpoint};

use crate::{
    answering::{
        AnswerDatagrams, Answers, Asked, LateDatagram, StreamLimits, Taken, answer_streams,
    },
    client::{ExtendedError, Resolver, ResolverOptions, Upstream, UpstreamError},
    proto::{
        Class, NameRef, OptionCode,
        aliases::{End, follow},
        rdata,
    },
    zone::{ReadErrors, Zone},
};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// No answer.
    Silence,
    /// A code in the place of an answer.
    Code(ResponseCode),
    /// A code, and why (RFC 8914).
    Extended(ResponseCode, ExtendedError),
    /// The answer, so much later.
    Delay(Duration),
    /// Over datagrams the answer is cut off. Over streams it is whole.
    Truncated,
    /// Cut off over streams too, where that makes no sense.
    TruncatedAlways,
    /// The answer to another question.
    WrongQuestion,
    /// The answer with another id; the right one never comes.
    WrongId,
    /// The answer with the question in lower case, as servers do that do not keep it.
    FoldedCase,
    /// Bytes that are no message.
    Garbage,
}

/// A question that came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// The name, in the case in which it came.
    pub name: Name,
    /// The type.
    pub record_type: RecordType,
    /// Over a stream.
    pub by_stream: bool,
    /// It has an OPT record.
    pub edns: bool,
    /// The id.
    pub id: u16,
    /// From whom, as text.
    pub from: String,
    /// Which of the places where this [`FakeDns`] is served it came to: the endpoint given to
    /// [`serve`](FakeDns::serve), or nothing for [`answers`](FakeDns::answers).
    pub server: Arc<str>,
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text:?} is no record: {why}; expected NAME [TTL] [IN] TYPE DATA")]
#[non_exhaustive]
pub struct NoRecord {
    /// The line's number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// A fake name server. Clones are the same one.
#[derive(Clone, Default)]
pub struct FakeDns(Arc<Mutex<State>>);

/// A fake name server in one of the places where it is served.
pub struct Fake {
    state: Arc<Mutex<State>>,
    server: Arc<str>,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    /// By name, in order.
    faults: BTreeMap<Name, Vec<Repeated>>,
    questions: Vec<Recorded>,
}

/// A fault, and how often it is yet to be.
struct Repeated {
    fault: Fault,
    times: usize,
    /// How often it was, by server: what one server's clients ask is not counted against those of
    /// another.
    done: BTreeMap<Arc<str>, usize>,
}

/// A fake server that listens; dropped, it ends.
#[must_use = "a server that is dropped stops at once"]
#[derive(Debug)]
pub struct FakeServer {
    /// Where datagrams are answered.
    pub datagrams: DatagramServer<LateDatagram>,
    /// Where streams are.
    pub streams: Server,
}

impl FakeServer {
    /// Ends it in good order: for tests that look for what is left behind.
    pub async fn end(self) {
        let grace = Duration::from_secs(1);
        self.datagrams.drain(grace).await;
        self.streams.drain(Duration::ZERO, grace).await;
    }
}

impl FakeDns {
    /// One that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds records, one a line: `NAME [TTL] [IN] TYPE DATA`, names in full, TTLs in seconds (300
    /// where there is none). Empty lines and what is behind `;` do not count.
    ///
    /// # Errors
    /// [`NoRecord`] names the line; those before it are in.
    pub fn add(&self, lines: &str) -> Result<(), NoRecord> {
        for (number, text) in lines.lines().enumerate() {
            let line = text.split(';').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let record = read(line).map_err(|why| NoRecord {
                line: number + 1,
                text: text.to_owned(),
                why,
            })?;
            self.record(record);
        }
        Ok(())
    }

    /// Adds the records of a zone, as a zone file has them.
    ///
    /// # Errors
    /// [`ReadErrors`] says where what is wrong.
    ///
    /// # Panics
    /// If the origin is no name.
    pub fn add_zone(&self, origin: &str, text: &str) -> Result<(), ReadErrors> {
        let origin = whole(origin).to_bytes().unwrap_or_default();
        let origin = NameRef::from_wire(&origin).expect("one library's names are another's");
        let zone = Zone::from_text(origin.to_name(), text)?;
        for record in zone.records() {
            let name = Name::from_bytes(record.set.node().name().as_wire());
            let data = rdata::to_hickory(record.set.record_type(), record.rdata);
            if let (Ok(name), Ok(data)) = (name, data) {
                self.record(Record::from_rdata(name, record.set.ttl(), data));
            }
        }
        Ok(())
    }

    /// Adds a record.
    pub fn record(&self, mut record: Record) {
        record.name.set_fqdn(true);
        self.lock().records.push(record);
    }

    /// Takes all records of a name away.
    ///
    /// # Panics
    /// If it is no name.
    pub fn remove(&self, name: &str) {
        let name = whole(name);
        self.lock().records.retain(|record| record.name != name);
    }

    /// Has the next so many questions about a name go wrong, after what was said of it before;
    /// `usize::MAX` is all of them. The name `.` stands for every name.
    ///
    /// Each place where this is served counts for itself, so that of two servers both fail so often,
    /// whichever is asked first. Whoever asks one server shares its count with all who ask that.
    ///
    /// # Panics
    /// If it is no name.
    pub fn fault(&self, name: &str, fault: Fault, times: usize) {
        let mut state = self.lock();
        state.faults.entry(whole(name)).or_default().push(Repeated {
            fault,
            times,
            done: BTreeMap::new(),
        });
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// The questions that came, in order.
    pub fn questions(&self) -> Vec<Recorded> {
        self.lock().questions.clone()
    }

    /// The questions that came since this was called last.
    pub fn take_questions(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.lock().questions)
    }

    /// Serves datagrams and streams on one endpoint: `mem:NAME`, or `sim:PORT` on a host's schemes.
    ///
    /// # Errors
    /// What stands in the way of listening.
    pub async fn serve(
        &self,
        schemes: &Schemes,
        endpoint: &str,
    ) -> ropewalk_core::Result<FakeServer> {
        let answers = Arc::new(Fake {
            state: self.0.clone(),
            server: endpoint.into(),
        });
        let endpoint: ServerEndpoint = endpoint.parse()?;
        let options = DatagramOptions::from(schemes.clone());
        let datagrams = AnswerDatagrams::new(answers.clone());
        let datagrams = endpoint.listen_datagrams_with(datagrams, options).await?;
        let streams = answer_streams(answers, StreamLimits::default());
        let streams = endpoint.listen_with(streams, schemes.clone()).await?;
        Ok(FakeServer { datagrams, streams })
    }

    /// What answers, for sockets of the test's own: [`AnswerDatagrams::new`] and
    /// [`answer_streams`].
    pub fn answers(&self) -> Arc<Fake> {
        Arc::new(Fake {
            state: self.0.clone(),
            server: "".into(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// A resolver that asks the server at this endpoint, with the default options.
    ///
    /// # Errors
    /// If the endpoint names no server.
    pub fn resolver(&self, schemes: &Schemes, endpoint: &str) -> Result<Resolver, UpstreamError> {
        let upstream: Upstream = endpoint.parse()?;
        Ok(Resolver::with(
            [upstream],
            ResolverOptions::from(schemes.clone()),
        ))
    }
}

impl fmt::Debug for FakeDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("FakeDns")
            .field("records", &state.records.len())
            .field("questions", &state.questions.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// What goes wrong with this question.
    fn fault(&mut self, name: &Name, server: &Arc<str>) -> Option<Fault> {
        let next = |faults: &mut Vec<Repeated>| {
            let done = |r: &Repeated| r.done.get(server).copied().unwrap_or_default();
            let next = faults.iter_mut().find(|r| done(r) < r.times)?;
            *next.done.entry(server.clone()).or_default() += 1;
            Some(next.fault.clone())
        };
        let of_name = self.faults.get_mut(name).and_then(next);
        of_name.or_else(|| self.faults.get_mut(&Name::root()).and_then(next))
    }

    fn answer(&self, request: &Message) -> Message {
        let mut answer = request.clone();
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.recursion_available = true;
        answer.metadata.authentic_data = false;
        answer.additionals.clear();
        answer.edns = request.edns.as_ref().map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(1232);
            edns
        });
        let Some(query) = request.queries.first() else {
            answer.metadata.response_code = ResponseCode::FormErr;
            return answer;
        };
        let mut aliases = Vec::new();
        let found = follow(
            &self.records,
            query.name(),
            query.query_type(),
            &mut aliases,
            32,
        );
        let mut owner = query.name().clone();
        for target in &aliases {
            let link = self
                .records
                .iter()
                .filter(|record| record.name == owner && matches!(record.data, RData::CNAME(_)));
            answer.add_answers(link.take(1).cloned());
            owner = target.clone();
        }
        match found {
            End::Records(records) => {
                answer.add_answers(records);
            }
            End::Nowhere => answer.metadata.response_code = ResponseCode::ServFail,
            End::Name(end) => {
                let is_there = self.records.iter().any(|record| end.zone_of(&record.name));
                if !is_there {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                let soa = self.records.iter().find(|record| {
                    record.record_type() == RecordType::SOA && record.name.zone_of(&end)
                });
                answer.add_authority(soa.cloned().unwrap_or_else(root_soa));
            }
        }
        answer
    }
}

/// So that denials can be kept, where the test gave no SOA.
fn root_soa() -> Record {
    let soa = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86_400, 60);
    Record::from_rdata(Name::root(), 60, RData::SOA(soa))
}

impl Answers for Fake {
    fn take(&self, bytes: &[u8], asked: &Asked<'_>, out: &mut Vec<u8>) -> Taken {
        let Ok(request) = Message::from_vec(bytes) else {
            return Taken::Nothing;
        };
        let mut state = lock(&self.state);
        let query = request.queries.first();
        let name = query.map(|query| query.name().clone()).unwrap_or_default();
        if let Some(query) = query {
            state.questions.push(Recorded {
                name: query.name().clone(),
                record_type: query.query_type(),
                by_stream: asked.by_stream,
                edns: request.edns.is_some(),
                id: request.metadata.id,
                from: asked.from.to_string(),
                server: self.server.clone(),
            });
        }
        let fault = state.fault(&name, &self.server);
        let mut answer = state.answer(&request);
        drop(state);
        let cut = |answer: &mut Message| {
            answer.metadata.truncation = true;
            answer.answers.clear();
            answer.authorities.clear();
        };
        let mut delay = None;
        match fault {
            None => {}
            Some(Fault::Silence) => return Taken::Nothing,
            Some(Fault::Code(code)) => refuse(&mut answer, code),
            Some(Fault::Extended(code, error)) => {
                refuse(&mut answer, code);
                let edns = answer.edns.get_or_insert_with(Edns::new);
                let error = EdnsOption::Unknown(OptionCode::EXTENDED_ERROR.0, error.to_bytes());
                edns.options_mut().insert(error);
            }
            Some(Fault::Delay(time)) => delay = Some(time),
            Some(Fault::Truncated) if asked.by_stream => {}
            Some(Fault::Truncated | Fault::TruncatedAlways) => cut(&mut answer),
            Some(Fault::WrongQuestion) => {
                if let Some(query) = answer.queries.first_mut() {
                    query.set_name(whole("another.test."));
                }
            }
            Some(Fault::WrongId) => answer.metadata.id ^= 1,
            Some(Fault::FoldedCase) => {
                if let Some(query) = answer.queries.first_mut() {
                    query.set_name(query.name().to_lowercase());
                }
            }
            Some(Fault::Garbage) => {
                out.extend_from_slice(&[0xff; 40]);
                return Taken::Answered;
            }
        }
        let Ok(mut message) = answer.to_vec() else {
            return Taken::Nothing;
        };
        let longest = request
            .edns
            .as_ref()
            .map_or(512, |edns| edns.max_payload().max(512));
        if !asked.by_stream && message.len() > usize::from(longest) {
            cut(&mut answer);
            message = answer.to_vec().unwrap_or_default();
        }
        match delay {
            Some(time) => Taken::Later(Box::pin(async move {
                tokio::time::sleep(time).await;
                Some(message)
            })),
            None => {
                out.extend_from_slice(&message);
                Taken::Answered
            }
        }
    }
}

fn refuse(answer: &mut Message, code: ResponseCode) {
    answer.metadata.response_code = code;
    answer.answers.clear();
    answer.authorities.clear();
}

fn whole(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap_or_else(|error| panic!("{name:?}: {error}"));
    name.set_fqdn(true);
    name
}

fn read(line: &str) -> Result<Record, String> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let mut name = Name::from_ascii(name).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    let mut ttl = 300;
    let mut word = words.next().unwrap_or_default();
    if let Ok(number) = word.parse() {
        ttl = number;
        word = words.next().unwrap_or_default();
    }
    if word.eq_ignore_ascii_case("IN") {
        word = words.next().unwrap_or_default();
    }
    let record_type: crate::proto::RecordType =
        word.parse().map_err(|_| format!("{word:?} is no type"))?;
    let data: Vec<&str> = words.collect();
    let data = rdata::from_text(Class::IN, record_type, &data.join(" "));
    let data = data.map_err(|error| error.to_string())?;
    let data = rdata::to_hickory(record_type, &data).map_err(|error| error.to_string())?;
    Ok(Record::from_rdata(name, ttl, data))
}
