//! [`ClientEndpoint`]: a string that says whom to connect to.
//!
//! Plain data. What connects stands elsewhere; nothing here opens a socket, starts a program or
//! looks up a name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::address::{Host, ScopedIp, UnixPath};
use super::error::{ParseError, Problem};
use super::fields::{
    BROADCAST, FD, Fields, MEM, Part, Shape, write_file, write_flag, write_keepalive, write_seconds,
};
use super::grammar::{COMMAND, Description, Escaped, Source, scan};
use super::jump::{Jump, JumpKind};

/// Whom to connect to, parsed from a string such as `tls:mx.test:993` or `unix:/run/x.sock`.
///
/// A string that cannot connect does not parse. Whether anybody answers shows when it connects.
/// The grammar stands in [`grammar`](crate::endpoint::grammar).
///
/// - `tcp:HOST:PORT`, with `timeout=SECONDS` for all of connecting, look-up included (30 if it is
///   not given), and `bind=ADDRESS` and `bind-port=PORT` for the local side. A host is a name in
///   ASCII or an address. `keepalive=SECONDS` has the system probe a peer that was silent for so
///   long, which finds out that it is gone without a word; it is off if it is not given.
/// - `tls:HOST:PORT` has the same and verifies the peer: `ca=FILE` names the roots to trust
///   instead of the platform's, `sni=NAME` the name to verify if it is not the host,
///   `cert=FILE` and `key=FILE` our own certificate. The flag `insecure-no-verify` verifies
///   nothing.
/// - `udp:HOST:PORT`, with `bind=`. The flag `broadcast` allows a host that is all of a network.
/// - `unix:PATH`, with `timeout=`; `unix:@NAME` in Linux's abstract namespace.
/// - `unix-datagram:PATH`, with `bind=PATH` for our own name; without one Linux makes one up, and
///   elsewhere we cannot be answered.
/// - `exec:COMMAND` talks with a child's standard input and output. All behind the colon is the
///   command: words, quotes and backslashes as in a shell, but no shell.
/// - `fd:NUMBER` (a connected descriptor) and `mem:NAME`.
/// - `socks5:HOST:PORT/ENDPOINT` goes to a `tcp` or `tls` endpoint through a proxy (RFC 1928), which
///   looks names up unless the flag `resolve-locally` stands there. `user=` and `password-file=`
///   say who asks (RFC 1929); the file's first line is the password. `unix=PATH` in the place of
///   host and port is a proxy on a Unix socket.
/// - `http-connect:HOST:PORT/ENDPOINT` is the same by CONNECT (RFC 9110, section 9.3.6). The flag
///   `tls` speaks TLS with the proxy, and then the options of `tls:` are for that.
/// - `haproxy/ENDPOINT` begins with a header of the PROXY protocol, by default of `version=2`: on
///   whose behalf [`ConnectOptions`](crate::ConnectOptions) say that it connects, or nobody's.
///
/// ```
/// use ropewalk_core::ClientEndpoint;
///
/// let endpoint: ClientEndpoint = "tcp:[::1]:25:timeout=2.5".parse()?;
/// assert_eq!((endpoint.scheme(), endpoint.host().as_deref()), ("tcp", Some("::1")));
///
/// let error = "tcp:8080".parse::<ClientEndpoint>().unwrap_err();
/// assert_eq!(error.to_string(), r#"endpoint "tcp:8080": at 8: no port, expected tcp:HOST:PORT"#);
/// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientEndpoint {
    pub(crate) spec: ClientSpec,
}

impl ClientEndpoint {
    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        match &self.spec {
            ClientSpec::Tcp(_) => "tcp",
            ClientSpec::Tls(_) => "tls",
            ClientSpec::Unix(_) => "unix",
            ClientSpec::Udp(_) => "udp",
            ClientSpec::UnixDatagram(_) => "unix-datagram",
            ClientSpec::Fd(_) => "fd",
            ClientSpec::Exec(_) => COMMAND,
            ClientSpec::Mem(_) => "mem",
            ClientSpec::Jump(jump) => jump.scheme(),
            ClientSpec::Other(description) => description.scheme(),
        }
    }

    /// The host of `tcp`, `tls` and `udp`, or of the endpoint behind a jump: a name in lower case,
    /// or an address without brackets or zone. It is what a protocol calls its peer: in a `Host`
    /// header, in a SASL realm.
    pub fn host(&self) -> Option<String> {
        let host = match &self.spec {
            ClientSpec::Tcp(tcp) => &tcp.host,
            ClientSpec::Tls(tls) => &tls.tcp.host,
            ClientSpec::Udp(udp) => &udp.host,
            ClientSpec::Jump(jump) => return jump.inner.host(),
            _ => return None,
        };
        Some(match host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.ip.to_string(),
        })
    }

    /// The port of `tcp`, `tls` and `udp`, or of the endpoint behind a jump.
    pub fn port(&self) -> Option<u16> {
        match &self.spec {
            ClientSpec::Tcp(tcp) => Some(tcp.port),
            ClientSpec::Tls(tls) => Some(tls.tcp.port),
            ClientSpec::Udp(udp) => Some(udp.port),
            ClientSpec::Jump(jump) => jump.inner.port(),
            _ => None,
        }
    }

    /// The endpoint behind a jump: where it leads, and perhaps a jump itself.
    pub fn inner(&self) -> Option<&Self> {
        match &self.spec {
            ClientSpec::Jump(jump) => Some(&jump.inner),
            _ => None,
        }
    }

    /// The command of `exec:`, as it was written: for a scheme that has another machine run it.
    pub fn command(&self) -> Option<&str> {
        match &self.spec {
            ClientSpec::Exec(exec) => Some(&exec.text),
            _ => None,
        }
    }

    /// The fields, where the scheme is not one that is read here: `ssh`, and schemes that other
    /// crates add.
    pub fn description(&self) -> Option<&Description> {
        match &self.spec {
            ClientSpec::Other(description) => Some(description),
            ClientSpec::Jump(jump) => match &jump.kind {
                JumpKind::Added(description) => Some(description),
                _ => None,
            },
            _ => None,
        }
    }
}

impl FromStr for ClientEndpoint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let source = Source::new(text)?;
        let endpoint = Self {
            spec: ClientSpec::read(&source)?,
        };
        source.check_length(endpoint.to_string().len())?;
        Ok(endpoint)
    }
}

impl fmt::Display for ClientEndpoint {
    /// The canonical form: positionals before keywords, no defaults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spec {
            ClientSpec::Tcp(tcp) => write!(f, "tcp:{tcp}"),
            ClientSpec::Tls(tls) => write!(f, "tls:{tls}"),
            ClientSpec::Unix(unix) => write!(f, "unix:{unix}"),
            ClientSpec::Udp(udp) => write!(f, "udp:{udp}"),
            ClientSpec::UnixDatagram(unix) => write!(f, "unix-datagram:{unix}"),
            ClientSpec::Fd(number) => write!(f, "fd:{number}"),
            ClientSpec::Exec(exec) => write!(f, "exec:{}", exec.text),
            ClientSpec::Mem(name) => {
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
            ClientSpec::Jump(jump) => write!(f, "{jump}"),
            ClientSpec::Other(description) => write!(f, "{description}"),
        }
    }
}

/// What a client's string says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClientSpec {
    Tcp(TcpConnect),
    Tls(TlsConnect),
    Unix(UnixConnect),
    Udp(UdpConnect),
    UnixDatagram(UnixDatagramConnect),
    /// A connected descriptor, from 0 on.
    Fd(i32),
    Exec(ExecCommand),
    /// A name within one `Schemes` value.
    Mem(String),
    Jump(Box<Jump>),
    Other(Description),
}

impl ClientSpec {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, ParseError> {
        let description = scan(source)?;
        let spec = match description.scheme() {
            "tcp" => Self::Tcp(TcpConnect::read(&Fields::new(source, &description, &TCP)?)?),
            "tls" => Self::Tls(TlsConnect::read(&Fields::new(source, &description, &TLS)?)?),
            "udp" => Self::Udp(UdpConnect::read(&Fields::new(source, &description, &UDP)?)?),
            "unix-datagram" => Self::UnixDatagram(UnixDatagramConnect::read(&Fields::new(
                source,
                &description,
                &UNIX_DATAGRAM,
            )?)?),
            "unix" => {
                let fields = Fields::new(source, &description, &UNIX)?;
                Self::Unix(UnixConnect::read(&fields, "path")?)
            }
            COMMAND => Self::Exec(ExecCommand::read(&Fields::new(
                source,
                &description,
                &EXEC,
            )?)?),
            "fd" => {
                let fields = Fields::new(source, &description, &FD)?;
                Self::Fd(fields.required("descriptor")?.descriptor()?)
            }
            "mem" => {
                let fields = Fields::new(source, &description, &MEM)?;
                Self::Mem(fields.required("name")?.text.to_owned())
            }
            scheme @ ("stdio" | "systemd") => {
                let expected = "a scheme that connects, such as tcp, tls or unix";
                let problem = Problem::CannotConnect(scheme.to_owned());
                return Err(source.error(source.start(), "scheme", problem, expected));
            }
            _ if description.inner.is_some() => Self::Jump(Jump::read(source, description)?.into()),
            _ => Self::Other(description),
        };
        Ok(spec)
    }
}

/// A stream to a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TcpConnect {
    pub(crate) host: Host,
    /// Never 0.
    pub(crate) port: u16,
    /// For the whole of connecting, look-up included.
    pub(crate) timeout: Duration,
    /// The local address to connect from. Of the host's family, where the host is an address.
    pub(crate) bind: Option<ScopedIp>,
    /// The local port to connect from; never 0.
    pub(crate) bind_port: Option<u16>,
    /// How long the peer may be silent before the system probes it.
    pub(crate) keepalive: Option<Duration>,
}

impl TcpConnect {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let (host, port, bind) = host_port_and_bind(fields)?;
        let bind_port = fields.optional("bind-port").map(|port| port.port(1));
        let keepalive = fields.optional("keepalive").map(|after| after.keepalive());
        Ok(Self {
            host,
            port,
            timeout: timeout(fields)?,
            bind,
            bind_port: bind_port.transpose()?,
            keepalive: keepalive.transpose()?,
        })
    }

    /// Whether it says anything about our own socket, of which there is none behind a proxy.
    pub(super) fn has_local_options(&self) -> bool {
        self.bind.is_some() || self.bind_port.is_some() || self.keepalive.is_some()
    }
}

impl fmt::Display for TcpConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        write_timeout(f, self.timeout)?;
        write_bind(f, self.bind.as_ref())?;
        if let Some(port) = self.bind_port {
            write!(f, ":bind-port={port}")?;
        }
        write_keepalive(f, self.keepalive)
    }
}

/// A stream to a host, and what is trusted there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TlsConnect {
    pub(crate) tcp: TcpConnect,
    /// PEM file of the roots to trust instead of the platform's.
    pub(crate) ca: Option<PathBuf>,
    /// PEM of the client's certificate; with no `key`, the private key stands in the same file.
    pub(crate) cert: Option<PathBuf>,
    /// PEM; only with `cert`.
    pub(crate) key: Option<PathBuf>,
    /// The name to ask for and to verify, where it is not the host. Without a zone.
    pub(crate) sni: Option<Host>,
    /// No verification at all; never with `ca`.
    pub(crate) insecure_no_verify: bool,
}

impl TlsConnect {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let tcp = TcpConnect::read(fields)?;
        let (cert, key) = fields.certificate()?;
        let sni = fields
            .optional("sni")
            .map(|sni| sni.peer_name())
            .transpose()?;
        let insecure_no_verify = fields.flag(INSECURE_NO_VERIFY);
        let ca = fields.optional("ca");
        if let (Some(ca), true) = (ca, insecure_no_verify) {
            return Err(ca.conflict(format!(
                "none beside {INSECURE_NO_VERIFY}, which trusts all"
            )));
        }
        let ca = ca.map(|ca| ca.file());
        Ok(Self {
            tcp,
            ca,
            cert,
            key,
            sni,
            insecure_no_verify,
        })
    }
}

impl fmt::Display for TlsConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tcp)?;
        write_file(f, "ca", self.ca.as_ref())?;
        write_file(f, "cert", self.cert.as_ref())?;
        write_file(f, "key", self.key.as_ref())?;
        if let Some(sni) = &self.sni {
            write!(f, ":sni={sni}")?;
        }
        if self.insecure_no_verify {
            write!(f, ":{INSECURE_NO_VERIFY}")
        } else {
            Ok(())
        }
    }
}

/// A stream to a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnixConnect {
    pub(crate) path: UnixPath,
    pub(crate) timeout: Duration,
}

impl UnixConnect {
    /// With the path under this name.
    pub(super) fn read(fields: &Fields<'_>, path: &'static str) -> Result<Self, ParseError> {
        let path = fields.required(path)?.socket_path()?;
        Ok(Self {
            path,
            timeout: timeout(fields)?,
        })
    }
}

impl fmt::Display for UnixConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        write_timeout(f, self.timeout)
    }
}

/// Datagrams with one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UdpConnect {
    pub(crate) host: Host,
    /// Never 0.
    pub(crate) port: u16,
    /// The local address to send from. Of the host's family, where the host is an address.
    pub(crate) bind: Option<ScopedIp>,
    pub(crate) broadcast: bool,
}

impl UdpConnect {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let broadcast = fields.flag(BROADCAST);
        let read = match broadcast {
            true => Part::host_or_all,
            false => Part::host,
        };
        let (host, port, bind) = read_host_port_and_bind(fields, read)?;
        Ok(Self {
            host,
            port,
            bind,
            broadcast,
        })
    }
}

impl fmt::Display for UdpConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        write_bind(f, self.bind.as_ref())?;
        write_flag(f, BROADCAST, self.broadcast)
    }
}

/// Datagrams with one Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnixDatagramConnect {
    pub(crate) path: UnixPath,
    /// Our own name.
    pub(crate) bind: Option<UnixPath>,
}

impl UnixDatagramConnect {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let bind = fields.optional("bind").map(|bind| bind.socket_path());
        Ok(Self {
            path: fields.required("path")?.socket_path()?,
            bind: bind.transpose()?,
        })
    }
}

impl fmt::Display for UnixDatagramConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        let bind = self.bind.as_ref();
        bind.map_or(Ok(()), |bind| write!(f, ":bind={bind}"))
    }
}

/// A child process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExecCommand {
    /// As written behind `exec:`.
    pub(crate) text: String,
    /// The program: the first word, never empty.
    pub(crate) program: String,
    /// The other words.
    pub(crate) args: Vec<String>,
}

impl ExecCommand {
    fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let command = fields.required("command")?;
        let Some(words) = words(command.text) else {
            return Err(command.invalid("quotes that close, and something behind each \"\\\""));
        };
        let mut words = words.into_iter();
        match words.next() {
            Some(program) if !program.is_empty() => {
                let text = command.text.to_owned();
                Ok(Self {
                    text,
                    program,
                    args: words.collect(),
                })
            }
            _ => Err(command.invalid("the name of a program first")),
        }
    }
}

/// A command's words. The library takes ` #` for the beginning of a comment, which in one line
/// would drop the rest in silence; a character that the grammar has refused stands in for it.
fn words(command: &str) -> Option<Vec<String>> {
    let words = shlex::split(&command.replace('#', "\u{1}"))?;
    Some(
        words
            .into_iter()
            .map(|word| word.replace('\u{1}', "#"))
            .collect(),
    )
}

fn host_port_and_bind(fields: &Fields<'_>) -> Result<(Host, u16, Option<ScopedIp>), ParseError> {
    read_host_port_and_bind(fields, Part::host)
}

fn read_host_port_and_bind<'a>(
    fields: &Fields<'a>,
    read: fn(&Part<'a>) -> Result<Host, ParseError>,
) -> Result<(Host, u16, Option<ScopedIp>), ParseError> {
    let (host, port) = (fields.required("host")?, fields.required("port")?);
    let (host, port) = (read(&host)?, port.port(1)?);
    let Some(bind) = fields.optional("bind") else {
        return Ok((host, port, None));
    };
    let address = bind.local_address()?;
    match &host {
        Host::Address(host) if host.ip.is_ipv4() != address.ip.is_ipv4() => {
            Err(bind.invalid("an address of the host's family"))
        }
        _ => Ok((host, port, Some(address))),
    }
}

fn timeout(fields: &Fields<'_>) -> Result<Duration, ParseError> {
    fields
        .optional("timeout")
        .map_or(Ok(TIMEOUT), |timeout| timeout.seconds())
}

fn write_timeout(f: &mut fmt::Formatter<'_>, timeout: Duration) -> fmt::Result {
    if timeout == TIMEOUT {
        Ok(())
    } else {
        write!(f, ":timeout={}", write_seconds(timeout))
    }
}

fn write_bind(f: &mut fmt::Formatter<'_>, bind: Option<&ScopedIp>) -> fmt::Result {
    bind.map_or(Ok(()), |bind| write!(f, ":bind={bind}"))
}

const TCP: Shape = Shape {
    form: "tcp:HOST:PORT",
    slots: &["host", "port"],
    keywords: &["timeout", "bind", "bind-port", "keepalive"],
    flags: &[],
};

const TLS: Shape = Shape {
    form: "tls:HOST:PORT",
    slots: &["host", "port"],
    keywords: &[
        "timeout",
        "bind",
        "bind-port",
        "keepalive",
        "ca",
        "cert",
        "key",
        "sni",
    ],
    flags: &[INSECURE_NO_VERIFY],
};

const UDP: Shape = Shape {
    form: "udp:HOST:PORT",
    slots: &["host", "port"],
    keywords: &["bind"],
    flags: &[BROADCAST],
};

const UNIX: Shape = Shape {
    form: "unix:PATH or unix:@NAME",
    slots: &["path"],
    keywords: &["timeout"],
    flags: &[],
};

const UNIX_DATAGRAM: Shape = Shape {
    form: "unix-datagram:PATH or unix-datagram:@NAME",
    slots: &["path"],
    keywords: &["bind"],
    flags: &[],
};

const EXEC: Shape = Shape {
    form: "exec:PROGRAM ARGUMENT…",
    slots: &["command"],
    keywords: &[],
    flags: &[],
};

pub(super) const INSECURE_NO_VERIFY: &str = "insecure-no-verify";

/// Twisted's. It bounds the look-up and all attempts together; each attempt has its own stagger.
const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_by_a_shell_that_knows_only_quotes() {
        let split = |command: &str| words(command).unwrap();
        assert_eq!(
            split(r#"a "b c" 'd e' f\ g """#),
            ["a", "b c", "d e", "f g", ""]
        );
        assert_eq!(
            split("a $HOME *.rs | b; c # d#e"),
            ["a", "$HOME", "*.rs", "|", "b;", "c", "#", "d#e"]
        );
        assert_eq!(words("a 'b"), None);
        assert_eq!(words(r"a \"), None);
    }
}
