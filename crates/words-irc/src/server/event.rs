//! What is told to others: a line, and the tags that each may see of it.
//!
//! Who has the same capabilities gets the same bytes, so an event is encoded once for each of
//! eight classes at most, and only for those that somebody is in.

use bytes::Bytes;

use super::clock::Stamp;
use crate::proto::{
    capability::{Capability, Set},
    numeric::Numeric,
    tags,
};

/// The capabilities that decide how an event is written, as three bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class(u8);

impl Class {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;

    const TAGS: u8 = 1;
    const TIME: u8 = 2;
    const ACCOUNT: u8 = 4;

    pub(crate) fn of(capabilities: Set) -> Self {
        let bit = |capability, bit| if capabilities.has(capability) { bit } else { 0 };
        Self(
            bit(Capability::MessageTags, Self::TAGS)
                | bit(Capability::ServerTime, Self::TIME)
                | bit(Capability::AccountTag, Self::ACCOUNT),
        )
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..8).map(Self)
    }

    /// Whether tags of clients, and the id of a message, are seen.
    pub(crate) fn sees_tags(self) -> bool {
        self.0 & Self::TAGS != 0
    }
}

/// Something that others are told of.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// With its source and its CR LF, without tags.
    pub(crate) line: Vec<u8>,
    /// When it was.
    pub(crate) time: Stamp,
    /// Its id, where it has one.
    pub(crate) msgid: String,
    /// The account of whom it is from.
    pub(crate) account: Option<Box<str>>,
    /// It is from a bot.
    pub(crate) bot: bool,
    /// Tags of the client, as they are written: `+a=b;+c`.
    pub(crate) client_tags: String,
}

impl Event {
    /// One of the server's own.
    pub(crate) fn new(time: Stamp, line: Vec<u8>) -> Self {
        Self {
            line,
            time,
            msgid: String::new(),
            account: None,
            bot: false,
            client_tags: String::new(),
        }
    }

    /// Writes it as one class sees it.
    pub(crate) fn encode(&self, class: Class, out: &mut Vec<u8>) {
        let start = out.len();
        if class.0 & Class::TIME != 0 {
            tag(out, start, b"time=", self.time.as_bytes());
        }
        if class.0 & Class::ACCOUNT != 0
            && let Some(account) = &self.account
        {
            // A nick may have a backslash, and so may an account.
            tag(out, start, b"account=", b"");
            tags::escape(account, out);
        }
        if class.sees_tags() {
            if !self.msgid.is_empty() {
                tag(out, start, b"msgid=", self.msgid.as_bytes());
            }
            if self.bot {
                tag(out, start, b"bot", b"");
            }
            if !self.client_tags.is_empty() {
                tag(out, start, b"", self.client_tags.as_bytes());
            }
        }
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(&self.line);
    }
}

#[inline]
fn tag(out: &mut Vec<u8>, start: usize, key: &[u8], value: &[u8]) {
    out.push(if out.len() == start { b'@' } else { b';' });
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// One event, encoded for those classes that were asked for.
pub(crate) struct Encoded<'a> {
    event: &'a Event,
    classes: [Option<Bytes>; Class::COUNT],
}

impl<'a> Encoded<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        Self {
            event,
            classes: [const { None }; Class::COUNT],
        }
    }

    pub(crate) fn of(&mut self, class: Class) -> Bytes {
        self.classes[class.index()]
            .get_or_insert_with(|| {
                let mut out = Vec::with_capacity(self.event.line.len() + 128);
                self.event.encode(class, &mut out);
                out.into()
            })
            .clone()
    }
}

/// Builds a line: `:source COMMAND param :text`, cut to what a line may have.
///
/// Parts come from messages that were parsed, or from options; whatever control characters the
/// latter hold become spaces, so that nobody writes two lines in place of one.
pub(crate) struct Line(Vec<u8>);

impl Line {
    pub(crate) fn new(source: &str, command: &str) -> Self {
        let mut line = Vec::with_capacity(160);
        line.push(b':');
        line.extend_from_slice(source.as_bytes());
        line.push(b' ');
        line.extend_from_slice(command.as_bytes());
        Self(line)
    }

    /// A reply by its number.
    pub(crate) fn numeric(server: &str, numeric: Numeric, nick: &str) -> Self {
        let code = numeric.code();
        let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or_default();
        let digits = [digit(code / 100), digit(code / 10), digit(code)];
        Self::new(server, str::from_utf8(&digits).unwrap_or_default()).param(nick)
    }

    /// Without a source, as `ERROR` is.
    pub(crate) fn bare(command: &str) -> Self {
        Self(command.as_bytes().to_vec())
    }

    pub(crate) fn param(mut self, param: &str) -> Self {
        self.0.push(b' ');
        // What somebody sent as their last parameter may not fit into the middle: of that the
        // first word, and a star for what would be none, or the last.
        let word = param.split(' ').next().unwrap_or_default();
        let word = match word {
            "" => "*",
            word if word.starts_with(':') => "*",
            word => word,
        };
        self.0.extend_from_slice(word.as_bytes());
        self
    }

    pub(crate) fn params(self, params: &[&str]) -> Self {
        params.iter().fold(self, |line, param| line.param(param))
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(b" :");
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// The line with its end.
    pub(crate) fn end(mut self) -> Vec<u8> {
        finish(&mut self.0, 0);
        self.0
    }
}

/// Cuts what stands from `start` to what a line may have, whole characters only, and ends it.
pub(crate) fn finish(out: &mut Vec<u8>, start: usize) {
    use crate::proto::message::LIMIT;
    if out.len() - start > LIMIT - 2 {
        let mut end = start + LIMIT - 2;
        while end > start && out[end] & 0xC0 == 0x80 {
            end -= 1;
        }
        out.truncate(end);
    }
    if memchr::memchr3(0, b'\r', b'\n', &out[start..]).is_some() {
        for byte in &mut out[start..] {
            if matches!(*byte, 0 | b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_sees_its_tags() {
        let event = Event {
            msgid: "m".into(),
            account: Some("ada".into()),
            bot: true,
            client_tags: "+x=y".into(),
            ..Event::new(Stamp::default(), b"PING\r\n".to_vec())
        };
        let see = |capabilities: &[Capability]| {
            let mut out = Vec::new();
            let class = Class::of(capabilities.iter().copied().collect());
            event.encode(class, &mut out);
            String::from_utf8(out).unwrap()
        };
        let back = Event {
            account: Some("a\\b".into()),
            ..Event::new(Stamp::default(), b"PING\r\n".to_vec())
        };
        let mut out = Vec::new();
        let class = Class::of([Capability::AccountTag].into_iter().collect());
        back.encode(class, &mut out);
        assert_eq!(out, b"@account=a\\\\b PING\r\n", "it is escaped");
        assert_eq!(see(&[Capability::Batch]), "PING\r\n");
        assert_eq!(
            see(&[Capability::ServerTime]),
            "@time=1970-01-01T00:00:00.000Z PING\r\n"
        );
        assert_eq!(see(&[Capability::AccountTag]), "@account=ada PING\r\n");
        assert_eq!(
            see(&[Capability::MessageTags, Capability::ServerTime]),
            "@time=1970-01-01T00:00:00.000Z;msgid=m;bot;+x=y PING\r\n"
        );
    }

    #[test]
    fn a_line_is_cut_between_characters_and_stays_one() {
        let long = "é".repeat(400);
        let line = Line::new("a", "PRIVMSG").param("#c").text(&long).end();
        assert!(line.len() <= 512 && line.len() >= 511);
        assert!(String::from_utf8(line).is_ok());
        let forged = Line::new("a", "NOTICE").text("x\r\nQUIT").end();
        assert_eq!(forged, b":a NOTICE :x  QUIT\r\n");
    }
}
