//! A server to be asked, as a string names it.

use std::{fmt, net::IpAddr, str::FromStr};

use ropewalk_core::ClientEndpoint;

use crate::proto::exchange::Ways;

/// A name server to ask, and how to reach it.
///
/// | text | how it is asked |
/// | --- | --- |
/// | `9.9.9.9`, `9.9.9.9:53`, `[2620:fe::fe]:53`, `udp:9.9.9.9:53` | by UDP, and by TCP where an answer does not fit |
/// | `tcp:9.9.9.9:53` | by TCP alone |
/// | `tls:dns.example:853` | over TLS (RFC 7858), with all options of core's `tls:` endpoints |
/// | `https://dns.example/dns-query` | over HTTPS (RFC 8484), with the feature `doh` |
/// | `mem:NAME`, `sim:HOST:53` | as UDP and TCP, in tests |
/// | `unix:PATH`, `socks5:…/tls:…` and others | as TCP, over that stream |
///
/// Ports may be left out: 53, 853 and 443.
///
/// ```
/// use ropewalk_names_dns::client::Upstream;
///
/// let server: Upstream = "tls:dns.example:sni=resolver.example".parse()?;
/// assert_eq!(server.to_string(), "tls:dns.example:853:sni=resolver.example");
/// assert!("tcp:".parse::<Upstream>().is_err());
/// # Ok::<(), ropewalk_names_dns::client::UpstreamError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub(super) datagram: Option<ClientEndpoint>,
    pub(super) stream: Option<ClientEndpoint>,
    #[cfg(feature = "doh")]
    pub(super) https: Option<super::https::Url>,
    ways: Ways,
    text: String,
}

/// A text that names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name server: {why}")]
#[non_exhaustive]
pub struct UpstreamError {
    /// The text.
    pub text: String,
    /// What is wrong, and what was expected.
    pub why: String,
}

impl Upstream {
    pub(super) fn ways(&self) -> Ways {
        self.ways
    }

    /// Without datagrams, as resolv.conf's `use-vc` has it. One that has none is as it was.
    #[must_use]
    pub fn by_stream_alone(self) -> Self {
        match self.datagram {
            Some(_) => Self::plain(None, self.stream, Ways::STREAM),
            None => self,
        }
    }

    /// Connects here instead of where the URL says, whose name the server must still prove if this
    /// is a `tls:` endpoint that says `sni=`: for who cannot look the server's name up without the
    /// server, and for tests. Only for `https:`; others are what they are.
    #[cfg(feature = "doh")]
    #[must_use]
    pub fn via(mut self, endpoint: ClientEndpoint) -> Self {
        if self.https.is_some() {
            self.stream = Some(endpoint);
        }
        self
    }

    /// Asks by GET, which caches on the way may answer, instead of by POST. Only for `https:`.
    #[cfg(feature = "doh")]
    #[must_use]
    pub fn by_get(mut self) -> Self {
        if let Some(url) = &mut self.https {
            url.by_get = true;
        }
        self
    }

    fn plain(datagram: Option<ClientEndpoint>, stream: Option<ClientEndpoint>, ways: Ways) -> Self {
        let text = datagram.as_ref().or(stream.as_ref());
        Self {
            text: text.map(ToString::to_string).unwrap_or_default(),
            datagram,
            stream,
            #[cfg(feature = "doh")]
            https: None,
            ways,
        }
    }
}

impl From<IpAddr> for Upstream {
    fn from(address: IpAddr) -> Self {
        let endpoint = |scheme: &str| {
            let text = match address {
                IpAddr::V4(ip) => format!("{scheme}:{ip}:53"),
                IpAddr::V6(ip) => format!("{scheme}:[{ip}]:53"),
            };
            text.parse().ok()
        };
        Self::plain(endpoint("udp"), endpoint("tcp"), Ways::PLAIN)
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let refuse = |why: String| UpstreamError {
            text: text.to_owned(),
            why,
        };
        if let Some(address) = bare_address(text) {
            return Ok(address.into());
        }
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("https:") {
            #[cfg(feature = "doh")]
            return Self::from_url(text).map_err(refuse);
            #[cfg(not(feature = "doh"))]
            return Err(refuse("built without DNS over HTTPS".to_owned()));
        }
        // Schemes are open to programs, so this would wait for one that nobody will ever register.
        if lower.starts_with("http:") {
            return Err(refuse("DNS over HTTPS begins with https:".to_owned()));
        }
        // An address and port alone.
        if let Ok(address) = text.parse::<std::net::SocketAddr>() {
            return format!("udp:{address}").parse();
        }
        let read = |text: String| {
            let endpoint = text.parse::<ClientEndpoint>();
            endpoint.map_err(|error| refuse(error.to_string()))
        };
        let with_port = |port: u16| read(with_default_port(text, port));
        match lower.split_once(':').map_or("", |(scheme, _)| scheme) {
            "udp" => {
                let datagram = with_port(53)?;
                let stream = read(format!("tcp{}", &datagram.to_string()[3..]))?;
                Ok(Self::plain(Some(datagram), Some(stream), Ways::PLAIN))
            }
            "tcp" => Ok(Self::plain(None, Some(with_port(53)?), Ways::STREAM)),
            "tls" => Ok(Self::plain(None, Some(with_port(853)?), Ways::SECURE)),
            "mem" | "sim" => {
                let endpoint = read(text.to_owned())?;
                Ok(Self::plain(
                    Some(endpoint.clone()),
                    Some(endpoint),
                    Ways::PLAIN,
                ))
            }
            _ => {
                let endpoint = read(text.to_owned())?;
                let mut last = &endpoint;
                while let Some(inner) = last.inner() {
                    last = inner;
                }
                let ways = match last.scheme() {
                    "tls" => Ways::SECURE,
                    _ => Ways::STREAM,
                };
                Ok(Self::plain(None, Some(endpoint), ways))
            }
        }
    }
}

#[cfg(feature = "doh")]
impl Upstream {
    fn from_url(text: &str) -> Result<Self, String> {
        let url = super::https::Url::read(text)?;
        let stream = format!("tls:{}:{}", url.host, url.port);
        let stream = stream.parse::<ClientEndpoint>();
        Ok(Self {
            datagram: None,
            stream: Some(stream.map_err(|error| error.to_string())?),
            ways: Ways::SECURE,
            text: url.to_string(),
            https: Some(url),
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An address without a port; one of IPv6 with brackets or without.
fn bare_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::from),
        None => text.parse().ok(),
    }
}

/// Puts the port in where `SCHEME:HOST` has none.
fn with_default_port(text: &str, port: u16) -> String {
    let Some((scheme, rest)) = text.split_once(':') else {
        return text.to_owned();
    };
    // The host ends at the first colon outside brackets.
    let mut inside = false;
    let end = rest.bytes().position(|byte| {
        inside = (inside || byte == b'[') && byte != b']';
        byte == b':' && !inside
    });
    let (host, options) = rest.split_at(end.unwrap_or(rest.len()));
    let next = options.get(1..).unwrap_or_default();
    let next = next.split(':').next().unwrap_or_default();
    match !host.is_empty() && !host.contains('=') && (next.is_empty() || next.contains('=')) {
        true => format!("{scheme}:{host}:{port}{options}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_read_in_every_form() {
        for (text, canonical, ways) in [
            ("9.9.9.9", "udp:9.9.9.9:53", Ways::PLAIN),
            ("9.9.9.9:5353", "udp:9.9.9.9:5353", Ways::PLAIN),
            ("2620:fe::fe", "udp:[2620:fe::fe]:53", Ways::PLAIN),
            ("[2620:fe::fe]", "udp:[2620:fe::fe]:53", Ways::PLAIN),
            ("[::1]:54", "udp:[::1]:54", Ways::PLAIN),
            ("UDP:ns.example", "udp:ns.example:53", Ways::PLAIN),
            (
                "udp:[::1]:bind=[::1]",
                "udp:[::1]:53:bind=[::1]",
                Ways::PLAIN,
            ),
            ("tcp:9.9.9.9", "tcp:9.9.9.9:53", Ways::STREAM),
            ("tls:dns.example", "tls:dns.example:853", Ways::SECURE),
            ("mem:dns", "mem:dns", Ways::PLAIN),
            ("unix:/run/dns", "unix:/run/dns", Ways::STREAM),
            (
                "socks5:p:1080/tls:dns.example:853",
                "socks5:p:1080/tls:dns.example:853",
                Ways::SECURE,
            ),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!(
                (upstream.to_string().as_str(), upstream.ways()),
                (canonical, ways)
            );
        }
        for text in ["", "udp:", "tcp:a:b:c", "http://dns.example/", "300.1.1.1"] {
            let error = text.parse::<Upstream>().unwrap_err().to_string();
            assert!(error.contains("is no name server"), "{error}");
        }
    }
}
