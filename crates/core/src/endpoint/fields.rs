//! From fields to values: which fields a scheme has, and the numbers, paths and words in them.
//!
//! A scheme states its [`Shape`]; [`Fields`] holds a description against it once, so that unknown,
//! repeated and superfluous fields are refused in one place and in one manner. Addresses and host
//! names are read in [`address`](super::address).

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ParseError, Problem};
use super::grammar::{Description, Escaped, Source};
use crate::MulticastGroup;

/// The fields that a scheme takes.
pub(super) struct Shape {
    /// What to write, for the error when something is missing or left over.
    pub(super) form: &'static str,
    /// The names of the positionals, in order. Each may be given as a keyword too.
    pub(super) slots: &'static [&'static str],
    /// The names of the other keywords.
    pub(super) keywords: &'static [&'static str],
    /// The bare words that may follow the positionals.
    pub(super) flags: &'static [&'static str],
}

/// The fields of one endpoint, each under its name.
pub(super) struct Fields<'a> {
    source: &'a Source<'a>,
    form: &'static str,
    parts: Vec<Part<'a>>,
    flags: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Gives each field its name, and refuses those that have none.
    pub(super) fn new(
        source: &'a Source<'a>,
        description: &'a Description,
        shape: &Shape,
    ) -> Result<Self, ParseError> {
        Self::with_slots(source, description, shape, shape.slots)
    }

    /// The same, with positionals only for some of the names that the shape gives them.
    pub(super) fn with_slots(
        source: &'a Source<'a>,
        description: &'a Description,
        shape: &Shape,
        slots: &[&'static str],
    ) -> Result<Self, ParseError> {
        let mut fields = Self {
            source,
            form: shape.form,
            parts: Vec::new(),
            flags: Vec::new(),
        };
        for keyword in &description.keywords {
            let known = shape.slots.iter().chain(shape.keywords);
            let Some(&name) = known.into_iter().find(|name| **name == keyword.name) else {
                let problem = Problem::UnknownKeyword(keyword.name.clone());
                let expected = shape.expected_keywords(&keyword.name);
                return Err(source.error(keyword.at.0, "keyword", problem, expected));
            };
            let part = Part {
                source,
                name,
                text: &keyword.value,
                at: keyword.value_at.0,
            };
            if part.text.is_empty() {
                return Err(part.error(Problem::Empty, "a value"));
            }
            fields.parts.push(part);
        }

        let named = |name: &&&str| description.keyword(name).is_some();
        let twice = slots.iter().find(named);
        let mut slots = slots.iter().filter(|name| !named(name));
        for positional in &description.positionals {
            let (text, at) = (positional.value.as_str(), positional.at.0);
            if let Some(&name) = slots.next() {
                fields.parts.push(Part {
                    source,
                    name,
                    text,
                    at,
                });
                continue;
            }
            let Some(&flag) = shape
                .flags
                .iter()
                .find(|flag| flag.eq_ignore_ascii_case(text))
            else {
                if let Some(&name) = twice {
                    let expected = "it once, in its place or by its name";
                    return Err(source.error(at, name, Problem::Repeated, expected));
                }
                let problem = Problem::Unexpected(text.to_owned());
                return Err(source.error(at, "field", problem, shape.whole_form()));
            };
            if fields.flag(flag) {
                return Err(source.error(at, flag, Problem::Repeated, "it once"));
            }
            fields.flags.push(flag);
        }
        Ok(fields)
    }

    pub(super) fn optional(&self, name: &str) -> Option<Part<'a>> {
        self.part(name).copied()
    }

    pub(super) fn required(&self, name: &'static str) -> Result<Part<'a>, ParseError> {
        self.optional(name)
            .ok_or_else(|| self.missing(name, self.form))
    }

    /// For a field that must be there.
    pub(super) fn missing(&self, name: &'static str, expected: impl Into<String>) -> ParseError {
        let end = self.source.end();
        self.source.error(end, name, Problem::Missing, expected)
    }

    /// The files of a certificate and its key. A key alone proves nothing.
    pub(super) fn certificate(&self) -> Result<(Option<PathBuf>, Option<PathBuf>), ParseError> {
        let (cert, key) = (self.optional("cert"), self.optional("key"));
        if let (None, Some(key)) = (cert, key) {
            return Err(key.conflict("cert= beside it"));
        }
        Ok((cert.map(|cert| cert.file()), key.map(|key| key.file())))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }

    fn part(&self, name: &str) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.name == name)
    }
}

impl Shape {
    /// The form with all that may follow the positionals.
    fn whole_form(&self) -> String {
        let mut form = self.form.to_owned();
        for keyword in self.keywords {
            form += &format!("[:{keyword}=…]");
        }
        for flag in self.flags {
            form += &format!("[:{flag}]");
        }
        form
    }

    fn expected_keywords(&self, given: &str) -> String {
        if self.flags.contains(&given) {
            return format!("the bare word {given}, without a value");
        }
        let names: Vec<_> = self.slots.iter().chain(self.keywords).copied().collect();
        match names.as_slice() {
            [] => self.form.to_owned(),
            [name] => format!("no other than {name}"),
            names => format!("one of {}", names.join(", ")),
        }
    }
}

/// A field with its name, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    source: &'a Source<'a>,
    name: &'static str,
    pub(super) text: &'a str,
    at: usize,
}

impl Part<'_> {
    pub(super) fn error(&self, problem: Problem, expected: impl Into<String>) -> ParseError {
        self.source.error(self.at, self.name, problem, expected)
    }

    pub(super) fn invalid(&self, expected: impl Into<String>) -> ParseError {
        self.error(Problem::Invalid(self.text.to_owned()), expected)
    }

    /// For a part that contradicts another one.
    pub(super) fn conflict(&self, expected: impl Into<String>) -> ParseError {
        self.error(Problem::Conflict, expected)
    }

    /// A port, from `least` on: 0 asks for any, which only a server can do.
    pub(super) fn port(&self, least: u16) -> Result<u16, ParseError> {
        let range = || format!("a number from {least} to {}", u16::MAX);
        let port = decimal(self.text).and_then(|number| u16::try_from(number).ok());
        port.filter(|port| *port >= least)
            .ok_or_else(|| self.invalid(range()))
    }

    pub(super) fn backlog(&self) -> Result<u32, ParseError> {
        let backlog = decimal(self.text).filter(|backlog| (1..=MAX_BACKLOG).contains(backlog));
        backlog.ok_or_else(|| self.invalid(format!("a number from 1 to {MAX_BACKLOG}")))
    }

    /// Networks that a datagram to a group may cross.
    pub(super) fn hops(&self) -> Result<u8, ParseError> {
        let hops = decimal(self.text).and_then(|number| u8::try_from(number).ok());
        hops.ok_or_else(|| self.invalid("a number from 0 to 255"))
    }

    /// Multicast groups, with commas between them.
    pub(super) fn groups(&self) -> Result<Vec<MulticastGroup>, ParseError> {
        let group = |text: &str| {
            let expected = "multicast groups with commas between, such as 224.0.0.251%eth0, \
                            [ff02::fb] or 192.0.2.1@232.1.2.3";
            text.parse().map_err(|_| self.invalid(expected))
        };
        self.text.split(',').map(group).collect()
    }

    pub(super) fn descriptor(&self) -> Result<i32, ParseError> {
        let number = decimal(self.text).and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| self.invalid("the number of an open descriptor"))
    }

    /// Permission bits: three octal digits, with or without a 0 before them.
    pub(super) fn mode(&self) -> Result<u32, ParseError> {
        let digits = match self.text.as_bytes() {
            [b'0', digits @ ..] if digits.len() == 3 => digits,
            digits => digits,
        };
        if digits.len() != 3 || !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
            return Err(self.invalid("three octal digits, such as 660"));
        }
        Ok(digits
            .iter()
            .fold(0, |mode, digit| mode * 8 + u32::from(digit - b'0')))
    }

    /// Seconds, with at most three digits behind the point.
    pub(super) fn seconds(&self) -> Result<Duration, ParseError> {
        let (whole, fraction) = self.text.split_once('.').unwrap_or((self.text, "0"));
        let digits = (1..=3).contains(&fraction.len())
            && fraction.bytes().all(|digit| digit.is_ascii_digit());
        let millis = format!("{fraction:0<3}")
            .parse::<u64>()
            .ok()
            .filter(|_| digits);
        let duration = decimal(whole).zip(millis).map(|(whole, millis)| {
            Duration::from_secs(whole.into()) + Duration::from_millis(millis)
        });
        let fits = |duration: &Duration| !duration.is_zero() && *duration <= MAX_TIMEOUT;
        let range = || format!("seconds, above 0 and up to {}", MAX_TIMEOUT.as_secs());
        duration.filter(fits).ok_or_else(|| self.invalid(range()))
    }

    /// Whole seconds, up to what the system counts a keep-alive in.
    pub(super) fn keepalive(&self) -> Result<Duration, ParseError> {
        let seconds = decimal(self.text).filter(|seconds| (1..=MAX_KEEPALIVE).contains(seconds));
        let seconds = seconds.map(|seconds| Duration::from_secs(seconds.into()));
        seconds.ok_or_else(|| self.invalid(format!("whole seconds from 1 to {MAX_KEEPALIVE}")))
    }

    /// The path of a file. Whether there is one shows when it is opened.
    pub(super) fn file(&self) -> PathBuf {
        PathBuf::from(self.text)
    }
}

/// Digits alone, no sign, no leading zero: one spelling for each number, and none that a reader
/// could take for octal.
fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// A duration as [`Part::seconds`] reads it. It is only as exact as that: milliseconds.
pub(super) fn write_seconds(duration: Duration) -> String {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A path as it stands in an endpoint. Those that were parsed are text; of others, which only a
/// program could make, what is no text is replaced.
pub(super) fn path_text(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

/// A file's keyword, where it is given.
pub(super) fn write_file(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    path: Option<&PathBuf>,
) -> fmt::Result {
    let Some(path) = path else { return Ok(()) };
    write!(
        f,
        ":{name}={}",
        Escaped {
            text: &path_text(path),
            positional: false,
            jump: false
        }
    )
}

/// A flag, where it is given.
pub(super) fn write_flag(f: &mut fmt::Formatter<'_>, name: &str, given: bool) -> fmt::Result {
    if given { write!(f, ":{name}") } else { Ok(()) }
}

/// The flag of `udp:` on both sides.
pub(super) const BROADCAST: &str = "broadcast";

/// A keep-alive's keyword, where it is given.
pub(super) fn write_keepalive(f: &mut fmt::Formatter<'_>, after: Option<Duration>) -> fmt::Result {
    match after {
        Some(after) => write!(f, ":keepalive={}", after.as_secs()),
        None => Ok(()),
    }
}

/// `fd:`, the same for both sides.
pub(super) const FD: Shape = Shape {
    form: "fd:NUMBER",
    slots: &["descriptor"],
    keywords: &[],
    flags: &[],
};

/// `mem:`, the same for both sides.
pub(super) const MEM: Shape = Shape {
    form: "mem:NAME",
    slots: &["name"],
    keywords: &[],
    flags: &[],
};

/// `listen` takes a C `int`.
const MAX_BACKLOG: u32 = i32::MAX as u32;

/// Linux's own limit (tcp(7)).
const MAX_KEEPALIVE: u32 = 32_767;

/// A day. Nobody waits longer for a connection, and a deadline further away only hides a slip.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
