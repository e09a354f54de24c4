//! The fields of `haproxy`, the jump that speaks the PROXY protocol, on both sides.
//!
//! What the protocol is stands in the jump itself; here is only what its strings say.

use std::fmt;

use super::ServerEndpoint;
use super::error::ParseError;
use super::fields::{Fields, Part, Shape};
use super::network::Network;

/// A server behind proxies that begin each connection with a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HaproxyListen {
    /// Who is believed; if it is empty, loopback alone. Unix sockets are always believed, since
    /// their permissions say who may connect.
    pub(crate) from: Vec<Network>,
    pub(crate) inner: ServerEndpoint,
}

impl HaproxyListen {
    /// Who is believed.
    pub(super) fn networks(fields: &Fields<'_>) -> Result<Vec<Network>, ParseError> {
        fields.optional("from").map_or(Ok(Vec::new()), networks)
    }
}

impl fmt::Display for HaproxyListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("haproxy")?;
        for (i, network) in self.from.iter().enumerate() {
            let before = if i == 0 { ":from=" } else { "," };
            // A jump's own slashes.
            let network = network.to_string().replace('/', "\\/");
            write!(f, "{before}{network}")?;
        }
        write!(f, "/{}", self.inner)
    }
}

/// A client that says on whose behalf it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HaproxyConnect {
    pub(crate) version: Version,
}

impl HaproxyConnect {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let version = match fields.optional("version") {
            None => Version::V2,
            Some(version) => match version.text {
                "1" => Version::V1,
                "2" => Version::V2,
                _ => return Err(version.invalid("1 or 2")),
            },
        };
        Ok(Self { version })
    }
}

impl fmt::Display for HaproxyConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.version {
            Version::V1 => "haproxy:version=1",
            Version::V2 => "haproxy",
        })
    }
}

/// The two forms of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    /// A line of text.
    V1,
    /// Binary, and the default: it says more, and is read in fewer steps.
    V2,
}

fn networks(from: Part<'_>) -> Result<Vec<Network>, ParseError> {
    let networks: Option<_> = from.text.split(',').map(Network::read).collect();
    networks.ok_or_else(|| {
        from.invalid(
            "networks with commas between them, such as 10.0.0.0\\/8,[2001:db8::]\\/32, with no \
             bit set behind the prefix",
        )
    })
}

pub(super) const SERVER: Shape = Shape {
    form: "haproxy",
    slots: &[],
    keywords: &["from"],
    flags: &[],
};

pub(super) const CLIENT: Shape = Shape {
    form: "haproxy",
    slots: &[],
    keywords: &["version"],
    flags: &[],
};
