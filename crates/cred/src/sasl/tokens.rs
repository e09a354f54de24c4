//! The messages of OAUTHBEARER (RFC 7628) and XOAUTH2: a token in, and what a
//! server says when it will not do.
//!
//! OAUTH10A, the other mechanism of RFC 7628, is not here: nobody speaks it.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{Failure, LONGEST_MESSAGE, messages, scram};
use crate::{LONGEST_NAME, Secret, Token};

/// What a client said.
pub(super) enum Bearer {
    Token(Token),
    /// An empty `auth`: it wants to know what would do (RFC 7628, section 4.3).
    Question,
}

/// What a server tells a client whose token it refuses, or who asks with none:
/// where to get one (RFC 7628, section 3.2.2).
///
/// ```
/// use ropewalk_cred::sasl::{ServerOptions, TokenAdvice};
/// let mut options = ServerOptions::default();
/// options.token_advice = TokenAdvice::default()
///     .scope("mail")
///     .openid_configuration("https://login.example.com/.well-known/openid-configuration");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenAdvice {
    /// The scopes that a token needs, with spaces between. Default none.
    pub scope: Option<String>,
    /// The address of the OpenID provider's configuration. Default none.
    pub openid_configuration: Option<String>,
}

impl TokenAdvice {
    /// The same with the scopes that a token needs.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        Self {
            scope: Some(scope.into()),
            ..self
        }
    }

    /// The same with the address of the provider's configuration: `https`.
    pub fn openid_configuration(self, address: impl Into<String>) -> Self {
        Self {
            openid_configuration: Some(address.into()),
            ..self
        }
    }

    /// The error message. Google's has a number for the status, and names the
    /// scheme; RFC 7628 takes OAuth's word.
    pub(super) fn refusal(&self, google: bool) -> Vec<u8> {
        let mut out = Map::new();
        let mut put = |key: &str, value: &str| {
            out.insert(key.to_owned(), Value::from(value));
        };
        if google {
            put("status", "401");
            put("schemes", "bearer");
        } else {
            put("status", "invalid_token");
        }
        if let Some(scope) = &self.scope {
            put("scope", scope);
        }
        if let Some(address) = &self.openid_configuration {
            put("openid-configuration", address);
        }
        Value::Object(out).to_string().into_bytes()
    }
}

/// What a server said against a token, as a client reads it. Its texts are the
/// server's: shortened, and without what would upset a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRefusal {
    /// OAuth's error, `invalid_token` say; XOAUTH2 has a number of HTTP.
    pub status: String,
    /// The scopes that a token needs.
    pub scope: Option<String>,
    /// The address of the OpenID provider's configuration; only if it is an
    /// `https:` one (RFC 7628, section 3.2.2). Whom to trust with a login is
    /// still the client's decision: it comes from a server that has proven
    /// nothing but its certificate.
    pub openid_configuration: Option<String>,
}

impl TokenRefusal {
    pub(super) fn parse(message: &[u8]) -> Self {
        let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect();
        let Ok(Value::Object(found)) = serde_json::from_slice(message) else {
            // What is no JSON is still worth a line in a log.
            return Self {
                status: shown(&String::from_utf8_lossy(message)),
                ..Self::default()
            };
        };
        let text = |key| match found.get(key) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let status = match found.get("status") {
            Some(Value::Number(number)) => number.to_string(),
            _ => shown(text("status").unwrap_or("no status")),
        };
        // An address is taken whole or not at all.
        let is_address = |it: &&str| {
            it.len() <= 2000
                && it.starts_with("https://")
                && it.bytes().all(|b| b.is_ascii_graphic())
        };
        Self {
            status,
            scope: text("scope").map(shown),
            openid_configuration: text("openid-configuration")
                .filter(is_address)
                .map(str::to_owned),
        }
    }
}

/// RFC 7628, section 3.1: `gs2-header kvsep *(key "=" value kvsep) kvsep`.
pub(super) fn parse_oauthbearer(message: &[u8]) -> Result<Bearer, Failure> {
    let wrong = Failure::Malformed;
    let text = std::str::from_utf8(message).map_err(|_| wrong("not UTF-8"))?;
    let (header, pairs) = text.split_once('\u{1}').ok_or(wrong("no separator"))?;
    let mut parts = header.split(',');
    let (Some("n" | "y"), Some(act_as), Some(""), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong("a GS2 header that is not n,[a=name],"));
    };
    let user = match (act_as, act_as.strip_prefix("a=")) {
        ("", _) => None,
        (_, Some(name)) if !name.is_empty() => {
            Some(messages::name(&scram::decode_name(name).map_err(wrong)?)?)
        }
        _ => return Err(wrong("an authorization identity without a=")),
    };
    let (mut token, mut host, mut port) = (None, None, None);
    for (key, value) in key_values(pairs)? {
        match key {
            "auth" if value.is_empty() => return Ok(Bearer::Question),
            "auth" => token = Some(bearer(value)?),
            "host" if is_host(value) => host = Some(value.to_owned()),
            "host" => return Err(wrong("a host that is none")),
            "port" if value.bytes().all(|b| b.is_ascii_digit()) => {
                port = Some(value.parse().map_err(|_| wrong("a port that is none"))?);
            }
            "port" => return Err(wrong("a port that is none")),
            // Section 3.1: other keys are ignored.
            _ => {}
        }
    }
    Ok(Bearer::Token(Token {
        token: token.ok_or(wrong("no auth"))?,
        user,
        host,
        port,
    }))
}

/// A token, or with `None` the question which would do.
pub(super) fn write_oauthbearer(token: Option<&Token>, user: Option<&str>) -> Vec<u8> {
    let mut out = String::from("n,");
    if let Some(user) = user {
        let _ = write!(out, "a={}", scram::encode_name(user));
    }
    out.push_str(",\u{1}");
    if let Some(host) = token.and_then(|it| it.host.as_ref()) {
        let _ = write!(out, "host={host}\u{1}");
    }
    if let Some(port) = token.and_then(|it| it.port) {
        let _ = write!(out, "port={port}\u{1}");
    }
    let auth = match token {
        Some(token) => [b"Bearer ", token.token.expose()].concat(),
        None => Vec::new(),
    };
    [out.as_bytes(), b"auth=", &auth, b"\x01\x01"].concat()
}

/// What a client answers a refusal with (RFC 7628, section 3.2.3).
pub(super) const HEARD: &[u8] = b"\x01";

/// Google's: `user=NAME ^A auth=Bearer TOKEN ^A ^A`.
pub(super) fn parse_xoauth2(message: &[u8]) -> Result<Bearer, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    let (mut user, mut token) = (None, None);
    for (key, value) in key_values(text)? {
        match key {
            "user" if !value.is_empty() => user = Some(messages::name(value)?),
            "auth" if value.trim_end().eq_ignore_ascii_case("bearer") || value.is_empty() => {
                return Ok(Bearer::Question);
            }
            "auth" => token = Some(bearer(value)?),
            _ => {}
        }
    }
    match (user, token) {
        (Some(user), Some(token)) => Ok(Bearer::Token(Token {
            token,
            user: Some(user),
            host: None,
            port: None,
        })),
        _ => Err(Failure::Malformed("no user or no auth")),
    }
}

pub(super) fn write_xoauth2(token: &Token) -> Vec<u8> {
    let user = token.user.as_deref().unwrap_or_default();
    [
        b"user=",
        user.as_bytes(),
        b"\x01auth=Bearer ",
        token.token.expose(),
        b"\x01\x01",
    ]
    .concat()
}

/// `*(key "=" value ^A) ^A`.
fn key_values(text: &str) -> Result<Vec<(&str, &str)>, Failure> {
    let pairs = text
        .strip_suffix("\u{1}\u{1}")
        .ok_or(Failure::Malformed("no end"))?;
    let mut found: Vec<(&str, &str)> = Vec::new();
    for pair in pairs.split('\u{1}') {
        let (key, value) = pair
            .split_once('=')
            .ok_or(Failure::Malformed("a key without a value"))?;
        // Section 3.1: keys are letters.
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(Failure::Malformed("a key that is not of letters"));
        }
        if found.iter().any(|(known, _)| *known == key) {
            return Err(Failure::Malformed("a key twice"));
        }
        // Every pair is compared with all before it.
        if found.len() == MOST_KEYS {
            return Err(Failure::Malformed("too many keys"));
        }
        found.push((key, value));
    }
    Ok(found)
}

/// RFC 7628 has seven.
const MOST_KEYS: usize = 16;

/// `Bearer TOKEN` (RFC 6750, section 2.1); the scheme's case does not matter.
fn bearer(value: &str) -> Result<Secret, Failure> {
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            token.trim_start_matches(' ')
        }
        _ => return Err(Failure::Malformed("not a bearer token")),
    };
    if is_token(token.as_bytes()) {
        Ok(token.into())
    } else {
        Err(Failure::Malformed("not a bearer token"))
    }
}

/// `b64token`, and no more: anything else could write keys of its own.
pub(super) fn is_token(token: &[u8]) -> bool {
    (1..=LONGEST_MESSAGE - 2048).contains(&token.len())
        && token
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b))
}

/// A host as it may go into a log.
pub(super) fn is_host(host: &str) -> bool {
    (1..=LONGEST_NAME).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_graphic())
}
