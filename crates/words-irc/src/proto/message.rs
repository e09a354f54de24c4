//! One line: its tags, who it is from, what it says. Parsed by borrowing, and
//! written into a buffer that may hold many.
//!
//! RFC 1459, section 2.3; RFC 2812, section 2.3.1, and its successor
//! <https://modern.ircdocs.horse/#message-format>. What both leave open is read
//! as servers and clients read it today: several spaces are one, spaces at the
//! end are none, and a fifteenth parameter has all that is left.

use std::fmt;

use super::{
    numeric::Numeric,
    tags::{self, Tags},
};

/// The bytes of a line without its tags, CR LF included (RFC 1459, section
/// 2.3).
pub const LIMIT: usize = 512;

/// The parameters of a message at most (RFC 2812, section 2.3).
pub const MAX_PARAMS: usize = 15;

/// A line as it was read.
///
/// ```
/// use ropewalk_words_irc::proto::message::Message;
///
/// let line = "@time=2026-11-22T20:00:00.000Z :ada!a@host PRIVMSG #rope :hello, all";
/// let message = Message::parse(line)?;
/// assert_eq!(message.source.unwrap().nick(), "ada");
/// assert_eq!(message.command, "PRIVMSG");
/// assert_eq!(message.params[..], ["#rope", "hello, all"]);
/// # Ok::<(), ropewalk_words_irc::proto::message::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What is said about it.
    pub tags: Tags<'a>,
    /// Who it is from; none for whoever is at the other end.
    pub source: Option<Source<'a>>,
    /// A command in any case, or three digits.
    pub command: &'a str,
    /// What it is about.
    pub params: Params<'a>,
}

/// A line that is no message. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It has no command; an empty line is such a one, and is ignored.
    #[error("no command")]
    NoCommand,
    /// Its command is neither letters nor three digits.
    #[error("a command is letters, or three digits")]
    BadCommand,
    /// It holds NUL, CR or LF.
    #[error("NUL, CR or LF within a line")]
    Control,
    /// Its tags are longer than they may be.
    #[error("tags of more than {0} bytes")]
    LongTags(usize),
    /// Without its tags it is longer than it may be.
    #[error("more than {0} bytes behind the tags")]
    Long(usize),
}

/// How long a line may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// The bytes of its tags, with the `@` and the space.
    pub tags: usize,
    /// The bytes behind them, without CR LF.
    pub rest: usize,
}

impl Bounds {
    /// What a server takes of a client.
    pub const FROM_CLIENT: Self = Self {
        tags: tags::CLIENT_LIMIT + 2,
        rest: LIMIT - 2,
    };

    /// What a client takes of a server, which may have been told to send longer
    /// lines: twice as much as is usual.
    pub const FROM_SERVER: Self = Self {
        tags: tags::LIMIT,
        rest: 2 * LIMIT - 2,
    };

    /// The longest line that can be within them: more need not be buffered.
    pub const fn most(self) -> usize {
        self.tags + self.rest
    }
}

impl<'a> Message<'a> {
    /// Reads a line of any length, without its end.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(line: &'a str) -> Result<Self, ParseError> {
        let unbounded = Bounds {
            tags: usize::MAX,
            rest: usize::MAX,
        };
        Self::parse_within(line, unbounded)
    }

    /// Reads a line, without its end, that is no longer than it may be.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse_within(line: &'a str, bounds: Bounds) -> Result<Self, ParseError> {
        if memchr::memchr3(0, b'\r', b'\n', line.as_bytes()).is_some() {
            return Err(ParseError::Control);
        }
        let (tags, rest) = match line.strip_prefix('@') {
            Some(tagged) => word(tagged),
            None => ("", line.trim_start_matches(' ')),
        };
        if !tags.is_empty() && tags.len() + 2 > bounds.tags {
            return Err(ParseError::LongTags(bounds.tags));
        }
        if rest.len() > bounds.rest {
            return Err(ParseError::Long(bounds.rest));
        }
        let (source, rest) = match rest.strip_prefix(':') {
            Some(named) => {
                let (source, rest) = word(named);
                // One of no letters is none.
                ((!source.is_empty()).then_some(Source(source)), rest)
            }
            None => (None, rest),
        };
        let (command, rest) = word(rest);
        if command.is_empty() {
            return Err(ParseError::NoCommand);
        }
        if !is_command(command) {
            return Err(ParseError::BadCommand);
        }
        Ok(Self {
            tags: Tags::new(tags),
            source,
            command,
            params: Params::parse(rest),
        })
    }

    /// Whether this is its command, in whatever case.
    pub fn is(&self, command: &str) -> bool {
        self.command.eq_ignore_ascii_case(command)
    }

    /// The number of a reply, if it is one.
    pub fn numeric(&self) -> Option<Numeric> {
        match self.command.as_bytes() {
            [a, b, c] if a.is_ascii_digit() => {
                let digit = |d: &u8| u16::from(d - b'0');
                Some(Numeric::new(digit(a) * 100 + digit(b) * 10 + digit(c)))
            }
            _ => None,
        }
    }

    /// A parameter, counted from 0.
    pub fn param(&self, n: usize) -> Option<&'a str> {
        self.params.get(n).copied()
    }

    /// Writes it as it was read, with CR LF.
    ///
    /// # Errors
    /// [`WriteError`], if what it holds cannot be in a line; what was parsed
    /// always can.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let mut line = Writer::new(out);
        for tag in self.tags.iter() {
            line.tag_escaped(tag.key, tag.escaped);
        }
        if let Some(source) = self.source {
            line.source(source.0);
        }
        line.command(self.command);
        for param in &*self.params {
            line.param(param);
        }
        line.end()
    }
}

/// The text up to the next space, and what stands behind all the spaces there.
fn word(text: &str) -> (&str, &str) {
    match memchr::memchr(b' ', text.as_bytes()) {
        Some(end) => (&text[..end], text[end..].trim_start_matches(' ')),
        None => (text, ""),
    }
}

fn is_command(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphabetic())
        || (text.len() == 3 && text.bytes().all(|c| c.is_ascii_digit()))
}

/// The parameters of a message, the last with its spaces.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    list: [&'a str; MAX_PARAMS],
    len: usize,
}

impl<'a> Params<'a> {
    fn parse(mut rest: &'a str) -> Self {
        let mut params = Self {
            list: [""; MAX_PARAMS],
            len: 0,
        };
        while !rest.is_empty() {
            let last = rest.strip_prefix(':');
            if last.is_some() || params.len == MAX_PARAMS - 1 {
                params.list[params.len] = last.unwrap_or(rest);
                params.len += 1;
                break;
            }
            let (param, further) = word(rest);
            params.list[params.len] = param;
            params.len += 1;
            rest = further;
        }
        params
    }
}

impl<'a> std::ops::Deref for Params<'a> {
    type Target = [&'a str];

    fn deref(&self) -> &Self::Target {
        &self.list[..self.len]
    }
}

impl PartialEq for Params<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Params<'_> {}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Who a message is from: `nick!user@host`, or a server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a>(&'a str);

impl<'a> Source<'a> {
    /// Of the text behind the colon.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// As it came.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The nick, or the name of the server.
    pub fn nick(self) -> &'a str {
        self.parts().0
    }

    /// The user name, if there is one.
    pub fn user(self) -> Option<&'a str> {
        self.parts().1
    }

    /// The host, if there is one.
    pub fn host(self) -> Option<&'a str> {
        self.parts().2
    }

    /// A nick may hold neither `!` nor `@`; a user name may hold `!`, and a
    /// host begins behind the first `@`.
    fn parts(self) -> (&'a str, Option<&'a str>, Option<&'a str>) {
        let (names, host) = match self.0.split_once('@') {
            Some((names, host)) => (names, Some(host)),
            None => (self.0, None),
        };
        match names.split_once('!') {
            Some((nick, user)) => (nick, Some(user), host),
            None => (names, None, host),
        }
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What cannot be in a line. The program is at fault: what comes from a peer
/// was parsed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// NUL, CR or LF: whoever wrote that could write lines of their own.
    #[error("NUL, CR or LF within a line")]
    Control,
    /// A source or a tag with a space, a parameter that is empty or begins with
    /// a colon or has a space and is not the last, a word that is no command.
    #[error("{0} cannot stand where it does")]
    Misplaced(&'static str),
    /// More than [`MAX_PARAMS`].
    #[error("more than {MAX_PARAMS} parameters")]
    TooManyParams,
}

/// Writes one line behind what a buffer holds; nothing is allocated but by the
/// buffer.
///
/// The parts come in their order. If one cannot be in a line,
/// [`end`](Self::end) says so, and the buffer is as it was: nobody forges a
/// line by what they put into a part of one.
///
/// ```
/// use ropewalk_words_irc::proto::message::Writer;
///
/// let mut out = Vec::new();
/// Writer::new(&mut out)
///     .source("irc.example.com")
///     .command("001")
///     .param("ada")
///     .param("Welcome, ada")
///     .end()?;
/// assert_eq!(out, b":irc.example.com 001 ada :Welcome, ada\r\n");
/// # Ok::<(), ropewalk_words_irc::proto::message::WriteError>(())
/// ```
#[must_use = "a line is not written before its end"]
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    tagged: bool,
    params: usize,
    /// The last parameter was one that only the last can be.
    trailing: bool,
    error: Option<WriteError>,
}

impl<'a> Writer<'a> {
    /// Begins a line.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self {
            out,
            start,
            tagged: false,
            params: 0,
            trailing: false,
            error: None,
        }
    }

    /// A tag, with its value as it is; an empty one is none.
    pub fn tag(&mut self, key: &str, value: &str) -> &mut Self {
        self.tag_key(key);
        if !value.is_empty() {
            self.out.push(b'=');
            tags::escape(value, self.out);
        }
        self
    }

    /// A tag whose value is escaped already, as one that is passed on.
    pub fn tag_escaped(&mut self, key: &str, escaped: &str) -> &mut Self {
        self.tag_key(key);
        if !escaped.is_empty() {
            if escaped.contains([' ', ';']) {
                self.fail(WriteError::Misplaced("a tag"));
            }
            self.out.push(b'=');
            self.text(escaped);
        }
        self
    }

    fn tag_key(&mut self, key: &str) {
        self.out.push(if self.tagged { b';' } else { b'@' });
        self.tagged = true;
        if key.is_empty() || key.contains([' ', ';', '=']) {
            self.fail(WriteError::Misplaced("a tag"));
        }
        self.text(key);
    }

    /// Who it is from.
    pub fn source(&mut self, source: &str) -> &mut Self {
        self.end_tags();
        if source.is_empty() || source.contains(' ') {
            self.fail(WriteError::Misplaced("a source"));
        }
        self.out.push(b':');
        self.text(source);
        self.out.push(b' ');
        self
    }

    /// What it says.
    pub fn command(&mut self, command: &str) -> &mut Self {
        self.end_tags();
        if command.is_empty() || !is_command(command) {
            self.fail(WriteError::Misplaced("a command"));
        }
        self.out.extend_from_slice(command.as_bytes());
        self
    }

    /// A reply, by its number.
    pub fn numeric(&mut self, numeric: Numeric) -> &mut Self {
        self.end_tags();
        let code = numeric.code();
        for part in [code / 100, code / 10 % 10, code % 10] {
            // A digit, since a numeric has three.
            self.out.extend(b"0123456789".get(usize::from(part)));
        }
        self
    }

    /// A parameter. Only the last may be empty, begin with a colon, or have
    /// spaces; it then gets its colon by itself.
    pub fn param(&mut self, param: &str) -> &mut Self {
        let last = param.is_empty() || param.starts_with(':') || param.contains(' ');
        self.write_param(param, last)
    }

    /// The last parameter, with a colon whether it needs one or not: texts of
    /// messages, which some clients expect so.
    pub fn text_param(&mut self, text: &str) -> &mut Self {
        self.write_param(text, true)
    }

    fn write_param(&mut self, param: &str, last: bool) -> &mut Self {
        if self.trailing {
            self.fail(WriteError::Misplaced("a parameter"));
        }
        self.params += 1;
        if self.params > MAX_PARAMS {
            self.fail(WriteError::TooManyParams);
        }
        self.trailing = last;
        self.out.extend_from_slice(if last { b" :" } else { b" " });
        self.text(param);
        self
    }

    /// Ends the line with CR LF.
    ///
    /// # Errors
    /// [`WriteError`], if a part could not be in a line; nothing is written
    /// then.
    pub fn end(&mut self) -> Result<(), WriteError> {
        if let Some(error) = self.error.take() {
            self.out.truncate(self.start);
            return Err(error);
        }
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn end_tags(&mut self) {
        if self.tagged {
            self.tagged = false;
            self.out.push(b' ');
        }
    }

    fn text(&mut self, text: &str) {
        if memchr::memchr3(0, b'\r', b'\n', text.as_bytes()).is_some() {
            self.fail(WriteError::Control);
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    fn fail(&mut self, error: WriteError) {
        self.error.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, source: Option<&str>, command: &str, params: &[&str]) {
        let message = Message::parse(line).unwrap();
        assert_eq!(message.source.map(Source::as_str), source, "{line:?}");
        assert_eq!(message.command, command, "{line:?}");
        assert_eq!(&message.params[..], params, "{line:?}");
    }

    fn refused(line: &str, why: ParseError) {
        assert_eq!(Message::parse(line), Err(why), "{line:?}");
    }

    /// RFC 2812, section 2.3.1, and what became of it.
    #[test]
    fn lines_are_read() {
        check("foo bar baz asdf", None, "foo", &["bar", "baz", "asdf"]);
        check(":coolguy foo bar", Some("coolguy"), "foo", &["bar"]);
        check("foo bar :baz asdf", None, "foo", &["bar", "baz asdf"]);
        check("foo bar :", None, "foo", &["bar", ""]);
        check("foo bar ::baz", None, "foo", &["bar", ":baz"]);
        check("foo bar : baz ", None, "foo", &["bar", " baz "]);
        check("foo :", None, "foo", &[""]);
        check("foo b:ar", None, "foo", &["b:ar"]);
        check("PING", None, "PING", &[]);
        check(":a!b@c 001 d", Some("a!b@c"), "001", &["d"]);
    }

    #[test]
    fn several_spaces_are_one_and_those_at_the_end_are_none() {
        check(
            ":s  foo   bar   :baz  x",
            Some("s"),
            "foo",
            &["bar", "baz  x"],
        );
        check("foo bar  ", None, "foo", &["bar"]);
        check("@a=b   :s foo", Some("s"), "foo", &[]);
        check("  foo", None, "foo", &[]);
        let spaces = " ".repeat(1_000_000);
        check(&format!("foo{spaces}bar{spaces}"), None, "foo", &["bar"]);
    }

    #[test]
    fn tags_stand_apart() {
        let message = Message::parse("@a=b;c :s foo :@x").unwrap();
        assert_eq!(message.tags.as_str(), "a=b;c");
        assert_eq!(message.params[..], ["@x"]);
    }

    #[test]
    fn the_fifteenth_parameter_has_the_rest() {
        let message = Message::parse("x 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 :17").unwrap();
        assert_eq!(message.params.len(), MAX_PARAMS);
        assert_eq!(message.params[14], "15 16 :17");
        let message = Message::parse("x 1 2 3 4 5 6 7 8 9 10 11 12 13 14 :15 16").unwrap();
        assert_eq!(message.params[14], "15 16");
    }

    #[test]
    fn what_is_no_message() {
        for line in ["", " ", ":a", ":a ", "@a", "@a :b ", ":", "@"] {
            refused(line, ParseError::NoCommand);
        }
        for line in ["0", "12", "1234", "a1", "PRIV-MSG", "é", "1a2", ": : :"] {
            refused(line, ParseError::BadCommand);
        }
        for line in ["a\0", "a b\rc", "a :b\nc", "\0"] {
            refused(line, ParseError::Control);
        }
    }

    #[test]
    fn lengths_are_bounded_apart() {
        let bounds = Bounds::FROM_CLIENT;
        let tag = "t".repeat(tags::CLIENT_LIMIT);
        let text = "x".repeat(LIMIT - 2 - "PRIVMSG a :".len());
        let line = format!("@{tag} PRIVMSG a :{text}");
        assert!(Message::parse_within(&line, bounds).is_ok());
        assert_eq!(line.len(), bounds.most());
        assert_eq!(
            Message::parse_within(&format!("@{tag}t PING"), bounds),
            Err(ParseError::LongTags(4096))
        );
        assert_eq!(
            Message::parse_within(&format!("PRIVMSG a :{text}x"), bounds),
            Err(ParseError::Long(510))
        );
    }

    #[test]
    fn sources_have_parts() {
        let parts = |text| Source::new(text).parts();
        assert_eq!(parts("a!b@c"), ("a", Some("b"), Some("c")));
        assert_eq!(parts("a@c"), ("a", None, Some("c")));
        assert_eq!(parts("a!b"), ("a", Some("b"), None));
        assert_eq!(parts("irc.example.com"), ("irc.example.com", None, None));
        assert_eq!(parts("a!b!c@d@e"), ("a", Some("b!c"), Some("d@e")));
    }

    #[test]
    fn numerics_and_commands_are_told_apart() {
        let message = Message::parse("433 * a :taken").unwrap();
        assert_eq!(message.numeric().map(Numeric::code), Some(433));
        let message = Message::parse("privmsg a").unwrap();
        assert_eq!(message.numeric(), None);
        assert!(message.is("PRIVMSG"));
    }

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Result<String, WriteError> {
        let mut out = b"before\r\n".to_vec();
        let mut writer = Writer::new(&mut out);
        write(&mut writer);
        let result = writer.end();
        let text = String::from_utf8(out).unwrap();
        let line = text.strip_prefix("before\r\n").unwrap().to_owned();
        if result.is_err() {
            assert_eq!(line, "", "nothing is left of it");
        }
        result.map(|()| line)
    }

    #[test]
    fn lines_are_written() {
        let line = written(|w| {
            w.tag("a", "x;y z").tag("b", "").source("s");
            w.command("FOO").param("bar").param("");
        });
        assert_eq!(line.unwrap(), "@a=x\\:y\\sz;b :s FOO bar :\r\n");
        let line = written(|w| {
            w.numeric(Numeric::new(5)).param("a").text_param("b");
        });
        assert_eq!(line.unwrap(), "005 a :b\r\n");
    }

    #[test]
    fn nobody_forges_a_line() {
        let misplaced = |what| Err(WriteError::Misplaced(what));
        for bad in ["a\r\nQUIT", "a\0", "\n"] {
            let control = Err(WriteError::Control);
            assert_eq!(
                written(|w| {
                    w.command("X").param(bad);
                }),
                control
            );
            assert_eq!(
                written(|w| {
                    w.source(bad).command("X");
                }),
                control
            );
        }
        assert_eq!(
            written(|w| {
                w.source("a b").command("X");
            }),
            misplaced("a source")
        );
        assert_eq!(
            written(|w| {
                w.command("X").param("a b").param("c");
            }),
            misplaced("a parameter")
        );
        assert_eq!(
            written(|w| {
                w.command("X Y");
            }),
            misplaced("a command")
        );
        assert_eq!(
            written(|w| {
                w.tag("a b", "").command("X");
            }),
            misplaced("a tag")
        );
        assert_eq!(
            written(|w| {
                w.tag_escaped("a", "b;c").command("X");
            }),
            misplaced("a tag")
        );
        let many = written(|w| {
            w.command("X");
            for _ in 0..=MAX_PARAMS {
                w.param("p");
            }
        });
        assert_eq!(many, Err(WriteError::TooManyParams));
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_and_read_the_same(
            line in "(@[a-z=;\\\\]{0,9} )?(:[a-z!@]{1,9} )?([a-zA-Z]{1,9}|[0-9]{3})( [^\\x00\\r\\n: ][^\\x00\\r\\n ]{0,5}){0,13}( :[^\\x00\\r\\n]{0,20})?"
        ) {
            let message = Message::parse(&line).unwrap();
            let mut out = Vec::new();
            message.write(&mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            let again = Message::parse(text.strip_suffix("\r\n").unwrap()).unwrap();
            let tags = |m: &Message<'_>| m.tags.iter().map(|t| (t.key.to_owned(), t.escaped.to_owned())).collect::<Vec<_>>();
            proptest::prop_assert_eq!(tags(&message), tags(&again));
            proptest::prop_assert_eq!(message.source, again.source);
            proptest::prop_assert_eq!(message.command, again.command);
            proptest::prop_assert_eq!(message.params, again.params);
        }

        #[test]
        fn nothing_panics(line in ".{0,600}") {
            let _ = Message::parse_within(&line, Bounds::FROM_CLIENT);
        }
    }
}
