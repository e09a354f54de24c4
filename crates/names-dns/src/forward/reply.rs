//! A client's request, and an answer made fit for it: its id, its case, its bits, its size.

use std::net::IpAddr;

use crate::{
    answering::Asked,
    proto::{ExtendedError, Header, Opcode, OptionCode, Rcode, RecordType, put_option, walk::Walk},
    server::{
        CookieSecret,
        cookies::{self, Cookie},
    },
};

/// Answers over TLS to those who pad are of a length that is a multiple of this (RFC 8467, section
/// 4.1).
const BLOCK: usize = 468;

/// A request that can be answered.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub(super) walk: Walk<'a>,
    edns: Option<Client>,
    by_stream: bool,
    secure: bool,
}

/// What a client says of itself.
#[derive(Clone, Copy, Debug)]
struct Client {
    payload: u16,
    dnssec_ok: bool,
    is_padded: bool,
    wants_keepalive: bool,
    /// Its cookie and a new one of ours, for the answer.
    cookie: Option<[u8; cookies::LENGTH]>,
    /// It has brought a cookie of ours.
    has_cookie: bool,
}

/// Whose cookies are checked, and by what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies<'a> {
    pub(super) secret: &'a CookieSecret,
    pub(super) client: IpAddr,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    edns: Option<Client>,
    by_stream: bool,
    secure: bool,
}

/// The answer to what cannot be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal(Vec<u8>);

impl Refusal {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    /// The header alone (RFC 1035 does not ask for more).
    fn new(bytes: &[u8], code: Rcode) -> Self {
        let mut answer = vec![0; Header::LENGTH];
        answer[..2].copy_from_slice(&bytes[..2]);
        answer[2] = bytes[2] & 0x79 | 0x80;
        answer[3] = 0x80 | code.low();
        Self(answer)
    }
}

impl<'a> Request<'a> {
    /// Reads a request. `None` is for what must not be answered: answers, and what has no header.
    pub(super) fn read(
        bytes: &'a [u8],
        asked: &Asked<'_>,
        cookies: Option<Cookies<'_>>,
    ) -> Option<Result<Self, Refusal>> {
        let header = Header::read(bytes).filter(|header| !header.has(Header::QR))?;
        if header.opcode() != Opcode::QUERY {
            return Some(Err(Refusal::new(bytes, Rcode::NOTIMP)));
        }
        let malformed = Some(Err(Refusal::new(bytes, Rcode::FORMERR)));
        let Ok(walk) = Walk::read(bytes) else {
            return malformed;
        };
        let Ok(opt) = walk.opt() else {
            return malformed;
        };
        let cookie = opt
            .as_deref()
            .and_then(|opt| opt.option(OptionCode::COOKIE));
        // To bring a cookie and no question is to ask for a cookie (RFC 7873, section 5.4).
        let is_empty = !walk.has_question() && cookie.is_none();
        if is_empty || header.counts[1] > 0 || header.counts[2] > 0 {
            return malformed;
        }
        let (mut answer, mut has_cookie) = (None, false);
        if let (Some(cookies), Some(cookie)) = (cookies, cookie) {
            let now = ropewalk_core::wall_clock();
            let Cookie::Client(client, ours) = cookies.secret.check(cookie, cookies.client, now)
            else {
                return malformed;
            };
            answer = Some(cookies.secret.answer(client, cookies.client, now));
            has_cookie = ours;
        }
        let edns = opt.as_deref().map(|opt| Client {
            payload: opt.udp_size,
            dnssec_ok: opt.dnssec_ok(),
            is_padded: opt.option(OptionCode::PADDING).is_some(),
            wants_keepalive: opt.option(OptionCode::TCP_KEEPALIVE).is_some(),
            cookie: answer,
            has_cookie,
        });
        let request = Self {
            walk,
            edns,
            by_stream: asked.by_stream,
            secure: asked.secure,
        };
        if opt.is_some_and(|opt| opt.version > 0) {
            let mut out = Vec::new();
            write_empty(&request, Rcode::BADVERS, &mut out);
            request.end_with(&[], 0, Rcode::BADVERS.high(), &mut out);
            return Some(Err(Refusal(out)));
        }
        if !request.walk.has_question() {
            let mut out = Vec::new();
            write_empty(&request, Rcode::NOERROR, &mut out);
            request.end(&[], 0, &mut out);
            return Some(Err(Refusal(out)));
        }
        Some(Ok(request))
    }

    pub(super) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether the address that it says it is from is shown to be its own.
    pub(super) fn is_proven(&self) -> bool {
        self.by_stream || self.edns.is_some_and(|edns| edns.has_cookie)
    }

    /// For later.
    pub(super) fn to_owned(&self) -> Kept {
        let mut bytes = self.walk.header().to_bytes().to_vec();
        bytes.extend_from_slice(self.walk.question());
        bytes[6..12].fill(0);
        Kept {
            bytes,
            edns: self.edns,
            by_stream: self.by_stream,
            secure: self.secure,
        }
    }

    /// Makes an answer of the cache this request's: its id, the case of its question, its bits.
    pub(super) fn adopt(&self, out: &mut [u8]) {
        let (question, header) = (self.walk.question(), self.walk.header());
        out[..2].copy_from_slice(&header.id.to_be_bytes());
        let authentic = out[3] & 0x20 != 0 && (header.has(Header::AD) || self.dnssec_ok());
        out[2] = 0x80 | u8::from(header.has(Header::RD));
        out[3] =
            0x80 | u8::from(authentic) << 5 | u8::from(header.has(Header::CD)) << 4 | out[3] & 15;
        let echo = Header::LENGTH..Header::LENGTH + question.len();
        if let Some(echo) = out.get_mut(echo) {
            echo.copy_from_slice(question);
        }
    }

    /// Puts the OPT record behind an answer, and cuts it to what the client takes.
    pub(super) fn end(&self, errors: &[ExtendedError], payload: u16, out: &mut Vec<u8>) {
        self.end_with(errors, payload, 0, out);
    }

    fn end_with(&self, errors: &[ExtendedError], payload: u16, high_code: u8, out: &mut Vec<u8>) {
        let longest = match (self.by_stream, self.edns) {
            (true, _) => usize::from(u16::MAX),
            (false, None) => 512,
            (false, Some(edns)) => usize::from(edns.payload.min(payload.max(512)).max(512)),
        };
        let Some(edns) = self.edns else {
            if out.len() > longest {
                self.truncate(out);
            }
            return;
        };
        let mut options = Vec::new();
        if let Some(cookie) = &edns.cookie {
            put_option(&mut options, OptionCode::COOKIE, cookie);
        }
        let needed = options.len();
        for error in errors {
            put_option(&mut options, OptionCode::EXTENDED_ERROR, &error.to_bytes());
        }
        if self.by_stream && edns.wants_keepalive {
            // In tenths of a second (RFC 7828).
            let tenths = KEEPALIVE.to_be_bytes();
            put_option(&mut options, OptionCode::TCP_KEEPALIVE, &tenths);
        }
        // What is said besides goes first where there is no room for all.
        if out.len() + 11 + options.len() > longest {
            options.truncate(needed);
        }
        if out.len() + 11 + needed > longest {
            self.truncate(out);
        }
        let [t0, t1] = RecordType::OPT.0.to_be_bytes();
        out.extend([0, t0, t1]);
        out.extend(payload.max(512).to_be_bytes());
        out.extend([high_code, 0, u8::from(edns.dnssec_ok) << 7, 0]);
        if self.secure && edns.is_padded {
            let length = out.len() + 2 + options.len() + 4;
            let missing = length.next_multiple_of(BLOCK) - length;
            let room = longest.saturating_sub(length);
            put_option(
                &mut options,
                OptionCode::PADDING,
                &[0; BLOCK][..missing.min(room)],
            );
        }
        let length = u16::try_from(options.len()).unwrap_or_default();
        out.extend(length.to_be_bytes());
        out.extend(&options[..usize::from(length)]);
        let count = u16::from_be_bytes([out[10], out[11]]).saturating_add(1);
        out[10..12].copy_from_slice(&count.to_be_bytes());
    }

    /// The question alone, with TC: half an answer may be mistaken for a whole one.
    fn truncate(&self, out: &mut Vec<u8>) {
        out.truncate(Header::LENGTH + self.walk.question().len());
        out[2] |= 2;
        out[6..12].fill(0);
    }
}

/// How long a connection may be silent, as it is told to those who ask, in tenths of a second.
const KEEPALIVE: u16 = 100;

impl Kept {
    pub(super) fn borrowed(&self) -> Option<Request<'_>> {
        Some(Request {
            walk: Walk::read(&self.bytes).ok()?,
            edns: self.edns,
            by_stream: self.by_stream,
            secure: self.secure,
        })
    }
}

/// An answer without records, before its OPT record.
pub(super) fn write_empty(request: &Request<'_>, code: Rcode, out: &mut Vec<u8>) {
    out.clear();
    out.extend([0; Header::LENGTH]);
    out[3] = code.low();
    out[5] = u8::from(request.walk.has_question());
    out.extend_from_slice(request.walk.question());
    request.adopt(out);
}

/// That the client may ask again over a stream.
pub(super) fn write_truncated(request: &Request<'_>, out: &mut Vec<u8>) {
    write_empty(request, Rcode::NOERROR, out);
    out[2] |= 2;
}

/// The answer where nobody had one: with a server's code, if that can be said to others.
pub(super) fn write_failure(request: &Request<'_>, refusal: Option<&[u8]>, out: &mut Vec<u8>) {
    let code = refusal.and_then(|message| Some(Header::read(message)?.rcode()));
    let code = match code {
        Some(code @ (Rcode::REFUSED | Rcode::NOTIMP)) => code,
        // That we asked wrongly, or are no friends, is not this client's fault.
        _ => Rcode::SERVFAIL,
    };
    write_empty(request, code, out);
}

/// This machine's own address, for `localhost` (RFC 6761, section 6.3).
pub(super) fn write_loopback(request: &Request<'_>, out: &mut Vec<u8>) {
    write_empty(request, Rcode::NOERROR, out);
    let Some((record_type, _)) = request.walk.asked() else {
        return;
    };
    let data: &[u8] = match record_type {
        RecordType::A => &[127, 0, 0, 1],
        RecordType::AAAA => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        _ => return,
    };
    out[7] = 1;
    out.extend([0xc0, 12]);
    out.extend(record_type.0.to_be_bytes());
    out.extend([0, 1, 0, 0, 0x2a, 0x30, 0]);
    out.push(u8::try_from(data.len()).unwrap_or_default());
    out.extend_from_slice(data);
}
