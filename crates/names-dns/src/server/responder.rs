//! From the octets of a request to those of its answer: what is ready is
//! copied, what is not is made, and what the request brings along (EDNS, a
//! cookie, a signature) is answered in kind.
//!
//! It does no I/O and waits for nothing; time is passed in. Each thread that
//! answers has one of its own.

use std::{net::IpAddr, sync::Arc, time::Instant};

use ropewalk_core::Address;

use super::{
    Asker, AuthorityOptions, Request, Via,
    answer::{self, Asked, Family, Told},
    cookies::Cookie,
    counters::Counters,
    hot::{self, Hot, Key, Made},
    rate::{Kind, Rate, Verdict},
    request::NoRequest,
    special::Special,
};
use crate::{
    proto::{
        Class, Edns, Header, LONGEST_MESSAGE, MessageWriter, Opcode, OptionCode, Rcode, RecordType,
        Section, name::MAX_NAME, put_option,
    },
    zone::{Node, ZoneMap, ZonesView},
};

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing is said.
    Nothing,
    /// The answer stands in [`Responder::answer`].
    Answer,
    /// The answer is an extension's.
    Special(Special),
}

/// The least that everybody takes over UDP (RFC 1035, section 4.2.1).
const SMALLEST_UDP: usize = 512;

/// An OPT record without options.
const OPT: usize = 11;

/// Answers that are longer are not kept ready.
const LONGEST_KEPT: usize = 4096;

/// The extended error of a zone that is ours and not there yet: Not Ready (RFC
/// 8914, section 4.15).
const NOT_READY: u16 = 14;

/// That of a name of which we know nothing: Not Authoritative (section 4.21).
const NOT_AUTHORITATIVE: u16 = 20;

/// What padded answers are multiples of (RFC 8467, section 4.1).
const PADDING: usize = 468;

pub(super) struct Responder {
    options: Arc<AuthorityOptions>,
    view: ZonesView,
    /// The zones whose answers are ready.
    zones: Arc<ZoneMap>,
    writer: MessageWriter,
    hot: Hot,
    rate: Option<Rate>,
    counters: Counters,
    out: Vec<u8>,
    /// The options of the answer's OPT.
    extra: Vec<u8>,
}

/// What an answer has around it.
#[derive(Clone, Copy)]
struct Frame<'a> {
    header: Header,
    question: &'a [u8],
    edns: Option<Edns<'a>>,
    /// The most octets it may have.
    limit: usize,
    via: Via,
    /// Where it goes, if that is to be limited.
    limited: Option<IpAddr>,
    now: Instant,
}

impl Responder {
    pub(super) fn new(options: Arc<AuthorityOptions>, mut view: ZonesView, now: Instant) -> Self {
        Self {
            hot: Hot::new(options.compiled),
            rate: options.rate_limit.map(|limit| Rate::new(limit, now)),
            counters: Counters::new(options.metrics.as_ref()),
            zones: view.current().clone(),
            view,
            writer: MessageWriter::new(),
            out: Vec::new(),
            extra: Vec::new(),
            options,
        }
    }

    /// The answer to the last request.
    pub(super) fn answer(&self) -> &[u8] {
        &self.out
    }

    /// To be called before a number of requests that are answered together.
    pub(super) fn begin(&mut self) {
        let zones = self.view.current();
        if !Arc::ptr_eq(zones, &self.zones) {
            self.zones = zones.clone();
            // Answers that are ready are of the zones before.
            self.hot.clear();
        }
    }

    /// To be called after them.
    pub(super) fn end(&mut self) {
        self.counters.flush();
    }

    /// Answers one request.
    pub(super) fn respond(
        &mut self,
        bytes: &[u8],
        from: &Address,
        via: Via,
        now: Instant,
    ) -> Outcome {
        self.out.clear();
        self.extra.clear();
        self.counters.asked(via);
        let ip = from.inet().map(|address| address.ip());
        let mut frame = Frame {
            header: Header::default(),
            question: &[],
            edns: None,
            limit: LONGEST_MESSAGE,
            via,
            limited: ip.filter(|_| !via.is_stream()),
            now,
        };
        let request = match Request::read(bytes) {
            Ok(request) => request,
            Err(NoRequest::Ignore) => {
                self.counters.ignored += 1;
                return Outcome::Nothing;
            }
            Err(NoRequest::Say(rcode, header, question)) => {
                frame.header = header;
                frame.question = question;
                return self.say(frame, rcode);
            }
            Err(NoRequest::Cookie(header, edns)) => {
                frame.header = header;
                frame.edns = Some(edns);
                let rcode = match self.read_options(&mut frame, &edns, ip) {
                    true => Rcode::NOERROR,
                    false => Rcode::FORMERR,
                };
                return self.say(frame, rcode);
            }
        };
        frame.header = request.header();
        frame.question = request.question();
        frame.edns = request.edns().copied();
        if !via.is_stream() {
            let most = usize::from(self.options.udp_size).max(SMALLEST_UDP);
            frame.limit = frame.edns.map_or(SMALLEST_UDP, |edns| {
                usize::from(edns.udp_size).clamp(SMALLEST_UDP, most)
            });
        }
        if let Some(edns) = frame.edns {
            if edns.version != 0 {
                return self.say(frame, Rcode::BADVERS);
            }
            if !edns.options.is_empty() && !self.read_options(&mut frame, &edns, ip) {
                return self.say(frame, Rcode::FORMERR);
            }
        }
        let is_transfer = is_transfer(request.record_type());
        if request.is_signed() || is_transfer || request.header().opcode() != Opcode::QUERY {
            return self.special(&request, frame, from);
        }
        self.query(&request, frame)
    }

    /// Answers a question of zones, or about ourselves.
    fn query(&mut self, request: &Request<'_>, frame: Frame<'_>) -> Outcome {
        match request.class() {
            Class::IN => self.find(request, frame),
            // Who asks for any class is content with the one that there is. Nobody has authority over
            // all (RFC 1035, section 6.2).
            Class::ANY => {
                let outcome = self.find(request, frame);
                if let Outcome::Answer = outcome {
                    let [aa, _] = Header::AA.to_be_bytes();
                    self.out[2] &= !aa;
                }
                outcome
            }
            Class::CH => self.chaos(request, frame),
            _ => self.say(frame, Rcode::REFUSED),
        }
    }

    /// Answers a question of zones: with what is ready, or made.
    fn find(&mut self, request: &Request<'_>, frame: Frame<'_>) -> Outcome {
        let asked = Asked {
            name: request.name(),
            record_type: request.record_type(),
            dnssec: request.dnssec_ok(),
        };
        let wire = asked.name.as_wire();
        let mut buffer = [0; MAX_NAME];
        let lower = &mut buffer[..wire.len()];
        lower.copy_from_slice(wire);
        // Lengths of labels are below the codes of letters.
        lower.make_ascii_lowercase();
        let key = Key {
            family: u8::from(asked.dnssec),
            record_type: asked.record_type.0,
            name: lower,
        };
        if let Some(ready) = self.hot.get(key)
            && let Some(outcome) = put_ready(
                &mut self.out,
                &self.extra,
                &mut self.rate,
                &mut self.counters,
                frame,
                ready,
            )
        {
            return self.finish(outcome, frame);
        }
        let zones = self.zones.clone();
        let (family, node) = answer::family(&zones, asked);
        let mut shared = [0; 12];
        let key = match (family, node) {
            (Family::None, _) | (_, None) => None,
            (Family::Exact, _) => Some(key),
            (family, Some(node)) => {
                let zone = std::ptr::from_ref(node.zone()).addr() as u64;
                shared[..8].copy_from_slice(&zone.to_le_bytes());
                shared[8..].copy_from_slice(&node.number().to_le_bytes());
                let of_type = family == Family::Wildcard;
                Some(Key {
                    family: (family as u8) << 1 | u8::from(asked.dnssec),
                    record_type: if of_type { asked.record_type.0 } else { 0 },
                    name: &shared,
                })
            }
        };
        if let Some(key) = key.filter(|_| family != Family::Exact)
            && let Some(ready) = self.hot.get(key)
            && let Some(outcome) = put_ready(
                &mut self.out,
                &self.extra,
                &mut self.rate,
                &mut self.counters,
                frame,
                ready,
            )
        {
            return self.finish(outcome, frame);
        }
        self.make(&zones, asked, frame, key, family)
    }

    /// Makes an answer, and keeps it if it may be used again.
    fn make(
        &mut self,
        zones: &ZoneMap,
        asked: Asked<'_>,
        frame: Frame<'_>,
        key: Option<Key<'_>>,
        family: Family,
    ) -> Outcome {
        self.counters.made += 1;
        self.writer.begin(Header::default(), frame.limit);
        let class = Class(u16::from_be_bytes([
            frame.question[frame.question.len() - 2],
            frame.question[frame.question.len() - 1],
        ]));
        let question = self
            .writer
            .question(asked.name.as_wire(), asked.record_type, class);
        if question.is_err() {
            // The signature of a key with a long name takes all of the room (RFC
            // 8945, section 5.3).
            put_head(&mut self.out, frame, Header::QR | Header::TC, [0; 3]);
            self.counters.count(Rcode::NOERROR);
            return self.finish(Verdict::Send, frame);
        }
        let question_end = self.writer.len();
        if frame.edns.is_some() {
            self.writer.reserve(OPT + self.extra.len());
        }
        let Some(told) = answer::answer(zones, asked, &mut self.writer) else {
            self.explain(frame, NOT_AUTHORITATIVE, "");
            return self.say(frame, Rcode::REFUSED);
        };
        if told.kind == Kind::Error {
            self.explain(frame, NOT_READY, "");
            return self.say(frame, told.rcode);
        }
        let bucket = bucket(told.first);
        let mut flags = Header::QR | u16::from(told.rcode.low());
        if told.authoritative {
            flags |= Header::AA;
        }
        if told.truncated {
            flags |= Header::TC;
        } else if let Some(key) = key
            && told.keep
            && !told.incomplete
        {
            self.keep(key, family, &told, flags, bucket, question_end);
        }
        let verdict = limit(&mut self.rate, frame, told.kind, bucket);
        if verdict == Verdict::Drop {
            return self.finish(verdict, frame);
        }
        let counts = self.writer.header().counts;
        let whole = verdict == Verdict::Send && !told.truncated;
        let (counts, body) = match whole {
            true => (
                [counts[1], counts[2], counts[3]],
                &self.writer.written()[question_end..],
            ),
            // Nothing is better than a part, which nobody believes.
            false => ([0; 3], &[][..]),
        };
        if verdict == Verdict::Slip {
            flags |= Header::TC;
        }
        put_head(&mut self.out, frame, flags, counts);
        self.out.extend_from_slice(body);
        self.counters.count(told.rcode);
        self.finish(verdict, frame)
    }

    /// Keeps what the writer has, with the pointers that move.
    fn keep(
        &mut self,
        key: Key<'_>,
        family: Family,
        told: &Told<'_>,
        flags: u16,
        bucket: u64,
        question_end: usize,
    ) {
        let message = self.writer.written();
        if message.len() > LONGEST_KEPT {
            return;
        }
        let mut pointers = [0; 64];
        let mut count = 0;
        if !matches!(family, Family::Exact | Family::NoData) {
            // How much of the name's end all questions of the family share.
            let Some(node) = told.first else { return };
            let shared = match family {
                Family::Cut => node.zone().origin().as_wire().len(),
                _ => node.name().as_wire().len(),
            };
            for pointer in self.writer.pointers() {
                let at = pointer & !crate::proto::OWNER;
                let place = usize::from(at);
                let to = u16::from_be_bytes([message[place] & 0x3F, message[place + 1]]);
                let to = usize::from(to);
                if to == Header::LENGTH
                    && family == Family::Wildcard
                    && pointer & crate::proto::OWNER != 0
                {
                    // The name that was asked for, wherever it ends.
                    continue;
                }
                let to_shared = to >= question_end || question_end - 4 - to <= shared;
                // By chance it says what only this question says.
                if !to_shared || count == pointers.len() {
                    return;
                }
                pointers[count] = at;
                count += 1;
            }
        }
        let counts = self.writer.header().counts;
        self.hot.put(
            key,
            &Made {
                flags,
                counts: [counts[1], counts[2], counts[3]],
                kind: told.kind as u8,
                bucket,
                question_end,
                pointers: &pointers[..count],
                body: &message[question_end..],
            },
        );
    }

    /// An answer without records.
    fn say(&mut self, frame: Frame<'_>, rcode: Rcode) -> Outcome {
        let verdict = limit(&mut self.rate, frame, Kind::Error, u64::from(rcode.0));
        if verdict != Verdict::Drop {
            self.out.clear();
            let mut flags = Header::QR | u16::from(rcode.low());
            if verdict == Verdict::Slip {
                flags |= Header::TC;
            }
            put_head(&mut self.out, frame, flags, [0; 3]);
            self.counters.count(rcode);
        }
        self.finish_with(verdict, frame, rcode.high())
    }

    fn finish(&mut self, verdict: Verdict, frame: Frame<'_>) -> Outcome {
        self.finish_with(verdict, frame, 0)
    }

    /// Adds OPT, which every answer has if the request had it.
    fn finish_with(&mut self, verdict: Verdict, frame: Frame<'_>, high: u8) -> Outcome {
        if verdict == Verdict::Drop {
            self.counters.limited += 1;
            return Outcome::Nothing;
        }
        if verdict == Verdict::Slip {
            self.counters.slipped += 1;
        }
        let Some(edns) = frame.edns else {
            return Outcome::Answer;
        };
        if frame.via == Via::Tls && edns.option(OptionCode::PADDING).is_some() {
            let length = self.out.len() + OPT + self.extra.len() + 4;
            let padding = length.next_multiple_of(PADDING).min(frame.limit);
            if let Some(octets) = padding.checked_sub(length) {
                put_option(
                    &mut self.extra,
                    OptionCode::PADDING,
                    &[0; PADDING][..octets],
                );
            }
        }
        // Its length was reserved, and is that of a few options.
        let length = u16::try_from(self.extra.len()).unwrap_or(0);
        let [s0, s1] = self.options.udp_size.max(512).to_be_bytes();
        let [d0, _] = (edns.flags & Edns::DO).to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        self.out
            .extend_from_slice(&[0, 0, 41, s0, s1, high, 0, d0, 0, l0, l1]);
        self.out.extend_from_slice(&self.extra);
        let count = u16::from_be_bytes([self.out[10], self.out[11]]) + 1;
        self.out[10..12].copy_from_slice(&count.to_be_bytes());
        Outcome::Answer
    }

    /// Reads the options of a request, and writes those of its answer; false if
    /// one is malformed.
    fn read_options(&mut self, frame: &mut Frame<'_>, edns: &Edns<'_>, ip: Option<IpAddr>) -> bool {
        let mut cookie = false;
        for (code, data) in edns.options().flatten() {
            match code {
                OptionCode::NSID => {
                    if let Some(nsid) = &self.options.nsid
                        && self.extra.len() + nsid.len() < SMALLEST_UDP / 4
                    {
                        put_option(&mut self.extra, OptionCode::NSID, nsid);
                    }
                }
                // The first one counts (RFC 7873, section 5.2).
                OptionCode::COOKIE if !std::mem::replace(&mut cookie, true) => {
                    let (Some(secret), Some(ip)) = (&self.options.cookies, ip) else {
                        continue;
                    };
                    let now = ropewalk_core::wall_clock();
                    let Cookie::Client(client, ours) = secret.check(data, ip, now) else {
                        self.extra.clear();
                        return false;
                    };
                    let both = secret.answer(client, ip, now);
                    put_option(&mut self.extra, OptionCode::COOKIE, &both);
                    if ours {
                        frame.limited = None;
                    }
                }
                OptionCode::TCP_KEEPALIVE if frame.via.is_stream() => {
                    // In tenths of a second (RFC 7828, section 3.1).
                    let tenths = self.options.idle.as_millis() / 100;
                    let tenths = u16::try_from(tenths).unwrap_or(u16::MAX);
                    // Once, however often it is there.
                    if !has(&self.extra, OptionCode::TCP_KEEPALIVE) {
                        put_option(
                            &mut self.extra,
                            OptionCode::TCP_KEEPALIVE,
                            &tenths.to_be_bytes(),
                        );
                    }
                }
                _ => {}
            }
        }
        true
    }

    /// Says in OPT what is wrong (RFC 8914).
    fn explain(&mut self, frame: Frame<'_>, code: u16, text: &str) {
        if frame.edns.is_some() {
            let data = [&code.to_be_bytes(), text.as_bytes()].concat();
            put_option(&mut self.extra, OptionCode::EXTENDED_ERROR, &data);
        }
    }

    /// Questions about the server itself, which it answers if it is told to.
    fn chaos(&mut self, request: &Request<'_>, frame: Frame<'_>) -> Outcome {
        let name = request.name().as_wire();
        let is = |names: [&[u8]; 2]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let text = if is([b"\x07version\x04bind\0", b"\x07version\x06server\0"]) {
            &self.options.version
        } else if is([b"\x02id\x06server\0", b"\x08hostname\x04bind\0"]) {
            &self.options.identity
        } else {
            &None
        };
        let wanted = matches!(request.record_type(), RecordType::TXT | RecordType::ANY);
        let Some(text) = text.as_ref().filter(|_| wanted) else {
            return self.say(frame, Rcode::REFUSED);
        };
        let text = &text.as_bytes()[..text.len().min(255)];
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let rdata = [&[length], text].concat();
        self.writer.begin(Header::default(), SMALLEST_UDP);
        let written = self
            .writer
            .question(name, request.record_type(), Class::CH)
            .and_then(|()| {
                let (section, txt) = (Section::Answer, RecordType::TXT);
                self.writer.record(section, name, txt, Class::CH, 0, &rdata)
            });
        if written.is_err() {
            return self.say(frame, Rcode::SERVFAIL);
        }
        let verdict = limit(&mut self.rate, frame, Kind::Positive, 0);
        let (count, body) = match verdict {
            Verdict::Send => (
                1,
                &self.writer.written()[Header::LENGTH + frame.question.len()..],
            ),
            _ => (0, &[][..]),
        };
        let mut flags = Header::QR | Header::AA;
        if verdict == Verdict::Slip {
            flags |= Header::TC;
        }
        put_head(&mut self.out, frame, flags, [count, 0, 0]);
        self.out.extend_from_slice(body);
        self.counters.count(Rcode::NOERROR);
        self.finish(verdict, frame)
    }

    /// What is signed, or is an extension's.
    fn special(&mut self, request: &Request<'_>, mut frame: Frame<'_>, from: &Address) -> Outcome {
        let now = ropewalk_core::wall_clock();
        let mut signer = None;
        if request.is_signed() {
            let keys = self.options.keys.clone();
            let is_question =
                request.header().opcode() == Opcode::QUERY && !is_transfer(request.record_type());
            // Over UDP an honest asker repeats its datagram; a question does no harm twice.
            let checked = match is_question || !frame.via.is_stream() {
                true => keys.check(request.as_bytes(), now),
                false => keys.check_once(request.as_bytes(), now),
            };
            match checked {
                Ok(signed) => {
                    signer = signed.map(crate::proto::tsig::Signed::into_signer);
                    // Whoever has a key is who it says.
                    frame.limited = None;
                }
                Err(rejected) => {
                    let rcode = Rcode(rejected.rcode().into());
                    let outcome = self.say(frame, rcode);
                    if matches!(outcome, Outcome::Answer) {
                        rejected.sign(&mut self.out);
                    }
                    return outcome;
                }
            }
        }
        let room = signer.as_ref().map_or(0, |signer| signer.room());
        frame.limit = frame.limit.saturating_sub(room);
        if request.header().opcode() == Opcode::QUERY && !is_transfer(request.record_type()) {
            let outcome = self.query(request, frame);
            if let (Outcome::Answer, Some(mut signer)) = (&outcome, signer) {
                signer.sign(&mut self.out, now);
            }
            return outcome;
        }
        let asker = Asker {
            address: from.clone(),
            via: frame.via,
            key: signer.as_ref().map(|signer| signer.key().name().clone()),
            now,
            longest: frame.limit,
        };
        let extension = self.options.extension.clone();
        let reply = extension.and_then(|extension| extension.answer(request, &asker));
        // What a refusal, or an answer without room, is made of.
        let rcode = match request.header().opcode() {
            Opcode::UPDATE => Rcode::NOTIMP,
            _ => Rcode::REFUSED,
        };
        let Some(reply) = reply else {
            let outcome = self.say(frame, rcode);
            if let (Outcome::Answer, Some(mut signer)) = (&outcome, signer) {
                signer.sign(&mut self.out, now);
            }
            return outcome;
        };
        let mut head = Vec::with_capacity(Header::LENGTH + frame.question.len());
        put_head(&mut head, frame, Header::QR, [0; 3]);
        Outcome::Special(Special::new(reply, head, signer, frame.limit, frame.via))
    }
}

/// Copies an answer that is ready; `None` if it is too long.
#[inline]
fn put_ready(
    out: &mut Vec<u8>,
    extra: &[u8],
    rate: &mut Option<Rate>,
    counters: &mut Counters,
    frame: Frame<'_>,
    ready: hot::Ready<'_>,
) -> Option<Verdict> {
    let opt = frame.edns.map_or(0, |_| OPT + extra.len());
    let length = Header::LENGTH + frame.question.len() + ready.body.len() + opt;
    if length > frame.limit {
        return None;
    }
    let verdict = limit(rate, frame, Kind::from_number(ready.kind), ready.bucket);
    match verdict {
        Verdict::Send => {
            put_head(out, frame, ready.flags, ready.counts);
            ready.put(out);
        }
        Verdict::Slip => put_head(out, frame, ready.flags | Header::TC, [0; 3]),
        Verdict::Drop => {}
    }
    counters.ready += 1;
    counters.count(Rcode(ready.flags & 0xF));
    Some(verdict)
}

/// The header and the question: its id, RD, CD and letters are the asker's.
#[inline]
fn put_head(out: &mut Vec<u8>, frame: Frame<'_>, flags: u16, counts: [u16; 3]) {
    // Opcode, RD and CD.
    const KEPT: u16 = 0x7800 | Header::RD | Header::CD;
    let [answers, authorities, additionals] = counts;
    let header = Header {
        id: frame.header.id,
        flags: flags | frame.header.flags & KEPT,
        counts: [
            u16::from(!frame.question.is_empty()),
            answers,
            authorities,
            additionals,
        ],
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(frame.question);
}

#[inline]
fn limit(rate: &mut Option<Rate>, frame: Frame<'_>, kind: Kind, bucket: u64) -> Verdict {
    match (rate, frame.limited) {
        (Some(rate), Some(to)) => rate.ask(to, kind, bucket, frame.now),
        _ => Verdict::Send,
    }
}

/// What rate limits count an answer by: names that do not exist count as the
/// one above them, and a wildcard's as the wildcard's.
fn bucket(node: Option<Node<'_>>) -> u64 {
    node.map_or(0, |node| {
        let zone = std::ptr::from_ref(node.zone()).addr() as u64;
        zone.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(node.number())
    })
}

/// Whether a zone is asked for, whole or by what changed.
fn is_transfer(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::AXFR | RecordType::IXFR)
}

fn has(options: &[u8], code: OptionCode) -> bool {
    let edns = Edns {
        options,
        ..Edns::default()
    };
    edns.option(code).is_some()
}
