//! The grammar of endpoint strings, the same for servers and clients.
//!
//! Here a string is taken apart into a scheme, fields and perhaps an inner endpoint, and put
//! together again. What the fields of a scheme mean stands with
//! [`ServerEndpoint`](crate::ServerEndpoint) and [`ClientEndpoint`](crate::ClientEndpoint). Nothing
//! here looks anything up, opens a file or a socket.
//!
//! # Grammar
//!
//! ABNF (RFC 5234), over characters; its quoted strings are case-insensitive, and so are schemes,
//! keyword names and flag words everywhere.
//!
//! ```abnf
//! endpoint    = plain / jump / command
//! plain       = scheme ":" [ fields ]
//! jump        = jump-scheme [ ":" [ fields ] ] "/" endpoint
//! command     = "exec:" *any               ; all of it, with no escapes of ours
//!
//! scheme      = ALPHA *( ALPHA / DIGIT / "-" )
//! jump-scheme = "socks5" / "http-connect" / "ssh" / "haproxy"
//!
//! fields      = field *( ":" field )
//! field       = keyword / positional
//! keyword     = name "=" *( char / "=" )   ; behind the first "=" the others are literal
//! positional  = 1*char
//! name        = ALPHA *( ALPHA / DIGIT / "-" / "_" )
//!
//! char        = escaped / bracketed / literal
//! escaped     = "\" any                    ; the second character, whatever it is
//! bracketed   = "[" *( escaped / inside ) "]"
//! inside      = <any except "\" and "]">
//! literal     = <any except "\", ":", "=", "["; in a jump's own fields also except "/">
//! any         = <any character except controls, U+2028 and U+2029>
//! ```
//!
//! What the rules mean:
//!
//! - Positionals fill, in order, the places that no keyword took: `tcp:host=mx.test:25` and
//!   `tcp:mx.test:25` are the same. A keyword stands anywhere among them, and only once. What is
//!   left over is refused.
//! - A flag is a bare word behind the positionals, without `=`: `reuse-port`,
//!   `insecure-no-verify`. A host of that name is still a host.
//! - Colons, slashes and `=` inside brackets are literal, so `[::1]` and `[fe80::1%eth0]` stand as
//!   they are. `[` itself is written `\[`; this holds in paths too.
//! - Behind a jump's unescaped `/` stands one whole endpoint, to be parsed by itself. It needs no
//!   further escapes, however deep it lies. In a jump's own fields a slash is written `\/`.
//! - In the schemes that take a path (`unix`, and keywords such as `cert=`) the path is an ordinary
//!   field: `/` is free, while `:`, `[` and `\` in it are escaped, and `=` too in a positional.
//! - Behind `exec:` stands a command, all of it, so that it may hold colons and slashes. It is
//!   split at spaces, with the quotes and backslashes of a POSIX shell and nothing else of a
//!   shell: no variables, wildcards, pipes or comments. No option can follow it.
//! - An empty field is refused: it is a slip of the pen (`tcp::80`) more often than a value. Schemes
//!   that are not built in may take a keyword with an empty value.
//! - A string has at most [`MAX_LENGTH`] bytes and [`MAX_JUMPS`] jumps.
//!
//! `parse(display(e)) == e` for every endpoint. `Display` writes a canonical form: schemes and
//! names in lower case, the fewest escapes, defaults left out. [`quote`] escapes a text for use as
//! a field.
//!
//! # Schemes
//!
//! | scheme | server | client |
//! | --- | --- | --- |
//! | `tcp` | `tcp:[ADDRESS:]PORT` `interface=` `backlog=` `keepalive=` `reuse-port` | `tcp:HOST:PORT` `timeout=` `bind=` `bind-port=` `keepalive=` |
//! | `tls` | as `tcp`, with `cert=` `key=` `certs=` `client-ca=` `client-cert-optional` | as `tcp`, with `ca=` `cert=` `key=` `sni=` `insecure-no-verify` |
//! | `udp` | `udp:[ADDRESS:]PORT` `interface=` `join=` `hops=` `multicast-interface=` `reuse-port` `no-loop` `broadcast` | `udp:HOST:PORT` `bind=` `broadcast` |
//! | `unix` | `unix:PATH` `mode=` `backlog=` | `unix:PATH` `timeout=` |
//! | `unix-datagram` | `unix-datagram:PATH` `mode=` | `unix-datagram:PATH` `bind=` |
//! | `fd` | `fd:NUMBER`, a listening descriptor | `fd:NUMBER`, a connected one |
//! | `stdio` | `stdio:` | – |
//! | `exec` | – | `exec:COMMAND` |
//! | `mem` | `mem:NAME` | `mem:NAME` |
//! | `systemd` | `systemd:` with `name=` or `index=` or both | – |
//! | `haproxy` | `haproxy/ENDPOINT` `from=` | `haproxy/ENDPOINT` `version=` |
//! | `socks5` | – | `socks5:HOST:PORT/ENDPOINT` `timeout=` `bind=` `bind-port=` `keepalive=` `user=` `password-file=` `resolve-locally`; or `unix=` for host and port |
//! | `http-connect` | – | as `socks5`, with `tls` `ca=` `cert=` `key=` `sni=` `insecure-no-verify` |
//! | `ssh` | a jump, kept for its resolver | a jump, kept for its resolver |
//! | any other | kept for its resolver | kept for its resolver |
//!
//! Of a jump, what stands to the left is nearer to the wire: `haproxy/tls:8443` reads a header and
//! then speaks TLS; `socks5:a:1080/http-connect:b:3128/tls:c:443` asks a for b, asks b for c, and
//! speaks TLS with c. A jump's `timeout=` bounds the way as far as its own answer, and the last
//! endpoint's bounds all of it.
//!
//! No string holds a password: endpoints are shown in errors, in logs and in the list of
//! processes. `password-file=` names a file whose first line it is.
//!
//! Names in Linux's abstract namespace are written `unix:@name`; a file whose name begins with `@`
//! is `unix:./@name`. `tcp:8080` listens on loopback alone, `interface=*` on everything.
//!
//! ```
//! use ropewalk_core::{ClientEndpoint, ServerEndpoint};
//!
//! // What a server prints when it listens is what another may be given.
//! let printed: ServerEndpoint = "tcp:127.0.0.1:1143".parse()?;
//! assert_eq!(printed, "TCP:1143:interface=127.0.0.1".parse()?);
//!
//! let v6: ServerEndpoint = "tls:[::1]:8443:cert=/etc/a\\:b.pem".parse()?;
//! assert_eq!(v6.to_string(), "tls:[::1]:8443:cert=/etc/a\\:b.pem");
//!
//! let nested: ClientEndpoint = "socks5:proxy:1080/tls:mx.test:993:timeout=5".parse()?;
//! assert_eq!(nested.inner(), Some(&"tls:mx.test:993:timeout=5".parse()?));
//!
//! let child: ClientEndpoint = "exec:grep -r \"two words\" /srv:/opt".parse()?;
//! assert_eq!(child.scheme(), "exec");
//! # Ok::<(), ropewalk_core::endpoint::ParseError>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::error::{ParseError, Problem, breaks_line};

/// The longest endpoint string, in bytes, as written and in its canonical form. Ten times the
/// longest host name with the longest path of a socket; it bounds what an error and a log line
/// carry on.
pub const MAX_LENGTH: usize = 4096;

/// How many jumps one endpoint may have. Each is a connection through another, and nobody goes
/// through eight; the limit bounds the parser's recursion.
pub const MAX_JUMPS: usize = 8;

/// An endpoint taken apart, for schemes that are not built in.
///
/// A crate that adds a scheme reads its fields here; see
/// [`ServerEndpoint::description`](crate::ServerEndpoint::description) and
/// [`ClientEndpoint::description`](crate::ClientEndpoint::description). The grammar is checked,
/// what the fields mean is not. Two descriptions are equal when they say the same: the order of
/// keywords does not count.
///
/// ```
/// use ropewalk_core::ClientEndpoint;
///
/// let endpoint: ClientEndpoint = "ssh:user@bastion:key=~\\/.ssh\\/id:22/tcp:inner:143".parse()?;
/// let ssh = endpoint.description().unwrap();
/// assert_eq!(ssh.positional(0), Some("user@bastion"));
/// assert_eq!(ssh.positional(1), Some("22"));
/// assert_eq!(ssh.keyword("key"), Some("~/.ssh/id"));
/// assert_eq!(ssh.inner(), Some("tcp:inner:143"));
/// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Description {
    scheme: String,
    pub(super) positionals: Vec<Positional>,
    /// By name.
    pub(super) keywords: Vec<Keyword>,
    pub(super) inner: Option<Inner>,
}

impl Description {
    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The `index`th of the fields that are not keywords, from 0, without escapes. An address in
    /// brackets keeps them.
    pub fn positional(&self, index: usize) -> Option<&str> {
        self.positionals
            .get(index)
            .map(|field| field.value.as_str())
    }

    /// All fields that are not keywords, in order.
    pub fn positionals(&self) -> impl Iterator<Item = &str> {
        self.positionals.iter().map(|field| field.value.as_str())
    }

    /// The value of a keyword, without escapes.
    pub fn keyword(&self, name: &str) -> Option<&str> {
        let field = self
            .keywords
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(&field.value)
    }

    /// All keywords, each name in lower case with its value, sorted by name. A scheme goes through
    /// them to refuse those that it does not know.
    pub fn keywords(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keywords
            .iter()
            .map(|field| (field.name.as_str(), field.value.as_str()))
    }

    /// The endpoint behind a jump, in its canonical form. It parses, and as the same side as the
    /// endpoint around it.
    pub fn inner(&self) -> Option<&str> {
        self.inner.as_ref().map(|inner| inner.text.as_str())
    }

    /// The error for a scheme that finds one of its fields wrong: `value` is the field's, as this
    /// type gave it, `part` what it should have been. The position counts in the canonical form.
    pub fn refuse(
        &self,
        part: impl Into<Cow<'static, str>>,
        value: &str,
        expected: impl Into<String>,
    ) -> ParseError {
        let text = self.to_string();
        // Its own canonical form always scans; a position of 0 is the least bad answer otherwise.
        let place = Source::new(&text)
            .and_then(|source| scan(&source))
            .ok()
            .and_then(|own| {
                let positional = own.positionals.iter().find(|field| field.value == value);
                let keyword = || own.keywords.iter().find(|field| field.value == value);
                positional
                    .map(|field| field.at)
                    .or_else(|| keyword().map(|field| field.value_at))
            });
        ParseError {
            endpoint: text,
            position: place.unwrap_or_default().0,
            part: part.into(),
            problem: Problem::Invalid(value.to_owned()),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        let jump = self.inner.is_some();
        for field in &self.positionals {
            write!(
                f,
                ":{}",
                Escaped {
                    text: &field.value,
                    positional: true,
                    jump
                }
            )?;
        }
        for field in &self.keywords {
            let value = Escaped {
                text: &field.value,
                positional: false,
                jump,
            };
            write!(f, ":{}={value}", field.name)?;
        }
        match &self.inner {
            Some(inner) => write!(f, "/{}", inner.text),
            None if self.positionals.is_empty() && self.keywords.is_empty() => f.write_str(":"),
            None => Ok(()),
        }
    }
}

/// A field without a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Positional {
    pub(super) value: String,
    pub(super) at: Position,
}

/// A field with a name, which is in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Keyword {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) at: Position,
    pub(super) value_at: Position,
}

/// What stands behind a jump.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inner {
    pub(super) text: String,
    pub(super) at: Position,
}

/// Where a part stood in the whole string. It is no part of what the endpoint says, so it takes no
/// part in comparing either.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position(pub(super) usize);

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

impl Hash for Position {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// The string under work, and where in it the endpoint begins that is being parsed: errors are
/// told in terms of the whole, however deep they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    whole: &'a str,
    start: usize,
    jumps: usize,
}

impl<'a> Source<'a> {
    /// Checks what holds for all strings: length and characters.
    pub(super) fn new(whole: &'a str) -> Result<Self, ParseError> {
        let source = Self {
            whole,
            start: 0,
            jumps: 0,
        };
        source.check_length(whole.len())?;
        if let Some((at, c)) = whole.char_indices().find(|(_, c)| breaks_line(*c)) {
            let problem = Problem::ControlCharacter(c);
            return Err(source.error(at, "character", problem, "printable characters"));
        }
        Ok(source)
    }

    /// Refuses an endpoint whose canonical form could not be read back.
    pub(super) fn check_length(&self, bytes: usize) -> Result<(), ParseError> {
        if bytes <= MAX_LENGTH {
            return Ok(());
        }
        let expected = format!("at most {MAX_LENGTH} bytes");
        Err(self.error(self.start, "endpoint", Problem::TooLong(bytes), expected))
    }

    /// The endpoint that begins at `at`, behind a jump.
    pub(super) fn inner(&self, at: usize) -> Result<Self, ParseError> {
        if self.jumps == MAX_JUMPS {
            let expected = format!("at most {MAX_JUMPS}");
            return Err(self.error(at, "endpoint", Problem::TooDeep, expected));
        }
        Ok(Self {
            whole: self.whole,
            start: at,
            jumps: self.jumps + 1,
        })
    }

    /// Where this endpoint begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Where the string ends, which is where something is missing.
    pub(super) fn end(&self) -> usize {
        self.whole.len()
    }

    pub(super) fn error(
        &self,
        position: usize,
        part: impl Into<Cow<'static, str>>,
        problem: Problem,
        expected: impl Into<String>,
    ) -> ParseError {
        let kept = self.whole.floor_char_boundary(MAX_LENGTH);
        ParseError {
            endpoint: self.whole[..kept].to_owned(),
            position,
            part: part.into(),
            problem,
            expected: expected.into(),
        }
    }

    /// The same, showing the string only as far as `end`, where a secret begins.
    pub(super) fn error_up_to(
        &self,
        end: usize,
        position: usize,
        problem: Problem,
        expected: impl Into<String>,
    ) -> ParseError {
        let mut error = self.error(position, "keyword", problem, expected);
        error.endpoint.truncate(end);
        error.endpoint.push('…');
        error
    }

    fn text(&self) -> &'a str {
        &self.whole[self.start..]
    }
}

/// Takes one endpoint apart. What stands behind a jump is kept as it is written.
pub(super) fn scan(source: &Source<'_>) -> Result<Description, ParseError> {
    let text = source.text();
    let end = text.find([':', '/']).unwrap_or(text.len());
    let scheme = scheme(source, &text[..end])?;
    let jump = JUMPS.contains(&scheme.as_str());
    let mut description = Description {
        scheme,
        positionals: Vec::new(),
        keywords: Vec::new(),
        inner: None,
    };
    let at = source.start + end;
    let behind = match text[end..].chars().next() {
        Some(':') if description.scheme == COMMAND => {
            let value = text[end + 1..].to_owned();
            if !value.is_empty() {
                description.positionals.push(Positional {
                    value,
                    at: Position(at + 1),
                });
            }
            return Ok(description);
        }
        Some(':') => at + 1,
        // The loop below finds the slash.
        Some(_) if jump => at,
        Some(c) => {
            // Inside a jump the slash before this one may have been meant for a path.
            let expected = match source.jumps {
                0 => format!("\":\"; only {} go before \"/\"", JUMPS.join(", ")),
                _ => "\":\"; a jump writes slashes of its own as \"\\/\"".to_owned(),
            };
            return Err(source.error(at, "character", Problem::Unexpected(c.into()), expected));
        }
        None => {
            let expected = format!("\"{}:\" and its fields", description.scheme);
            return Err(source.error(at, "colon", Problem::Missing, expected));
        }
    };

    let mut field = Open::new(behind);
    let mut chars = source.whole[behind..]
        .char_indices()
        .map(|(i, c)| (behind + i, c));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let Some((_, escaped)) = chars.next() else {
                    let expected = "the character that it escapes";
                    return Err(source.error(at, "field", Problem::DanglingEscape, expected));
                };
                field.value.push(escaped);
            }
            ']' => {
                field.bracket = None;
                field.value.push(c);
            }
            _ if field.bracket.is_some() => field.value.push(c),
            '[' => {
                field.bracket = Some(at);
                field.value.push(c);
            }
            '=' if field.name.is_none() => field.turn_into_keyword(source, at + 1)?,
            ':' => {
                field.end(source, &mut description)?;
                field = Open::new(at + 1);
            }
            '/' if jump => {
                let text = source.whole[at + 1..].to_owned();
                description.inner = Some(Inner {
                    text,
                    at: Position(at + 1),
                });
                break;
            }
            _ => field.value.push(c),
        }
    }
    if let Some(at) = field.bracket {
        let expected = "it, or \"\\[\" for a bracket that is none";
        return Err(source.error(at, "field", Problem::OpenBracket, expected));
    }
    // Nothing at all behind the scheme is no empty field: `stdio:`, `haproxy/tcp:80`.
    if !(field.is_empty() && field.at == behind) {
        field.end(source, &mut description)?;
    }
    if jump && description.inner.is_none() {
        let expected = format!(
            "\"/\" and the endpoint that {} leads to",
            description.scheme
        );
        return Err(source.error(source.end(), "inner endpoint", Problem::Missing, expected));
    }
    description.keywords.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(description)
}

fn scheme(source: &Source<'_>, text: &str) -> Result<String, ParseError> {
    if is_name(text, "-") {
        return Ok(text.to_ascii_lowercase());
    }
    let problem = if text.is_empty() {
        Problem::Empty
    } else {
        Problem::Invalid(text.to_owned())
    };
    let expected = "a word and a colon before all else, such as tcp: or unix:";
    Err(source.error(source.start, "scheme", problem, expected))
}

/// A letter, then letters, digits and what else is allowed.
fn is_name(text: &str, others: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// A field while it is being read.
struct Open {
    name: Option<String>,
    value: String,
    at: usize,
    value_at: usize,
    bracket: Option<usize>,
}

impl Open {
    fn new(at: usize) -> Self {
        Self {
            name: None,
            value: String::new(),
            at,
            value_at: at,
            bracket: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.name.is_none() && self.value.is_empty()
    }

    /// What was read so far was the name.
    fn turn_into_keyword(
        &mut self,
        source: &Source<'_>,
        value_at: usize,
    ) -> Result<(), ParseError> {
        // As written: a name has nothing to escape.
        let name = &source.whole[self.at..value_at - 1];
        if !is_name(name, "-_") {
            let problem = if name.is_empty() {
                Problem::Empty
            } else {
                Problem::Invalid(name.to_owned())
            };
            let expected = "letters, digits, - and _ before \"=\"; a literal one is \"\\=\"";
            return Err(source.error(self.at, "keyword", problem, expected));
        }
        self.value.clear();
        self.name = Some(name.to_ascii_lowercase());
        self.value_at = value_at;
        Ok(())
    }

    fn end(self, source: &Source<'_>, description: &mut Description) -> Result<(), ParseError> {
        if self.is_empty() {
            let expected = "a value; the colons of an IPv6 address stand in brackets";
            return Err(source.error(self.at, "field", Problem::Empty, expected));
        }
        let at = Position(self.at);
        let Some(name) = self.name else {
            description.positionals.push(Positional {
                value: self.value,
                at,
            });
            return Ok(());
        };
        if description.keywords.iter().any(|other| other.name == name) {
            return Err(source.error(self.at, name, Problem::Repeated, "it once"));
        }
        let value_at = Position(self.value_at);
        description.keywords.push(Keyword {
            name,
            value: self.value,
            at,
            value_at,
        });
        Ok(())
    }
}

/// Escapes a text so that it is one field, or the value of one keyword, of any endpoint: Twisted's
/// `quoteStringArgument`, which forgets `=`.
///
/// An endpoint that is nested needs no escapes, nor does the command of `exec:`, which has a
/// shell's quotes instead. What a field may never hold (control characters, nothing at all) is
/// refused by the parser, quoted or not.
///
/// ```
/// use ropewalk_core::ServerEndpoint;
/// use ropewalk_core::endpoint::quote;
///
/// let path = "/run/a:b=c.sock";
/// let endpoint: ServerEndpoint = format!("unix:{}:mode=660", quote(path)).parse()?;
/// assert_eq!(endpoint.to_string(), r"unix:/run/a\:b\=c.sock:mode=660");
///
/// // Addresses may come with brackets or without.
/// assert_eq!(quote("[::1]"), "[::1]");
/// assert_eq!(quote("::1"), r"\:\:1");
/// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    Escaped {
        text,
        positional: true,
        jump: true,
    }
    .to_string()
}

/// A field's text with the escapes that its place needs.
pub(super) struct Escaped<'a> {
    pub(super) text: &'a str,
    /// In a positional an `=` would make a keyword of it.
    pub(super) positional: bool,
    /// In a jump's own fields a slash would begin the inner endpoint.
    pub(super) jump: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        while let Some(c) = rest.chars().next() {
            let span = if c == '[' { bracketed(rest) } else { None };
            let written = span.unwrap_or(&rest[..c.len_utf8()]);
            let special = match c {
                '\\' | ':' => true,
                '[' => span.is_none(),
                '=' => self.positional,
                '/' => self.jump,
                _ => false,
            };
            if special {
                f.write_str("\\")?;
            }
            f.write_str(written)?;
            rest = &rest[written.len()..];
        }
        Ok(())
    }
}

/// The brackets at the start of a text and what is in them, if it reads like an address: that
/// alone is worth writing without escapes.
fn bracketed(text: &str) -> Option<&str> {
    let end = text.find(']')?;
    let address = |c: char| c.is_ascii_alphanumeric() || ":.%_~-".contains(c);
    text[1..end].chars().all(address).then_some(&text[..=end])
}

/// The scheme whose fields are none: behind it stands a command.
pub(super) const COMMAND: &str = "exec";

/// The schemes that lead to another endpoint. A fixed set, since only these give `/` a meaning:
/// elsewhere it is a letter like any other.
const JUMPS: [&str; 4] = ["socks5", "http-connect", "ssh", "haproxy"];

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &str) -> Description {
        scan(&Source::new(text).unwrap()).unwrap()
    }

    #[test]
    fn positions_count_in_the_whole_string() {
        let outer = "ssh:me@[::1]:k=a=b/x:1:key=v";
        let description = scanned(outer);
        assert_eq!(description.positionals[0].at.0, 4);
        assert_eq!(
            (
                description.keywords[0].at.0,
                description.keywords[0].value_at.0
            ),
            (13, 15)
        );
        let inner = description.inner.unwrap();
        assert_eq!((inner.text.as_str(), inner.at.0), ("x:1:key=v", 19));

        let inner = scan(&Source::new(outer).unwrap().inner(inner.at.0).unwrap()).unwrap();
        assert_eq!(inner.positionals[0].at.0, 21);
        assert_eq!(
            (inner.keywords[0].at.0, inner.keywords[0].value_at.0),
            (23, 27)
        );
    }

    #[test]
    fn what_was_written_otherwise_is_equal() {
        assert_eq!(scanned(r"X:B=2:a:A=\1"), scanned("x:a:a=1:b=2"));
        assert_ne!(scanned("x:a:b"), scanned("x:b:a"));
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let field = |text, positional, jump| {
            Escaped {
                text,
                positional,
                jump,
            }
            .to_string()
        };
        assert_eq!(field(r"a/b=c:d\e[f]g", false, false), r"a/b=c\:d\\e[f]g");
        assert_eq!(field("a/b=c", true, false), r"a/b\=c");
        assert_eq!(field("a/b=c", false, true), r"a\/b=c");
        assert_eq!(field("[a/b]", false, false), r"\[a/b]");
        assert_eq!(field("[[::1]", false, false), r"\[[::1]");
        assert_eq!(field("me@[fe80::1%eth0]", true, true), "me@[fe80::1%eth0]");
    }

    #[test]
    fn a_scheme_refuses_its_own_fields_by_position() {
        let error = scanned(r"sim:a\:b:port=x").refuse("port", "x", "a number");
        assert_eq!(
            error.to_string(),
            r#"endpoint "sim:a\:b:port=x": at 14: bad port "x", expected a number"#
        );
    }
}
