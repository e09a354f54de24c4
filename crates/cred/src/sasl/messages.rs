//! The messages of the mechanisms that are no more than a message or two.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::Failure;
use crate::{CramMd5, LONGEST_NAME, Password, Secret};

/// Kept in one place: who logs in by a password of no letters has none.
fn password(user: &str, password: &[u8], act_as: &str) -> Result<Password, Failure> {
    if user.is_empty() || password.is_empty() {
        return Err(Failure::Malformed("an empty name or password"));
    }
    let act_as = match act_as {
        "" => None,
        other => Some(name(other)?),
    };
    Ok(Password {
        user: name(user)?,
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

/// A name as it may go into a log: what SASLprep forbids in any case, and a
/// terminal or a log's reader would act upon, is refused before anybody sees it.
pub(super) fn name(text: &str) -> Result<String, Failure> {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.len() > LONGEST_NAME || text.contains(odd) {
        return Err(Failure::Malformed(
            "a name that is too long or has control characters",
        ));
    }
    Ok(text.to_owned())
}

/// A name alone, or nothing: an authorization identity, LOGIN's user.
pub(super) fn parse_name(message: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    name(text)
}

/// RFC 4505, section 2: at most 255 letters, of which stringprep's `trace`
/// profile (section 3) forbids some.
pub(super) fn parse_trace(message: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    if is_trace(text) {
        Ok(text.to_owned())
    } else {
        Err(Failure::Malformed(
            "a trace that is too long or has letters that RFC 4505 forbids",
        ))
    }
}

pub(super) fn is_trace(text: &str) -> bool {
    use stringprep::tables;
    let forbidden = |c| {
        tables::ascii_control_character(c)
            || tables::non_ascii_control_character(c)
            || tables::private_use(c)
            || tables::non_character_code_point(c)
            || tables::inappropriate_for_plain_text(c)
            || tables::change_display_properties_or_deprecated(c)
            || tables::tagging_character(c)
    };
    text.chars().count() <= 255 && !text.contains(forbidden)
}

/// `name SP digest` (RFC 2195, section 2). A name may have spaces.
pub(super) fn parse_cram_md5(message: &[u8], challenge: &[u8]) -> Result<CramMd5, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
    match text.rsplit_once(' ') {
        Some((user, digest)) if !user.is_empty() && digest.len() == 32 => Ok(CramMd5 {
            user: name(user)?,
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
