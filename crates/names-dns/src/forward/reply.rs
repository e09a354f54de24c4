//! A client's request, and an answer made fit for it: its id, its case, its bits, its size.

use crate::{
    answering::Asked,
    proto::{
        ExtendedError,
        exchange::write::{option, put_option},
        walk::{HEADER, OPT, Walk},
    },
};

/// A response code, as far as a forwarder says one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(u16);

impl Code {
    pub(super) const FORMERR: Self = Self(1);
    pub(super) const SERVFAIL: Self = Self(2);
    pub(super) const NXDOMAIN: Self = Self(3);
    pub(super) const NOTIMP: Self = Self(4);
    pub(super) const REFUSED: Self = Self(5);
    pub(super) const BADVERS: Self = Self(16);
}

/// EDNS options that only a server has to do with.
const TCP_KEEPALIVE: u16 = 11;

/// Answers over TLS to those who pad are of a length that is a multiple of this (RFC 8467, section
/// 4.1).
const BLOCK: usize = 468;

/// A request that can be answered.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub(super) walk: Walk<'a>,
    edns: Option<Edns>,
    by_stream: bool,
    secure: bool,
}

/// What a client says of itself.
#[derive(Clone, Copy, Debug)]
struct Edns {
    payload: u16,
    dnssec_ok: bool,
    is_padded: bool,
    wants_keepalive: bool,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    edns: Option<Edns>,
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
    fn new(bytes: &[u8], code: Code) -> Self {
        let mut answer = vec![0; HEADER];
        answer[..2].copy_from_slice(&bytes[..2]);
        answer[2] = bytes[2] & 0x79 | 0x80;
        answer[3] = 0x80 | code.0.to_be_bytes()[1];
        Self(answer)
    }
}

impl<'a> Request<'a> {
    /// Reads a request. `None` is for what must not be answered: answers, and what has no header.
    pub(super) fn read(bytes: &'a [u8], asked: &Asked<'_>) -> Option<Result<Self, Refusal>> {
        if bytes.len() < HEADER || bytes[2] & 0x80 != 0 {
            return None;
        }
        if bytes[2] >> 3 & 15 != 0 {
            return Some(Err(Refusal::new(bytes, Code::NOTIMP)));
        }
        let malformed = Some(Err(Refusal::new(bytes, Code::FORMERR)));
        let Ok(walk) = Walk::read(bytes) else {
            return malformed;
        };
        let Ok(opt) = walk.opt() else {
            return malformed;
        };
        if !walk.has_question() || walk.count(1) > 0 || walk.count(2) > 0 {
            return malformed;
        }
        let edns = opt.as_ref().map(|opt| Edns {
            payload: opt.payload,
            dnssec_ok: opt.dnssec_ok,
            is_padded: opt.option(option::PADDING).is_some(),
            wants_keepalive: opt.option(TCP_KEEPALIVE).is_some(),
        });
        let request = Self {
            walk,
            edns,
            by_stream: asked.by_stream,
            secure: asked.secure,
        };
        if opt.is_some_and(|opt| opt.version > 0) {
            let mut out = Vec::new();
            write_empty(&request, Code::BADVERS, &mut out);
            request.end_with(&[], 0, 1, &mut out);
            return Some(Err(Refusal(out)));
        }
        Some(Ok(request))
    }

    pub(super) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// For later.
    pub(super) fn to_owned(&self) -> Kept {
        let mut bytes = self.walk.header().to_vec();
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
        let question = self.walk.question();
        out[..2].copy_from_slice(&self.walk.id().to_be_bytes());
        let authentic = out[3] & 0x20 != 0 && (self.walk.authentic_data() || self.dnssec_ok());
        out[2] = 0x80 | u8::from(self.walk.recursion_desired());
        out[3] = 0x80
            | u8::from(authentic) << 5
            | u8::from(self.walk.checking_disabled()) << 4
            | out[3] & 15;
        if let Some(echo) = out.get_mut(HEADER..HEADER + question.len()) {
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
        for error in errors {
            put_option(&mut options, option::EXTENDED_ERROR, &error.to_bytes());
        }
        if self.by_stream && edns.wants_keepalive {
            // In tenths of a second (RFC 7828).
            put_option(&mut options, TCP_KEEPALIVE, &KEEPALIVE.to_be_bytes());
        }
        // What is said besides goes first where there is no room for all.
        if out.len() + 11 + options.len() > longest {
            options.clear();
        }
        if out.len() + 11 > longest {
            self.truncate(out);
        }
        out.extend([0, OPT.to_be_bytes()[0], OPT.to_be_bytes()[1]]);
        out.extend(payload.max(512).to_be_bytes());
        out.extend([high_code, 0, u8::from(edns.dnssec_ok) << 7, 0]);
        if self.secure && edns.is_padded {
            let length = out.len() + 2 + options.len() + 4;
            let missing = length.next_multiple_of(BLOCK) - length;
            let room = longest.saturating_sub(length);
            put_option(
                &mut options,
                option::PADDING,
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
        out.truncate(HEADER + self.walk.question().len());
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
pub(super) fn write_empty(request: &Request<'_>, code: Code, out: &mut Vec<u8>) {
    out.clear();
    out.extend([0; HEADER]);
    out[3] = code.0.to_be_bytes()[1] & 15;
    out[5] = 1;
    out.extend_from_slice(request.walk.question());
    request.adopt(out);
}

/// The answer where nobody had one: with a server's code, if that can be said to others.
pub(super) fn write_failure(request: &Request<'_>, refusal: Option<&[u8]>, out: &mut Vec<u8>) {
    let code = refusal.and_then(|message| Some(Walk::read(message).ok()?.response_code()));
    let code = match code {
        Some(5) => Code::REFUSED,
        Some(4) => Code::NOTIMP,
        // That we asked wrongly, or are no friends, is not this client's fault.
        _ => Code::SERVFAIL,
    };
    write_empty(request, code, out);
}

/// This machine's own address, for `localhost` (RFC 6761, section 6.3).
pub(super) fn write_loopback(request: &Request<'_>, out: &mut Vec<u8>) {
    const A: u16 = 1;
    const AAAA: u16 = 28;
    write_empty(request, Code(0), out);
    let data: &[u8] = match request.walk.record_type() {
        A => &[127, 0, 0, 1],
        AAAA => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        _ => return,
    };
    out[7] = 1;
    out.extend([0xc0, 12]);
    out.extend(request.walk.record_type().to_be_bytes());
    out.extend([0, 1, 0, 0, 0x2a, 0x30, 0]);
    out.push(u8::try_from(data.len()).unwrap_or_default());
    out.extend_from_slice(data);
}
