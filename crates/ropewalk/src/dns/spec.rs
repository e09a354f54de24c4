//! The values of the options, as data.

use std::{fmt, fs, path::PathBuf};

use ropewalk_core::endpoint::Network;
use ropewalk_names_dns::{
    proto::{
        Name, NameRef,
        tsig::{Key, parse_keys},
    },
    server::replication::{Grant, Remote},
};

/// A zone and its file.
#[derive(Clone, Debug)]
pub(super) struct ZoneFile {
    pub(super) origin: Name,
    pub(super) path: PathBuf,
}

/// A zone that other servers have.
#[derive(Clone, Debug)]
pub(super) struct SecondarySpec {
    pub(super) origin: Name,
    pub(super) primaries: Vec<RemoteSpec>,
}

/// Another server, and the name of the key that is used with it.
#[derive(Clone, Debug)]
pub(super) struct RemoteSpec {
    pub(super) key: Option<Name>,
    pub(super) remote: Remote,
}

impl fmt::Display for RemoteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}@")?;
        }
        self.remote.fmt(f)
    }
}

/// A key and its file.
#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    pub(super) name: Name,
    path: PathBuf,
}

/// A file of keys is short.
const LONGEST_KEY_FILE: u64 = 64 * 1024;

impl KeyFile {
    /// The key of this name in the file.
    pub(super) fn read(&self) -> Result<Key, String> {
        let told = |error: &dyn fmt::Display| format!("{error}, expected a file with this key");
        let size = fs::metadata(&self.path)
            .map_err(|error| told(&error))?
            .len();
        if size > LONGEST_KEY_FILE {
            return Err(told(&format_args!("{size} octets are too many for keys")));
        }
        let text = fs::read_to_string(&self.path).map_err(|error| told(&error))?;
        let text = zeroize::Zeroizing::new(text);
        let keys = parse_keys(&text).map_err(|error| error.to_string())?;
        let mut named = keys.iter().filter(|key| *key.name() == self.name);
        match named.next() {
            Some(key) => Ok(key.clone()),
            None => {
                let names: Vec<_> = keys.iter().map(|key| key.name().to_string()).collect();
                let names = names.join(", ");
                Err(format!(
                    "the file has no key of this name, but {names}; expected one of these"
                ))
            }
        }
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.path.display())
    }
}

pub(super) fn zone(text: &str) -> Result<ZoneFile, String> {
    let (origin, path) = split(
        text,
        "ORIGIN=FILE, such as example.org=/etc/zones/example.org",
    )?;
    Ok(ZoneFile {
        origin,
        path: path.into(),
    })
}

pub(super) fn key(text: &str) -> Result<KeyFile, String> {
    let (name, path) = split(
        text,
        "NAME=FILE, such as transfer.example=/etc/transfer.key",
    )?;
    Ok(KeyFile {
        name,
        path: path.into(),
    })
}

pub(super) fn secondary(text: &str) -> Result<SecondarySpec, String> {
    let (origin, primaries) = split(text, "ORIGIN=ADDR, such as example.org=192.0.2.1")?;
    let primaries = primaries.split(',').map(|text| remote(text, "tcp"));
    let primaries: Vec<_> = primaries.collect::<Result<_, _>>()?;
    let mut datagrams = primaries
        .iter()
        .filter(|it| it.remote.endpoint.scheme() == "udp");
    if datagrams.next().is_some() {
        return Err("transfers need a stream, expected an address, tcp or tls".into());
    }
    Ok(SecondarySpec { origin, primaries })
}

pub(super) fn notified(text: &str) -> Result<RemoteSpec, String> {
    remote(text, "udp")
}

pub(super) fn grant(text: &str) -> Result<Grant, String> {
    text.parse::<Grant>().map_err(|_| {
        "expected an address, a network such as 192.0.2.0/24 with no bit set behind its prefix, or \
         the name of a key"
            .into()
    })
}

pub(super) fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|_| {
        "expected an address, or a network such as 192.0.2.0/24 with no bit set behind its prefix"
            .into()
    })
}

fn remote(text: &str, scheme: &str) -> Result<RemoteSpec, String> {
    let (key, address) = match text.split_once('@') {
        // A scheme's own fields may have an @; a key's name has no colon.
        Some((key, address)) if !key.contains(':') => (Some(name(key)?), address),
        _ => (None, text),
    };
    let remote = Remote::parse(address, scheme)
        .map_err(|error| format!("{error}; expected an address, or an endpoint"))?;
    // Nothing in this process speaks any other.
    let known = [
        "udp",
        "tcp",
        "tls",
        "unix",
        "unix-datagram",
        "socks5",
        "http-connect",
    ];
    if !known.contains(&remote.endpoint.scheme()) {
        return Err(format!(
            "expected an address, or an endpoint: {}",
            known.join(", ")
        ));
    }
    Ok(RemoteSpec { key, remote })
}

fn split<'a>(text: &'a str, expected: &str) -> Result<(Name, &'a str), String> {
    match text.split_once('=') {
        Some((origin, rest)) if !rest.is_empty() => Ok((name(origin)?, rest)),
        _ => Err(format!("expected {expected}")),
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::from_text(text.as_bytes(), Some(NameRef::ROOT))
        .map_err(|error| format!("\"{text}\": {error}; expected a domain name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_addresses_or_endpoints_and_may_have_a_key() {
        let spec = secondary("Example.org=192.0.2.1,k.test@[::1]:5300,tls:ns.test:853").unwrap();
        let shown: Vec<_> = spec.primaries.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "tcp:192.0.2.1:53",
                "k.test.@tcp:[::1]:5300",
                "tls:ns.test:853"
            ]
        );
        assert_eq!(notified("::1").unwrap().to_string(), "udp:[::1]:53");
        for bad in [
            "example.org",
            "example.org=",
            "=192.0.2.1",
            "a..b=::1",
            "a=udp:1.2.3.4:53",
        ] {
            assert!(secondary(bad).is_err(), "{bad}");
        }
        assert!(
            secondary("a=nonsense")
                .unwrap_err()
                .contains("expected an address")
        );
        assert!(grant("10.0.0.1/8").unwrap_err().contains("network"));
    }
}
