//! [`ServerEndpoint`]: a string that says where to listen.
//!
//! Plain data. What listens on it stands elsewhere; nothing here opens a socket or a file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::address::{Interface, UnixPath};
use super::error::{ParseError, Problem};
use super::fields::{BROADCAST, FD, Fields, MEM, Shape, write_file, write_flag, write_keepalive};
use super::grammar::{COMMAND, Description, Escaped, Source, scan};
use super::haproxy::{self, HaproxyListen};
use super::systemd::{SYSTEMD, SystemdListen};
use crate::{DatagramOption, MulticastGroup};

/// Where to listen, parsed from a string such as `tcp:8080` or `unix:/run/x.sock:mode=660`.
///
/// A string that cannot serve does not parse. Whether the port is free and the file is there shows
/// when it listens. The grammar stands in [`grammar`](crate::endpoint::grammar).
///
/// - `tcp:PORT` listens on loopback, `tcp:ADDRESS:PORT` on one address, `tcp:PORT:interface=*` on
///   all. `interface=` takes an address, `localhost` or `*`, no other names. Port 0 asks for any.
///   `backlog=` is 1024 if it is not given: the kernel cuts it down to what it allows, and a short
///   one refuses peers in a burst. The flag `reuse-port` lets several sockets share the port.
///   `keepalive=SECONDS` has the system probe peers that were silent for so long; it is off if it
///   is not given, since [`Limits::idle`](crate::Limits::idle) ends what nobody uses.
/// - `tls:` has the same and `cert=FILE`, `key=FILE`, both PEM. With no `key` the private key
///   stands in the certificate's file. Or `certs=DIR`, a folder of them, each for its names, which
///   is watched ([`tls`](crate::tls) has the rules). With neither the program supplies a
///   certificate. `client-ca=FILE` asks clients for a certificate of the authorities in it; with
///   the flag `client-cert-optional` one who has none is served too.
/// - `udp:` as `tcp:`, with no backlog. With `interface=*`, `join=GROUP,…` joins multicast groups,
///   each as [`MulticastGroup`](crate::MulticastGroup) reads it: `udp:5353:interface=*:join=224.0.0.251`.
///   It then has the family of the groups. `hops=` says how far what is sent to groups may go (1 if
///   it is not given), `multicast-interface=` by which interface it leaves; the flag `no-loop` keeps
///   it from this host. The flag `broadcast` allows sending to all of a network.
/// - `unix:PATH`, with `mode=` for the socket's permissions and `backlog=`; `unix:@NAME` in
///   Linux's abstract namespace.
/// - `unix-datagram:` as `unix:`, with no backlog.
/// - `stdio:`, `fd:NUMBER` (a listening descriptor) and `mem:NAME`.
/// - `systemd:name=NAME` or `systemd:index=NUMBER`, a socket that the service manager passed on; with
///   both, the index counts among the sockets of that name.
/// - `haproxy/ENDPOINT` serves the clients of a proxy, which begins each connection with a header of
///   the PROXY protocol, version 1 or 2. It is believed from loopback and on Unix sockets, and with
///   `from=NETWORK,…` from those networks instead of loopback; whoever else connects is refused.
///
/// ```
/// use ropewalk_core::ServerEndpoint;
///
/// let endpoint: ServerEndpoint = "tls:443:interface=*:cert=/etc/web.pem".parse()?;
/// assert_eq!(endpoint.scheme(), "tls");
/// assert!(!endpoint.needs_certificate());
///
/// let error = "exec:date".parse::<ServerEndpoint>().unwrap_err();
/// assert!(error.to_string().contains(r#"at 0: "exec" cannot serve"#));
/// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerEndpoint {
    pub(crate) spec: ServerSpec,
}

impl ServerEndpoint {
    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        match &self.spec {
            ServerSpec::Tcp(_) => "tcp",
            ServerSpec::Tls(_) => "tls",
            ServerSpec::Unix(_) => "unix",
            ServerSpec::Udp(_) => "udp",
            ServerSpec::UnixDatagram(_) => "unix-datagram",
            ServerSpec::Stdio => "stdio",
            ServerSpec::Fd(_) => "fd",
            ServerSpec::Mem(_) => "mem",
            ServerSpec::Systemd(_) => "systemd",
            ServerSpec::Haproxy(_) => "haproxy",
            ServerSpec::Other(description) => description.scheme(),
        }
    }

    /// The endpoint behind `haproxy`.
    pub fn inner(&self) -> Option<&Self> {
        match &self.spec {
            ServerSpec::Haproxy(haproxy) => Some(&haproxy.inner),
            _ => None,
        }
    }

    /// The fields, where the scheme is not one that is read here: `ssh`, and schemes that other
    /// crates add.
    pub fn description(&self) -> Option<&Description> {
        match &self.spec {
            ServerSpec::Other(description) => Some(description),
            _ => None,
        }
    }

    /// Whether it speaks TLS and names no certificate, so that the program must supply one; also
    /// where the endpoint behind a jump does.
    pub fn needs_certificate(&self) -> bool {
        match &self.spec {
            ServerSpec::Tls(tls) => tls.cert.is_none() && tls.certs.is_none(),
            ServerSpec::Haproxy(haproxy) => haproxy.inner.needs_certificate(),
            ServerSpec::Other(description) => {
                let inner = description
                    .inner()
                    .and_then(|inner| inner.parse::<Self>().ok());
                inner.is_some_and(|inner| inner.needs_certificate())
            }
            _ => false,
        }
    }
}

impl ServerEndpoint {
    pub(crate) fn tcp(tcp: TcpListen) -> Self {
        Self {
            spec: ServerSpec::Tcp(tcp),
        }
    }

    /// Its TCP socket, if it listens on one.
    pub(crate) fn tcp_mut(&mut self) -> Option<&mut TcpListen> {
        match &mut self.spec {
            ServerSpec::Tcp(tcp) => Some(tcp),
            ServerSpec::Tls(tls) => Some(&mut tls.tcp),
            ServerSpec::Haproxy(haproxy) => haproxy.inner.tcp_mut(),
            _ => None,
        }
    }
}

impl FromStr for ServerEndpoint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let source = Source::new(text)?;
        let endpoint = Self {
            spec: ServerSpec::read(&source)?,
        };
        source.check_length(endpoint.to_string().len())?;
        Ok(endpoint)
    }
}

impl fmt::Display for ServerEndpoint {
    /// The canonical form: an interface before its port, except `interface=*`; no defaults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spec {
            ServerSpec::Tcp(tcp) => write!(f, "tcp:{tcp}"),
            ServerSpec::Tls(tls) => write!(f, "tls:{tls}"),
            ServerSpec::Unix(unix) => write!(f, "unix:{unix}"),
            ServerSpec::Udp(udp) => write!(f, "udp:{udp}"),
            ServerSpec::UnixDatagram(unix) => write!(f, "unix-datagram:{unix}"),
            ServerSpec::Stdio => f.write_str("stdio:"),
            ServerSpec::Fd(number) => write!(f, "fd:{number}"),
            ServerSpec::Mem(name) => {
                write!(
                    f,
                    "mem:{}",
                    Escaped {
                        text: name,
                        positional: true,
                        jump: false
                    }
                )
            }
            ServerSpec::Systemd(systemd) => write!(f, "systemd{systemd}"),
            ServerSpec::Haproxy(haproxy) => write!(f, "{haproxy}"),
            ServerSpec::Other(description) => write!(f, "{description}"),
        }
    }
}

/// What a server's string says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ServerSpec {
    Tcp(TcpListen),
    Tls(TlsListen),
    Unix(UnixListen),
    Udp(UdpListen),
    UnixDatagram(UnixDatagramListen),
    Stdio,
    /// A listening descriptor, from 0 on.
    Fd(i32),
    /// A name within one `Schemes` value.
    Mem(String),
    Systemd(SystemdListen),
    Haproxy(Box<HaproxyListen>),
    Other(Description),
}

impl ServerSpec {
    fn read(source: &Source<'_>) -> Result<Self, ParseError> {
        let mut description = scan(source)?;
        let spec = match description.scheme() {
            "tcp" => Self::Tcp(TcpListen::read(&listen_fields(
                source,
                &description,
                &TCP,
            )?)?),
            "tls" => Self::Tls(TlsListen::read(&listen_fields(
                source,
                &description,
                &TLS,
            )?)?),
            "udp" => Self::Udp(UdpListen::read(&listen_fields(
                source,
                &description,
                &UDP,
            )?)?),
            "unix-datagram" => Self::UnixDatagram(UnixDatagramListen::read(&Fields::new(
                source,
                &description,
                &UNIX_DATAGRAM,
            )?)?),
            "unix" => Self::Unix(UnixListen::read(&Fields::new(
                source,
                &description,
                &UNIX,
            )?)?),
            "stdio" => {
                Fields::new(source, &description, &STDIO)?;
                Self::Stdio
            }
            "fd" => {
                let fields = Fields::new(source, &description, &FD)?;
                Self::Fd(fields.required("descriptor")?.descriptor()?)
            }
            "mem" => {
                let fields = Fields::new(source, &description, &MEM)?;
                Self::Mem(fields.required("name")?.text.to_owned())
            }
            "systemd" => {
                let fields = Fields::new(source, &description, &SYSTEMD)?;
                Self::Systemd(SystemdListen::read(&fields)?)
            }
            "haproxy" => {
                let fields = Fields::new(source, &description, &haproxy::SERVER)?;
                let from = HaproxyListen::networks(&fields)?;
                let at = description.inner.as_ref();
                let at = at.map_or(source.end(), |inner| inner.at.0);
                let inner_source = source.inner(at)?;
                let inner = ServerEndpoint {
                    spec: Self::read(&inner_source)?,
                };
                if matches!(inner.spec, Self::Udp(_) | Self::UnixDatagram(_)) {
                    let problem = Problem::Unreachable(inner.scheme().to_owned());
                    let expected = "a stream";
                    return Err(inner_source.error(at, "scheme", problem, expected));
                }
                Self::Haproxy(Box::new(HaproxyListen { from, inner }))
            }
            scheme @ (COMMAND | "socks5" | "http-connect") => {
                let expected = "a scheme that listens, such as tcp, tls or unix";
                let problem = Problem::CannotServe(scheme.to_owned());
                return Err(source.error(source.start(), "scheme", problem, expected));
            }
            _ => {
                if let Some(inner) = &mut description.inner {
                    let spec = Self::read(&source.inner(inner.at.0)?)?;
                    inner.text = ServerEndpoint { spec }.to_string();
                }
                Self::Other(description)
            }
        };
        Ok(spec)
    }
}

/// Where a stream socket listens: `[ADDRESS:]PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TcpListen {
    pub(crate) interface: Interface,
    /// 0 asks for any.
    pub(crate) port: u16,
    pub(crate) backlog: u32,
    /// How long a peer may be silent before the system probes it.
    pub(crate) keepalive: Option<Duration>,
    pub(crate) reuse_port: bool,
}

impl TcpListen {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let (interface, port) = interface_and_port(fields)?;
        let reuse_port = fields.flag(REUSE_PORT);
        let keepalive = fields.optional("keepalive").map(|after| after.keepalive());
        Ok(Self {
            interface,
            port,
            backlog: backlog(fields)?,
            keepalive: keepalive.transpose()?,
            reuse_port,
        })
    }
}

impl fmt::Display for TcpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_interface_and_port(f, &self.interface, self.port)?;
        write_backlog(f, self.backlog)?;
        write_keepalive(f, self.keepalive)?;
        write_reuse_port(f, self.reuse_port)
    }
}

/// A stream socket, and the files of its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TlsListen {
    pub(crate) tcp: TcpListen,
    /// PEM; with no `key`, the private key stands in the same file.
    pub(crate) cert: Option<PathBuf>,
    /// PEM; only with `cert`.
    pub(crate) key: Option<PathBuf>,
    /// A folder of PEM; never with `cert`.
    pub(crate) certs: Option<PathBuf>,
    /// PEM: the authorities of clients, which must show a certificate.
    pub(crate) client_ca: Option<PathBuf>,
    /// Only with `client_ca`: or need not.
    pub(crate) client_cert_optional: bool,
}

impl TlsListen {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let tcp = TcpListen::read(fields)?;
        let certs = fields.optional("certs");
        if let Some(certs) = certs
            && ["cert", "key"]
                .iter()
                .any(|name| fields.optional(name).is_some())
        {
            return Err(certs.conflict("no cert= and no key= beside it"));
        }
        let (cert, key) = fields.certificate()?;
        let client_ca = fields.optional("client-ca").map(|ca| ca.file());
        let client_cert_optional = fields.flag(CLIENT_CERT_OPTIONAL);
        if client_cert_optional && client_ca.is_none() {
            return Err(fields.missing("client-ca", "client-ca= beside client-cert-optional"));
        }
        Ok(Self {
            tcp,
            cert,
            key,
            certs: certs.map(|certs| certs.file()),
            client_ca,
            client_cert_optional,
        })
    }
}

impl fmt::Display for TlsListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tcp)?;
        if self.client_cert_optional {
            write!(f, ":{CLIENT_CERT_OPTIONAL}")?;
        }
        write_file(f, "cert", self.cert.as_ref())?;
        write_file(f, "key", self.key.as_ref())?;
        write_file(f, "certs", self.certs.as_ref())?;
        write_file(f, "client-ca", self.client_ca.as_ref())
    }
}

/// A Unix socket that listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnixListen {
    pub(crate) path: UnixPath,
    /// Permission bits of the socket file; `None` for abstract names.
    pub(crate) mode: Option<u32>,
    pub(crate) backlog: u32,
}

impl UnixListen {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let (path, mode) = path_and_mode(fields)?;
        Ok(Self {
            path,
            mode,
            backlog: backlog(fields)?,
        })
    }
}

impl fmt::Display for UnixListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_path_and_mode(f, &self.path, self.mode)?;
        write_backlog(f, self.backlog)
    }
}

/// A Unix socket that receives datagrams.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnixDatagramListen {
    pub(crate) path: UnixPath,
    /// Permission bits of the socket file; `None` for abstract names.
    pub(crate) mode: Option<u32>,
}

impl UnixDatagramListen {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let (path, mode) = path_and_mode(fields)?;
        Ok(Self { path, mode })
    }
}

impl fmt::Display for UnixDatagramListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_path_and_mode(f, &self.path, self.mode)
    }
}

fn path_and_mode(fields: &Fields<'_>) -> Result<(UnixPath, Option<u32>), ParseError> {
    let path = fields.required("path")?.socket_path()?;
    let mode = fields.optional("mode");
    if let (UnixPath::Abstract(_), Some(mode)) = (&path, mode) {
        return Err(mode.conflict("none: an abstract name has no permissions"));
    }
    Ok((path, mode.map(|mode| mode.mode()).transpose()?))
}

fn write_path_and_mode(
    f: &mut fmt::Formatter<'_>,
    path: &UnixPath,
    mode: Option<u32>,
) -> fmt::Result {
    write!(f, "{path}")?;
    mode.map_or(Ok(()), |mode| write!(f, ":mode={mode:03o}"))
}

/// Where datagrams are received.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UdpListen {
    pub(crate) interface: Interface,
    /// 0 asks for any.
    pub(crate) port: u16,
    pub(crate) reuse_port: bool,
    /// Only where the interface is all, or an unspecified address.
    pub(crate) groups: Vec<MulticastGroup>,
    pub(crate) hops: Option<u8>,
    pub(crate) multicast_interface: Option<String>,
    pub(crate) no_loop: bool,
    pub(crate) broadcast: bool,
}

impl UdpListen {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let (interface, port) = interface_and_port(fields)?;
        let mut groups = Vec::new();
        if let Some(join) = fields.optional("join") {
            groups = join.groups()?;
            let hears_all = match &interface {
                Interface::Loopback => false,
                Interface::All => true,
                Interface::Address(address) => address.ip.is_unspecified(),
            };
            if !hears_all {
                let expected = "interface=* beside it: a socket of one address hears no group";
                return Err(join.conflict(expected));
            }
        }
        let hops = fields.optional("hops").map(|hops| hops.hops());
        let by = fields.optional(MULTICAST_INTERFACE);
        Ok(Self {
            interface,
            port,
            reuse_port: fields.flag(REUSE_PORT),
            groups,
            hops: hops.transpose()?,
            multicast_interface: by.map(|by| by.zone()).transpose()?,
            no_loop: fields.flag(NO_LOOP),
            broadcast: fields.flag(BROADCAST),
        })
    }

    /// What is to be set on the socket.
    pub(crate) fn options(&self) -> impl Iterator<Item = DatagramOption> {
        let interface = self.multicast_interface.clone();
        let hops = self.hops.map(DatagramOption::MulticastHops);
        let groups = self.groups.iter().cloned();
        hops.into_iter()
            .chain(interface.map(DatagramOption::MulticastInterface))
            .chain(self.no_loop.then_some(DatagramOption::MulticastLoop(false)))
            .chain(self.broadcast.then_some(DatagramOption::Broadcast(true)))
            .chain(groups.map(DatagramOption::Join))
    }
}

impl fmt::Display for UdpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_interface_and_port(f, &self.interface, self.port)?;
        for (index, group) in self.groups.iter().enumerate() {
            write!(f, "{}{group}", if index == 0 { ":join=" } else { "," })?;
        }
        if let Some(hops) = self.hops {
            write!(f, ":hops={hops}")?;
        }
        if let Some(interface) = &self.multicast_interface {
            write!(f, ":{MULTICAST_INTERFACE}={interface}")?;
        }
        write_reuse_port(f, self.reuse_port)?;
        write_flag(f, NO_LOOP, self.no_loop)?;
        write_flag(f, BROADCAST, self.broadcast)
    }
}

/// The fields of a scheme whose first positional may be left out: one positional is the port, two
/// are address and port. A number first is a port in any case, so that the error of `tcp:80:x`
/// names the `x`.
fn listen_fields<'a>(
    source: &'a Source<'a>,
    description: &'a Description,
    shape: &Shape,
) -> Result<Fields<'a>, ParseError> {
    let flag = |text: &str| {
        shape
            .flags
            .iter()
            .any(|flag| flag.eq_ignore_ascii_case(text))
    };
    let places = description
        .positionals()
        .take_while(|text| !flag(text))
        .count()
        + usize::from(description.keyword("port").is_some());
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let port_first = places < 2 || description.positional(0).is_some_and(digits);
    let slots = if port_first {
        &shape.slots[1..]
    } else {
        shape.slots
    };
    Fields::with_slots(source, description, shape, slots)
}

fn interface_and_port(fields: &Fields<'_>) -> Result<(Interface, u16), ParseError> {
    let port = fields.required("port")?;
    let interface = fields
        .optional("interface")
        .map(|interface| interface.interface());
    Ok((
        interface.transpose()?.unwrap_or(Interface::Loopback),
        port.port(0)?,
    ))
}

fn backlog(fields: &Fields<'_>) -> Result<u32, ParseError> {
    fields
        .optional("backlog")
        .map_or(Ok(BACKLOG), |backlog| backlog.backlog())
}

fn write_interface_and_port(
    f: &mut fmt::Formatter<'_>,
    interface: &Interface,
    port: u16,
) -> fmt::Result {
    match interface {
        Interface::Loopback => write!(f, "{port}"),
        Interface::All => write!(f, "{port}:interface=*"),
        Interface::Address(address) => write!(f, "{address}:{port}"),
    }
}

fn write_backlog(f: &mut fmt::Formatter<'_>, backlog: u32) -> fmt::Result {
    if backlog == BACKLOG {
        Ok(())
    } else {
        write!(f, ":backlog={backlog}")
    }
}

fn write_reuse_port(f: &mut fmt::Formatter<'_>, reuse_port: bool) -> fmt::Result {
    write_flag(f, REUSE_PORT, reuse_port)
}

const TCP: Shape = Shape {
    form: "tcp:[ADDRESS:]PORT",
    slots: &["interface", "port"],
    keywords: &["backlog", "keepalive"],
    flags: &[REUSE_PORT],
};

const TLS: Shape = Shape {
    form: "tls:[ADDRESS:]PORT",
    slots: &["interface", "port"],
    keywords: &["cert", "key", "certs", "client-ca", "backlog", "keepalive"],
    flags: &[REUSE_PORT, CLIENT_CERT_OPTIONAL],
};

const UDP: Shape = Shape {
    form: "udp:[ADDRESS:]PORT",
    slots: &["interface", "port"],
    keywords: &["join", "hops", MULTICAST_INTERFACE],
    flags: &[REUSE_PORT, NO_LOOP, BROADCAST],
};

const UNIX: Shape = Shape {
    form: "unix:PATH or unix:@NAME",
    slots: &["path"],
    keywords: &["mode", "backlog"],
    flags: &[],
};

const UNIX_DATAGRAM: Shape = Shape {
    form: "unix-datagram:PATH or unix-datagram:@NAME",
    slots: &["path"],
    keywords: &["mode"],
    flags: &[],
};

const STDIO: Shape = Shape {
    form: "stdio: alone",
    slots: &[],
    keywords: &[],
    flags: &[],
};

const REUSE_PORT: &str = "reuse-port";
const NO_LOOP: &str = "no-loop";
const MULTICAST_INTERFACE: &str = "multicast-interface";

const CLIENT_CERT_OPTIONAL: &str = "client-cert-optional";

/// Enough for a burst of peers in the time that a busy thread takes to accept; Twisted's 50 is not.
const BACKLOG: u32 = 1024;
