//! Clients that go through another host: `socks5`, `http-connect`, `haproxy`, and jumps that other
//! crates bring.
//!
//! A string never holds a password. It is shown in errors, in logs and in the list of processes, so
//! it names a file instead, which is read when it is needed.

use std::fmt;
use std::path::PathBuf;

use super::client::{
    ClientEndpoint, ClientSpec, INSECURE_NO_VERIFY, TcpConnect, TlsConnect, UnixConnect,
};
use super::error::{ParseError, Problem};
use super::fields::{Fields, Shape, write_file};
use super::grammar::{Description, Escaped, Source};
use super::haproxy::{self, HaproxyConnect};

/// A jump, and the endpoint that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Jump {
    pub(crate) kind: JumpKind,
    pub(crate) inner: ClientEndpoint,
}

/// How a jump leads on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum JumpKind {
    Haproxy(HaproxyConnect),
    Socks5(ProxyConnect),
    HttpConnect(ProxyConnect),
    /// A scheme of another crate. Its inner endpoint is text there, too.
    Added(Description),
}

impl Jump {
    /// Reads a jump's fields and the endpoint behind it.
    pub(super) fn read(
        source: &Source<'_>,
        mut description: Description,
    ) -> Result<Self, ParseError> {
        let kind = match description.scheme() {
            "haproxy" => {
                let fields = Fields::new(source, &description, &haproxy::CLIENT)?;
                Some(JumpKind::Haproxy(HaproxyConnect::read(&fields)?))
            }
            "socks5" => Some(JumpKind::Socks5(ProxyConnect::read(
                source,
                &description,
                &SOCKS5,
            )?)),
            "http-connect" => Some(JumpKind::HttpConnect(ProxyConnect::read(
                source,
                &description,
                &HTTP_CONNECT,
            )?)),
            _ => None,
        };
        let at = description.inner.as_ref();
        let source = source.inner(at.map_or(source.end(), |inner| inner.at.0))?;
        let spec = ClientSpec::read(&source)?;
        let inner = ClientEndpoint { spec };
        let led_to = match &kind {
            Some(JumpKind::Socks5(_) | JumpKind::HttpConnect(_)) => inner.is_behind_proxy(),
            Some(_) if matches!(inner.spec, ClientSpec::Udp(_) | ClientSpec::UnixDatagram(_)) => {
                Err("a stream")
            }
            _ => Ok(()),
        };
        if let Err(expected) = led_to {
            let problem = Problem::Unreachable(inner.scheme().to_owned());
            return Err(source.error(source.start(), "scheme", problem, expected));
        }
        let kind = kind.unwrap_or_else(|| {
            if let Some(own) = &mut description.inner {
                own.text = inner.to_string();
            }
            JumpKind::Added(description)
        });
        Ok(Self { kind, inner })
    }

    /// The scheme, in lower case.
    pub(crate) fn scheme(&self) -> &str {
        match &self.kind {
            JumpKind::Haproxy(_) => "haproxy",
            JumpKind::Socks5(_) => "socks5",
            JumpKind::HttpConnect(_) => "http-connect",
            JumpKind::Added(description) => description.scheme(),
        }
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            JumpKind::Haproxy(haproxy) => write!(f, "{haproxy}/{}", self.inner),
            JumpKind::Socks5(proxy) | JumpKind::HttpConnect(proxy) => {
                // In a jump's own fields a slash has its escape; inside brackets, as it prints
                // them, there is none.
                let fields = proxy.to_string().replace('/', "\\/");
                write!(f, "{}:{fields}/{}", self.scheme(), self.inner)
            }
            JumpKind::Added(description) => write!(f, "{description}"),
        }
    }
}

/// A proxy that is asked to connect somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProxyConnect {
    /// Where the proxy is: `tcp`, `tls` or `unix`.
    pub(crate) at: ClientEndpoint,
    /// Who asks, where the proxy wants to know.
    pub(crate) user: Option<String>,
    /// The file whose first line is the user's password; only with `user`.
    pub(crate) password: Option<PathBuf>,
    /// Whether names are looked up here instead of by the proxy.
    pub(crate) resolve_locally: bool,
}

impl ProxyConnect {
    fn read(
        source: &Source<'_>,
        description: &Description,
        shape: &Shape,
    ) -> Result<Self, ParseError> {
        if let Some(secret) = description.keywords.iter().find(|k| k.name == "password") {
            // Whoever reads this error may not be who wrote the password.
            return Err(source.error_up_to(
                secret.value_at.0,
                secret.at.0,
                Problem::UnknownKeyword(secret.name.clone()),
                "password-file=FILE: a secret does not stand in an endpoint",
            ));
        }
        let by_path = description.keyword("unix").is_some();
        let slots = if by_path { &[] } else { shape.slots };
        let fields = Fields::with_slots(source, description, shape, slots)?;
        let spec = if by_path {
            const OF_THE_NETWORK: [&str; 9] = [
                "host",
                "port",
                "bind",
                "bind-port",
                "keepalive",
                "ca",
                "cert",
                "key",
                "sni",
            ];
            if let Some(other) = OF_THE_NETWORK.iter().find_map(|name| fields.optional(name)) {
                return Err(other.conflict("none beside unix="));
            }
            if fields.flag(TLS) || fields.flag(INSECURE_NO_VERIFY) {
                let path = fields.required("unix")?;
                return Err(path.conflict("none beside TLS, which is for the network"));
            }
            ClientSpec::Unix(UnixConnect::read(&fields, "unix")?)
        } else {
            Self::read_at(&fields)?
        };
        let user = fields.optional("user");
        if let Some(user) = user
            && (user.text.len() > MAX_USER || user.text.contains(':'))
        {
            return Err(user.invalid(format!("at most {MAX_USER} bytes, and no colon")));
        }
        let password = fields.optional("password-file");
        match (user, password) {
            (None, Some(password)) => return Err(password.conflict("user= beside it")),
            (Some(user), None) => return Err(user.conflict("password-file= beside it")),
            _ => {}
        }
        Ok(Self {
            at: ClientEndpoint { spec },
            user: user.map(|user| user.text.to_owned()),
            password: password.map(|password| password.file()),
            resolve_locally: fields.flag(RESOLVE_LOCALLY),
        })
    }

    /// A proxy of the network, perhaps over TLS.
    fn read_at(fields: &Fields<'_>) -> Result<ClientSpec, ParseError> {
        if fields.flag(TLS) {
            return Ok(ClientSpec::Tls(TlsConnect::read(fields)?));
        }
        for other in ["ca", "cert", "key", "sni"] {
            if let Some(other) = fields.optional(other) {
                return Err(other.conflict("the flag tls beside it"));
            }
        }
        if fields.flag(INSECURE_NO_VERIFY) {
            return Err(fields.missing(TLS, "the flag tls beside insecure-no-verify"));
        }
        Ok(ClientSpec::Tcp(TcpConnect::read(fields)?))
    }
}

impl fmt::Display for ProxyConnect {
    /// The fields, with slashes as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at.spec {
            ClientSpec::Unix(unix) => write!(f, "unix={unix}")?,
            ClientSpec::Tls(tls) => write!(f, "{tls}:{TLS}")?,
            ClientSpec::Tcp(tcp) => write!(f, "{tcp}")?,
            _ => {}
        }
        if let Some(user) = &self.user {
            let text = Escaped {
                text: user,
                positional: false,
                jump: false,
            };
            write!(f, ":user={text}")?;
        }
        write_file(f, "password-file", self.password.as_ref())?;
        if self.resolve_locally {
            write!(f, ":{RESOLVE_LOCALLY}")?;
        }
        Ok(())
    }
}

impl ClientEndpoint {
    /// Whether a proxy can be asked for it. A proxy knows hosts and ports, and connects from where
    /// it likes.
    fn is_behind_proxy(&self) -> Result<(), &'static str> {
        let tcp = match &self.spec {
            ClientSpec::Tcp(tcp) => tcp,
            ClientSpec::Tls(tls) => &tls.tcp,
            ClientSpec::Jump(jump) => {
                return match &jump.kind {
                    JumpKind::Haproxy(_) => jump.inner.is_behind_proxy(),
                    JumpKind::Socks5(proxy) | JumpKind::HttpConnect(proxy) => {
                        proxy.at.is_behind_proxy()
                    }
                    JumpKind::Added(_) => Ok(()),
                };
            }
            ClientSpec::Other(_) => return Ok(()),
            _ => return Err("a host and port behind a proxy"),
        };
        match tcp.has_local_options() {
            true => Err("no bind=, bind-port= or keepalive= behind a proxy, which connects itself"),
            false => Ok(()),
        }
    }
}

const SOCKS5: Shape = Shape {
    form: "socks5:HOST:PORT",
    slots: &["host", "port"],
    keywords: &[
        "unix",
        "timeout",
        "bind",
        "bind-port",
        "keepalive",
        "user",
        "password-file",
    ],
    flags: &[RESOLVE_LOCALLY],
};

const HTTP_CONNECT: Shape = Shape {
    form: "http-connect:HOST:PORT",
    slots: &["host", "port"],
    keywords: &[
        "unix",
        "timeout",
        "bind",
        "bind-port",
        "keepalive",
        "ca",
        "cert",
        "key",
        "sni",
        "user",
        "password-file",
    ],
    flags: &[TLS, INSECURE_NO_VERIFY, RESOLVE_LOCALLY],
};

const TLS: &str = "tls";

const RESOLVE_LOCALLY: &str = "resolve-locally";

/// RFC 1929 counts a user's name in one byte.
const MAX_USER: usize = 255;
