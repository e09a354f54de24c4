//! The HTTP that a WebSocket begins with, as text: RFC 6455, sections 4.1 and
//! 4.2. It reads what the handshake needs and ignores the rest.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

use super::ConnectOptions;

/// How a line stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// In text messages, which must be UTF-8.
    Text,
    /// In binary messages, which need not be.
    Binary,
}

impl Subprotocol {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text.ircv3.net",
            Self::Binary => "binary.ircv3.net",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Text, Self::Binary]
            .into_iter()
            .find(|it| it.name() == name)
    }
}

/// Why there is no WebSocket. The peer is at fault, but for
/// [`Options`](Self::Options).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It is not HTTP, or not a request for a WebSocket.
    #[error("no WebSocket handshake: {0}")]
    NotWebSocket(&'static str),
    /// It speaks another version of the protocol than 13.
    #[error("WebSocket version 13 is spoken here")]
    Version,
    /// The page that connects is of an origin that may not.
    #[error("the origin {0:?} may not connect")]
    Origin(String),
    /// The handshake is longer than it may be.
    #[error("a handshake of more than {0} bytes")]
    Long(usize),
    /// The server answered with another status than 101.
    #[error("the server answered {0:?} instead of a WebSocket")]
    Refused(String),
    /// The server did not prove that it knows what a WebSocket is.
    #[error("the server's Sec-WebSocket-Accept is wrong")]
    WrongAccept,
    /// The server chose what was not asked for.
    #[error("the server chose the subprotocol {0:?}, which was not asked for")]
    Subprotocol(String),
    /// A host or path that cannot stand in a request; the program is at fault.
    #[error("{0:?} cannot stand in a request")]
    Options(String),
}

impl HandshakeError {
    /// What a server says to that.
    pub(super) fn response(&self) -> String {
        let (status, more) = match self {
            Self::Version => ("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n"),
            Self::Origin(_) => ("403 Forbidden", ""),
            Self::Long(_) => ("431 Request Header Fields Too Large", ""),
            _ => ("400 Bad Request", ""),
        };
        let text = format!("{self}\n");
        format!(
            "HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Type: text/plain; \
             charset=utf-8\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }
}

/// The answer to a request, and what was agreed upon.
pub(super) fn answer(
    head: &str,
    origins: &[String],
) -> Result<(String, Subprotocol), HandshakeError> {
    let (request, fields) = Fields::parse(head);
    let mut words = request.split(' ');
    let no = |what| Err(HandshakeError::NotWebSocket(what));
    match (words.next(), words.next(), words.next()) {
        (Some("GET"), Some(path), Some("HTTP/1.1")) if path.starts_with('/') => {}
        _ => return no("not a GET of HTTP/1.1"),
    }
    if !fields.has("upgrade", "websocket") || !fields.has("connection", "upgrade") {
        return no("it asks for no upgrade");
    }
    if fields.get("sec-websocket-version") != Some("13") {
        return Err(HandshakeError::Version);
    }
    let Some(key) = fields.get("sec-websocket-key") else {
        return no("it has no key");
    };
    if STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        let origin = fields.get("origin");
        if let Some(origin) = origin
            && !origins.is_empty()
            && !origins.iter().any(|it| it.eq_ignore_ascii_case(origin))
        {
            return Err(HandshakeError::Origin(origin.to_owned()));
        }
        // The client's favourite that we speak; one that names none gets text,
        // and one that names only others is told of none.
        let chosen = fields
            .list("sec-websocket-protocol")
            .find_map(Subprotocol::named);
        let named = chosen.map_or(String::new(), |it| {
            format!("Sec-WebSocket-Protocol: {}\r\n", it.name())
        });
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: \
             Upgrade\r\nSec-WebSocket-Accept: {}\r\n{named}\r\n",
            accept_of(key)
        );
        return Ok((answer, chosen.unwrap_or(Subprotocol::Text)));
    }
    no("its key is not 16 bytes")
}

/// A client's proof that the answer is to its own request.
pub(super) struct Key(String);

impl Key {
    pub(super) fn new(random: impl Fn() -> u64) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random().to_le_bytes());
        key[8..].copy_from_slice(&random().to_le_bytes());
        Self(STANDARD.encode(key))
    }

    pub(super) fn request(&self, options: &ConnectOptions) -> Result<String, HandshakeError> {
        let ConnectOptions { host, path, .. } = options;
        for text in [host, path] {
            if text.is_empty() || text.contains(|c: char| c.is_control() || c == ' ') {
                return Err(HandshakeError::Options(text.clone()));
            }
        }
        if !path.starts_with('/') {
            return Err(HandshakeError::Options(path.clone()));
        }
        let names: Vec<_> = options.subprotocols.iter().map(|it| it.name()).collect();
        let names = match names.is_empty() {
            true => String::new(),
            false => format!("Sec-WebSocket-Protocol: {}\r\n", names.join(", ")),
        };
        Ok(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: \
             Upgrade\r\nSec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n{names}\r\n",
            self.0
        ))
    }

    pub(super) fn check(
        &self,
        head: &str,
        options: &ConnectOptions,
    ) -> Result<Subprotocol, HandshakeError> {
        let (status, fields) = Fields::parse(head);
        if !status.starts_with("HTTP/1.1 101") {
            let status = status.chars().take(100).collect();
            return Err(HandshakeError::Refused(status));
        }
        if !fields.has("upgrade", "websocket") || !fields.has("connection", "upgrade") {
            return Err(HandshakeError::NotWebSocket("nothing was upgraded"));
        }
        if fields.get("sec-websocket-accept") != Some(accept_of(&self.0).as_str()) {
            return Err(HandshakeError::WrongAccept);
        }
        match fields.get("sec-websocket-protocol") {
            None => Ok(Subprotocol::Text),
            Some(name) => Subprotocol::named(name)
                .filter(|it| options.subprotocols.contains(it))
                .ok_or_else(|| HandshakeError::Subprotocol(name.chars().take(100).collect())),
        }
    }
}

fn accept_of(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// The header fields of a request or an answer.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The first line, and the fields behind it.
    fn parse(head: &'a str) -> (&'a str, Self) {
        let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
        (first, Self(fields))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.split("\r\n").filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The value of a field that may stand there once.
    fn get(&self, name: &str) -> Option<&'a str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The values of a field that is a list.
    fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.list(name).any(|it| it.eq_ignore_ascii_case(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: \
        websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: \
        dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\nSec-WebSocket-Protocol: \
        chat, binary.ircv3.net, text.ircv3.net\r\nSec-WebSocket-Version: 13";

    /// RFC 6455, section 1.3.
    #[test]
    fn the_example_of_the_standard() {
        let (answer, subprotocol) = answer(REQUEST, &[]).unwrap();
        assert_eq!(subprotocol, Subprotocol::Binary);
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("Sec-WebSocket-Protocol: binary.ircv3.net\r\n"));
        assert!(answer.ends_with("\r\n\r\n"));
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let refused = |from: &str, to: &str| answer(&REQUEST.replace(from, to), &[]).unwrap_err();
        use HandshakeError::{NotWebSocket, Version};
        for (from, to) in [
            ("GET", "POST"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("Upgrade: websocket", "X: y"),
            ("keep-alive, Upgrade", "close"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"),
            ("Sec-WebSocket-Key", "X"),
        ] {
            let error = refused(from, to);
            assert!(matches!(error, NotWebSocket(_)), "{from}: {error}");
            assert!(error.response().starts_with("HTTP/1.1 400 "));
        }
        let error = refused("Version: 13", "Version: 8");
        assert_eq!(error, Version);
        assert!(error.response().contains("Sec-WebSocket-Version: 13\r\n"));
        let twice = REQUEST.to_owned() + "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        assert!(answer(&twice, &[]).is_err(), "two keys are none");
    }

    #[test]
    fn origins_are_held_to_the_list() {
        let only = |origin: &str| answer(REQUEST, &[origin.to_owned()]);
        assert!(only("http://example.com").is_ok());
        let error = only("https://example.com").unwrap_err();
        assert!(error.response().starts_with("HTTP/1.1 403 "));
        // What is no browser has no origin.
        let native = REQUEST.replace("Origin", "X");
        assert!(answer(&native, &["https://example.com".to_owned()]).is_ok());
    }

    #[test]
    fn both_sides_agree() {
        let options = ConnectOptions::new("irc.example.com");
        let key = Key::new(|| 7);
        let request = key.request(&options).unwrap();
        let (answer, subprotocol) = answer(request.trim_end(), &[]).unwrap();
        assert_eq!(subprotocol, Subprotocol::Text);
        assert_eq!(key.check(answer.trim_end(), &options), Ok(subprotocol));
        let refused = |from: &str, to: &str| key.check(&answer.replace(from, to), &options);
        assert!(matches!(
            refused("101", "404"),
            Err(HandshakeError::Refused(_))
        ));
        assert_eq!(
            refused("Accept: ", "Accept: x"),
            Err(HandshakeError::WrongAccept)
        );
        assert!(matches!(
            refused("text.ircv3.net", "chat"),
            Err(HandshakeError::Subprotocol(_))
        ));
        assert!(refused("Upgrade: websocket", "X: y").is_err());
    }

    #[test]
    fn nobody_forges_a_request() {
        for (host, path) in [("a\r\nX: y", "/"), ("", "/"), ("a", "/ b"), ("a", "b")] {
            let mut options = ConnectOptions::new(host);
            options.path = path.to_owned();
            assert!(Key::new(|| 1).request(&options).is_err());
        }
    }
}
