//! What is wrong with an endpoint string, and where.
//!
//! One type serves both sides. It is made to be read by the person who wrote the string, so its
//! `Display` is one line that names the place, the fault and what would be right. It is no error
//! of listening or connecting: those come later, from the system.

use std::borrow::Cow;
use std::fmt;

/// An endpoint string that does not parse.
///
/// The fault lies with whoever wrote the string: an operator on a command line or in a
/// configuration, or a program that built it without [`quote`](crate::endpoint::quote).
///
/// ```
/// use ropewalk_core::ServerEndpoint;
///
/// let error = "tcp:80:bklog=5".parse::<ServerEndpoint>().unwrap_err();
/// assert_eq!(error.position, 7);
/// assert_eq!(
///     error.to_string(),
///     r#"endpoint "tcp:80:bklog=5": at 7: unknown keyword "bklog", expected one of interface, port, backlog, keepalive"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "endpoint {}: at {position}: {}, expected {expected}",
    Quoted(endpoint),
    Fault { part, problem }
)]
#[non_exhaustive]
pub struct ParseError {
    /// The whole string, also where the fault lies in a nested endpoint. Of a string over
    /// [`MAX_LENGTH`](crate::endpoint::MAX_LENGTH) only so many bytes are kept.
    pub endpoint: String,
    /// Where in the whole string, in bytes from its start. The end of the string where something
    /// is missing there.
    pub position: usize,
    /// The part at fault: `port`, `interface`, `scheme`, …
    pub part: Cow<'static, str>,
    /// What is wrong with the part.
    pub problem: Problem,
    /// What would be right, in words that follow "expected".
    pub expected: String,
}

/// What is wrong with a part of an endpoint string.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The part is not there.
    Missing,
    /// The part is there, with nothing in it.
    Empty,
    /// The part reads so, and cannot.
    Invalid(String),
    /// A `name=value` whose name means nothing to this scheme.
    UnknownKeyword(String),
    /// A field, or a character, that nothing is left to take.
    Unexpected(String),
    /// The part is given more than once.
    Repeated,
    /// The part goes together with another part that is not there, or not with one that is.
    Conflict,
    /// A `[` without its `]`.
    OpenBracket,
    /// A `\` with nothing behind it.
    DanglingEscape,
    /// A control character or a line separator: no name, path or command needs one, and a log
    /// line that shows one can be forged.
    ControlCharacter(char),
    /// The string has so many bytes, as written or in its canonical form.
    TooLong(usize),
    /// The jumps are nested too deep.
    TooDeep,
    /// A scheme of clients in a server's endpoint.
    CannotServe(String),
    /// A scheme of servers in a client's endpoint.
    CannotConnect(String),
    /// A scheme that the jump before it does not lead to.
    Unreachable(String),
}

/// A problem together with its part, since most of the sentences name it.
struct Fault<'a> {
    part: &'a str,
    problem: &'a Problem,
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part;
        match self.problem {
            Problem::Missing => write!(f, "no {part}"),
            Problem::Empty => write!(f, "empty {part}"),
            Problem::Invalid(text) => write!(f, "bad {part} {}", Quoted(text)),
            Problem::UnknownKeyword(name) => write!(f, "unknown keyword {}", Quoted(name)),
            Problem::Unexpected(text) => write!(f, "unexpected {part} {}", Quoted(text)),
            Problem::Repeated => write!(f, "{part} given twice"),
            Problem::Conflict => write!(f, "{part} out of place"),
            Problem::OpenBracket => f.write_str("\"[\" without \"]\""),
            Problem::DanglingEscape => f.write_str("nothing behind \"\\\""),
            Problem::ControlCharacter(c) => write!(f, "control character U+{:04X}", u32::from(*c)),
            Problem::TooLong(bytes) => write!(f, "{part} of {bytes} bytes"),
            Problem::TooDeep => f.write_str("too many jumps"),
            Problem::CannotServe(scheme) => write!(f, "{} cannot serve", Quoted(scheme)),
            Problem::Unreachable(scheme) => {
                write!(f, "{} cannot be reached so", Quoted(scheme))
            }
            Problem::CannotConnect(scheme) => write!(f, "{} cannot connect", Quoted(scheme)),
        }
    }
}

/// Text in quotes on one line, as it was written: backslashes are not doubled, since the reader
/// counts positions in what they typed. Only what would break the line is escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for (count, c) in self.0.chars().enumerate() {
            if count == SHOWN {
                f.write_str("…")?;
                break;
            }
            if breaks_line(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        f.write_str("\"")
    }
}

/// Control characters, and Unicode's two that end a line without being one.
pub(super) fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// How many characters of a text an error's line shows: enough for any real endpoint, and still
/// one line of a log for the others.
const SHOWN: usize = 256;
