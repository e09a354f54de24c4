//! HTTP's CONNECT as a client speaks it (RFC 9110, section 9.3.6; RFC 9112), with basic
//! authentication (RFC 7617).
//!
//! No more of HTTP than that: a response's fields are checked for form and otherwise skipped. A
//! successful answer has no content whatever its fields say, and of any other one nothing is read
//! beyond its head.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Destination, Login, Opening};
use crate::schemes::ProxyRefusal;

/// A client's side of the conversation.
pub(crate) struct HttpConnect {
    output: Vec<u8>,
    with_password: bool,
    /// The line that is being read.
    line: Vec<u8>,
    /// Bytes of the whole head.
    read: usize,
    status: Option<(u16, String)>,
    over: bool,
}

impl HttpConnect {
    /// Asks for a host and port.
    pub(crate) fn new(destination: &Destination, port: u16, login: Option<&Login>) -> Self {
        let authority = match destination {
            Destination::Name(name) => format!("{name}:{port}"),
            Destination::Address(ip) => std::net::SocketAddr::new(*ip, port).to_string(),
        };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(Login { user, password }) = login {
            let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
            request += &format!("Proxy-Authorization: Basic {credentials}\r\n");
        }
        request += "\r\n";
        Self {
            output: request.into_bytes(),
            with_password: login.is_some(),
            line: Vec::new(),
            read: 0,
            status: None,
            over: false,
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), ProxyRefusal> {
        self.read += 1;
        if self.read > MOST {
            return Err(ProxyRefusal::Malformed("too long an answer"));
        }
        let after_return = self.line.last() == Some(&b'\r');
        match byte {
            b'\n' if after_return => {
                self.line.pop();
                let line = std::mem::take(&mut self.line);
                return self.end_of_line(&line);
            }
            _ if after_return || byte == b'\n' => {
                return Err(ProxyRefusal::Malformed(
                    "a line that ends otherwise than by CR LF",
                ));
            }
            // RFC 9110, section 5.5: no control characters but the tab.
            0..=8 | 10..=12 | 14..=31 | 127 => {
                return Err(ProxyRefusal::Malformed("control characters in its answer"));
            }
            _ => self.line.push(byte),
        }
        let begins = b"HTTP/1.";
        let both = self.line.len().min(begins.len());
        match self.status.is_none() && self.line[..both] != begins[..both] {
            true => Err(ProxyRefusal::Malformed("it does not speak HTTP/1.1")),
            false => Ok(()),
        }
    }

    fn end_of_line(&mut self, line: &[u8]) -> Result<(), ProxyRefusal> {
        let Some((status, reason)) = &self.status else {
            self.status =
                Some(status_line(line).ok_or(ProxyRefusal::Malformed("a bad status line"))?);
            return Ok(());
        };
        if !line.is_empty() {
            return match is_field(line) {
                true => Ok(()),
                false => Err(ProxyRefusal::Malformed("a bad field in its answer")),
            };
        }
        match status {
            200..=299 => {
                self.over = true;
                Ok(())
            }
            407 if self.with_password => Err(ProxyRefusal::PasswordRefused),
            407 => Err(ProxyRefusal::PasswordNeeded),
            _ => Err(ProxyRefusal::Http {
                status: *status,
                reason: reason.clone(),
            }),
        }
    }
}

impl Opening for HttpConnect {
    type Error = ProxyRefusal;

    fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn wants(&self) -> usize {
        // The head ends with an empty line, before which stands at least a line's end.
        match (&self.status, self.line.as_slice()) {
            _ if self.over => 0,
            (None, line) => LEAST
                .saturating_sub(line.len())
                .max(4 - usize::from(line.ends_with(b"\r"))),
            (Some(_), b"") => 2,
            (Some(_), b"\r") => 1,
            (Some(_), line) => 4 - usize::from(line.ends_with(b"\r")),
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Result<(), ProxyRefusal> {
        bytes.iter().try_for_each(|byte| self.take(*byte))
    }
}

/// RFC 9112, section 4; some leave the space before an empty reason out.
fn status_line(line: &[u8]) -> Option<(u16, String)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let ([minor, b' ', status @ ..], reason) = rest.split_at_checked(5)? else {
        return None;
    };
    if !minor.is_ascii_digit() || !status.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = str::from_utf8(status).ok()?.parse().ok()?;
    if !matches!(reason, [] | [b' ', ..]) || !(100..600).contains(&status) {
        return None;
    }
    // It ends up in a line of a log; its words are the proxy's.
    let reason = String::from_utf8_lossy(reason);
    let reason = reason.trim().chars().take(MAX_REASON).collect();
    Some((status, reason))
}

/// A name and a colon; no line that continues the one before.
fn is_field(line: &[u8]) -> bool {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let colon = line.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| colon > 0 && line[..colon].iter().all(is_token))
}

/// `HTTP/1.1 200` and two line ends.
const LEAST: usize = 16;

/// The longest head. Common servers allow as much.
const MOST: usize = 16 * 1024;

/// Characters of a reason that an error shows.
const MAX_REASON: usize = 100;
