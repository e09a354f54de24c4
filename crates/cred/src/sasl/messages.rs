//! The messages of the mechanisms that are no more than a message or two.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::{Failure, scram};
use crate::{CramMd5, Password, Secret, Token};

/// Kept in one place: who logs in by a password of no letters has none.
fn password(user: &str, password: &[u8], act_as: &str) -> Result<Password, Failure> {
    if user.is_empty() || password.is_empty() {
        return Err(Failure::Malformed("an empty name or password"));
    }
    let act_as = (!act_as.is_empty()).then(|| act_as.to_owned());
    Ok(Password {
        user: user.to_owned(),
        password: password.into(),
        act_as,
    })
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616, section 2).
pub(super) fn parse_plain(message: &[u8]) -> Result<Password, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(act_as), Some(user), Some(secret), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Malformed("not three parts between two NULs"));
    };
    password(user, secret.as_bytes(), act_as)
}

pub(super) fn write_plain(act_as: Option<&str>, user: &str, password: &Secret) -> Vec<u8> {
    [
        act_as.unwrap_or_default().as_bytes(),
        b"\0",
        user.as_bytes(),
        b"\0",
        password.expose(),
    ]
    .concat()
}

/// LOGIN's two answers.
pub(super) fn login_password(user: &str, secret: &[u8]) -> Result<Password, Failure> {
    if secret.contains(&0) {
        return Err(Failure::Malformed("a NUL"));
    }
    password(user, secret, "")
}

/// A name alone: an authorization identity, LOGIN's user, ANONYMOUS's trace.
pub(super) fn parse_name(message: &[u8]) -> Result<String, Failure> {
    match std::str::from_utf8(message) {
        // RFC 4505, section 2: at most 255 letters of up to four bytes.
        Ok(name) if name.len() <= 1020 && !name.contains('\0') => Ok(name.to_owned()),
        _ => Err(Failure::Malformed(
            "a name that is too long, is not UTF-8, or has a NUL",
        )),
    }
}

/// RFC 7628, section 3.1: `gs2-header kvsep *(key "=" value kvsep) kvsep`.
pub(super) fn parse_oauthbearer(message: &[u8]) -> Result<Token, Failure> {
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
        (_, Some(name)) if !name.is_empty() => Some(scram::decode_name(name).map_err(wrong)?),
        _ => return Err(wrong("an authorization identity without a=")),
    };
    let (mut token, mut host, mut port) = (None, None, None);
    for (key, value) in key_values(pairs)? {
        match key {
            "auth" => token = Some(bearer(value)?),
            "host" => host = Some(value.to_owned()),
            "port" => port = Some(value.parse().map_err(|_| wrong("a port that is no port"))?),
            // Section 3.1: other keys are ignored.
            _ => {}
        }
    }
    Ok(Token {
        token: token.ok_or(wrong("no auth"))?,
        user,
        host,
        port,
    })
}

pub(super) fn write_oauthbearer(token: &Token) -> Vec<u8> {
    let mut out = String::from("n,");
    if let Some(user) = &token.user {
        let _ = write!(out, "a={}", scram::encode_name(user));
    }
    out.push_str(",\u{1}");
    if let Some(host) = &token.host {
        let _ = write!(out, "host={host}\u{1}");
    }
    if let Some(port) = token.port {
        let _ = write!(out, "port={port}\u{1}");
    }
    [
        out.as_bytes(),
        b"auth=Bearer ",
        token.token.expose(),
        b"\x01\x01",
    ]
    .concat()
}

/// Google's: `user=NAME ^A auth=Bearer TOKEN ^A ^A`.
pub(super) fn parse_xoauth2(message: &[u8]) -> Result<Token, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    let (mut user, mut token) = (None, None);
    for (key, value) in key_values(text)? {
        match key {
            "user" if !value.is_empty() => user = Some(value.to_owned()),
            "auth" => token = Some(bearer(value)?),
            _ => {}
        }
    }
    match (user, token) {
        (Some(user), Some(token)) => Ok(Token {
            token,
            user: Some(user),
            host: None,
            port: None,
        }),
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
    let mut found = Vec::new();
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
        found.push((key, value));
    }
    Ok(found)
}

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
    !token.is_empty()
        && token
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b))
}

/// What a refused token is answered with (RFC 7628, section 3.2.2).
pub(super) const TOKEN_REFUSED: &[u8] = br#"{"status":"invalid_token","schemes":"bearer"}"#;

/// The `status` of such an answer, found without reading all of JSON: it is
/// for a log line.
pub(super) fn token_status(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let status = text
        .split_once("\"status\"")
        .and_then(|(_, rest)| rest.split('"').nth(1).map(str::to_owned));
    status.unwrap_or_else(|| text.into_owned())
}

/// `name SP digest` (RFC 2195, section 2). A name may have spaces.
pub(super) fn parse_cram_md5(message: &[u8], challenge: &[u8]) -> Result<CramMd5, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    match text.rsplit_once(' ') {
        Some((user, digest)) if !user.is_empty() && digest.len() == 32 => Ok(CramMd5 {
            user: user.to_owned(),
            challenge: challenge.into(),
            digest: digest.into(),
        }),
        _ => Err(Failure::Malformed("not a name and a digest")),
    }
}

/// HMAC-MD5 of the challenge, in hexadecimal.
pub(crate) fn cram_md5_digest(password: &[u8], challenge: &[u8]) -> String {
    let mut mac =
        <Hmac<Md5> as KeyInit>::new_from_slice(password).expect("HMAC takes keys of any length");
    mac.update(challenge);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
