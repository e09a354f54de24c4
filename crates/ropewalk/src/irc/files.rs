//! The files of an IRC server: what is read at its start, and again when it is told to.

use std::{
    collections::HashSet,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ropewalk_cred::{HashError, PasswordHash};
use ropewalk_words_irc::server::{Gateway, NetworkOptions, Oper, ServerBan};

use crate::failure::Failure;

/// Options, and the files that the rest of them stands in.
pub(super) struct Files {
    /// What arguments say.
    pub(super) options: NetworkOptions,
    pub(super) password: Option<PathBuf>,
    pub(super) opers: Option<PathBuf>,
    pub(super) motd: Option<PathBuf>,
    pub(super) bans: Option<PathBuf>,
}

impl Files {
    /// The options as they are with what stands in the files now.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn read(&self) -> Result<NetworkOptions, Vec<Failure>> {
        let mut options = self.options.clone();
        let mut wrong = Vec::new();
        if let Some(path) = &self.password {
            let option = "--password-file";
            match text(option, path).and_then(|text| password_of(option, path, &text)) {
                Ok(password) => options.password = Some(password),
                Err(failure) => wrong.push(failure),
            }
        }
        if let Some(path) = &self.motd {
            match text("--motd", path) {
                Ok(text) => options.motd = text.lines().map(Into::into).collect(),
                Err(failure) => wrong.push(failure),
            }
        }
        if let Some(path) = &self.opers {
            match lines("--opers", path, oper) {
                Ok(opers) => options.opers.extend(opers),
                Err(failure) => wrong.push(failure),
            }
        }
        if let Some(path) = &self.bans {
            match lines("--bans", path, ban) {
                Ok(bans) => options.bans.extend(bans),
                Err(failure) => wrong.push(failure),
            }
        }
        let mut names = HashSet::new();
        if let Some(twice) = options.opers.iter().find(|oper| !names.insert(&oper.name)) {
            wrong.push(Failure::option(
                if self.opers.is_some() {
                    "--opers"
                } else {
                    "--oper"
                },
                format!(
                    "\"{}\" is there twice, expected each operator once",
                    twice.name
                ),
            ));
        }
        match wrong.is_empty() {
            true => Ok(options),
            false => Err(wrong),
        }
    }
}

/// A password, or the hash of one.
#[derive(Clone)]
pub(super) struct Password(pub(super) Arc<PasswordHash>);

impl Password {
    /// What begins like a hash is one: a scheme in braces, or `$`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("expected a password, or its hash".into());
        }
        let hash = match text.starts_with(['$', '{']) {
            true => PasswordHash::parse(text),
            false => PasswordHash::parse_with_plaintext(&format!("{{PLAIN}}{text}")),
        };
        hash.map(|hash| Self(Arc::new(hash))).map_err(expected)
    }
}

/// An operator: `NAME:HASH`.
pub(super) fn oper(text: &str) -> Result<Oper, String> {
    let (name, hash) = match text.split_once(':') {
        Some((name, hash)) if !name.is_empty() && !hash.is_empty() => (name, hash),
        _ => return Err("expected NAME:HASH".into()),
    };
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("expected a name without spaces before the colon".into());
    }
    Ok(Oper::new(
        name,
        PasswordHash::parse(hash).map_err(expected)?,
    ))
}

/// A gateway: `ADDRESS,…=HASH`.
pub(super) fn gateway(text: &str) -> Result<Gateway, String> {
    let Some((addresses, hash)) = text.split_once('=') else {
        return Err("expected ADDRESS=HASH".into());
    };
    let addresses: Result<Vec<IpAddr>, _> = addresses.split(',').map(str::parse).collect();
    let Ok(addresses) = addresses else {
        return Err("expected IP addresses, with commas between, before the first =".into());
    };
    Ok(Gateway::new(
        addresses,
        PasswordHash::parse(hash).map_err(expected)?,
    ))
}

/// Somebody who is not let in: a mask, and why.
fn ban(text: &str) -> Result<ServerBan, String> {
    let (mask, reason) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let reason = match reason.trim() {
        "" => "Banned",
        reason => reason,
    };
    Ok(ServerBan::new(mask, reason))
}

fn expected(error: HashError) -> String {
    error.to_string()
}

fn text(option: &'static str, path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let why = format!("{error}, expected a file of text in UTF-8");
        Failure::usage(option, path.display(), why)
    })
}

/// The password that is the only line of a file.
fn password_of(
    option: &'static str,
    path: &Path,
    text: &str,
) -> Result<Arc<PasswordHash>, Failure> {
    let fault = |why: String| Failure::usage(option, path.display(), why);
    let mut lines = text.lines();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(fault("expected one line, the password or its hash".into()));
    };
    let password = Password::parse(line).map_err(fault)?;
    Ok(password.0)
}

/// What stands in a file line by line. Empty lines and those that begin with `#` say nothing.
fn lines<T>(
    option: &'static str,
    path: &Path,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Failure> {
    let text = text(option, path)?;
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse(line) {
            Ok(it) => read.push(it),
            // Not the line itself: there may be a password in it.
            Err(why) => wrong.push(format!("{}:{}: {why}", path.display(), n + 1)),
        }
    }
    match wrong.is_empty() {
        true => Ok(read),
        false => Err(Failure::Files(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_or_its_hash() {
        let plain = Password::parse("open sesame").unwrap().0;
        assert!(plain.verify(b"open sesame") && !plain.verify(b"open"));
        let hash = "$6$rounds=1000$saltsalt$";
        assert!(Password::parse(hash).is_err(), "a hash that is cut off");
        assert!(Password::parse("{MD5}x").is_err() && Password::parse("").is_err());
    }

    #[test]
    fn an_operator_has_a_name_and_a_hash_and_no_password_in_the_clear() {
        for bad in [
            "",
            "ada",
            "ada:",
            ":x",
            "a b:{SSHA256}x",
            "ada:{PLAIN}x",
            "ada:x",
        ] {
            assert!(oper(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_gateway_has_addresses_and_a_hash() {
        for bad in ["", "192.0.2.1", "host={SSHA256}x", "192.0.2.1=plain", "=x"] {
            assert!(gateway(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ban_is_a_mask_and_a_reason() {
        assert_eq!(
            ban("*!*@x Go away").unwrap(),
            ServerBan::new("*!*@x", "Go away")
        );
        assert_eq!(ban("spammer").unwrap(), ServerBan::new("spammer", "Banned"));
    }
}
