//! `ropewalk lab`: every server on loopback, with a throwaway CA and one line to try each.
//!
//! Here is what listens and where; a service that is more than a line stands in a file of its own.
//! No private key is written anywhere.

mod dns;
mod folder;
mod irc;
mod site;
mod table;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use folder::Folder;
use ropewalk_core::{
    Address, ClientEndpoint, ConnectOptions, DatagramOptions, Schemes, ServerEndpoint,
    ServerOptions, each,
    endpoint::quote,
    tls::{TestCa, TlsServer},
};
use site::Site;
use table::Table;

use crate::{
    dns::DNS,
    failure::Failure,
    forward::{FORWARD, Forwarder},
    listen::{self, Servers},
    options::Common,
    small::{ECHO, Echo},
    web::{self, Http, WEB},
};

/// Run every server on loopback, and show how to try each
///
/// Prints a table of services, addresses and a command for each, and serves until Ctrl-C. The TLS
/// services have a certificate of a throwaway CA, whose file the table names; it is good for
/// localhost, lab.test, *.lab.test, 127.0.0.1 and ::1.
#[derive(Args)]
pub(crate) struct Lab {
    /// A number to add to each of the ports: 5300 (dns, UDP and TCP), 8530 (dns, TLS), 6667 (irc),
    /// 6697 (irc, TLS), 7007 (echo), 7008 (echo, TLS), 7009 (forward), 8080 (web), 8443 (web, TLS)
    #[arg(long, value_name = "N", default_value_t = 0)]
    base_port: u16,

    /// Let the system choose each port; the table and the listening lines say which
    #[arg(long, conflicts_with = "base_port")]
    any_port: bool,

    /// The folder of the CA's certificate, the site and the Unix sockets, kept at the end [default:
    /// a fresh one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Only these services
    #[arg(long, value_name = "SERVICE,…", value_delimiter = ',')]
    only: Vec<LabService>,

    #[command(flatten)]
    common: Common,
}

/// A service of the lab, as `--only` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LabService {
    Dns,
    Echo,
    Forward,
    Irc,
    Web,
}

impl LabService {
    /// Its ports, before `--base-port`.
    fn ports(self) -> &'static [u16] {
        match self {
            Self::Dns => &[DNS_PORT, DNS_TLS_PORT],
            Self::Echo => &[ECHO_PORT, ECHO_TLS_PORT],
            Self::Forward => &[FORWARD_PORT],
            Self::Irc => &[IRC_PORT, IRC_TLS_PORT],
            Self::Web => &[WEB_PORT, WEB_TLS_PORT],
        }
    }
}

const DNS_PORT: u16 = 5300;
const DNS_TLS_PORT: u16 = 8530;
const IRC_PORT: u16 = 6667;
const IRC_TLS_PORT: u16 = 6697;
const ECHO_PORT: u16 = 7007;
const ECHO_TLS_PORT: u16 = 7008;
const FORWARD_PORT: u16 = 7009;
const WEB_PORT: u16 = 8080;
const WEB_TLS_PORT: u16 = 8443;

/// Whom the certificate is good for.
const NAMES: &[&str] = &["localhost", "lab.test", "*.lab.test", "127.0.0.1", "::1"];

impl Lab {
    pub(crate) fn run(self) -> Result<(), Failure> {
        self.check_ports()?;
        let folder = Folder::open(self.dir.as_deref())?;
        listen::run(&self.common, async {
            let ca = TestCa::new().map_err(Failure::run)?;
            folder.write("ca.pem", ca.pem())?;
            let mut opening = Opening {
                lab: &self,
                folder: &folder,
                tls: ca.server(NAMES).map_err(Failure::run)?,
                servers: Servers::new(self.common.clone())?,
                table: Table::new(folder.path("ca.pem")),
            };
            if self.has(LabService::Dns) {
                opening.dns().await?;
            }
            let echo = match self.has(LabService::Echo) {
                true => Some(opening.echo().await?),
                false => None,
            };
            if self.has(LabService::Forward) {
                opening.forward(echo).await?;
            }
            if self.has(LabService::Web) {
                opening.web().await?;
            }
            if self.has(LabService::Irc) {
                opening.irc().await?;
            }
            for endpoint in &self.common.metrics {
                opening.servers.metrics(endpoint).await?;
            }
            let Opening { servers, table, .. } = opening;
            servers.become_user()?;
            // Nobody brings ten thousand connections to each of these, unless they say so.
            if self.common.max_connections.is_some() {
                servers.check_open_files();
            }
            servers.announce().await;
            if !self.common.json {
                listen::say(&table.to_string());
            }
            servers.until_signal().await
        })
    }

    fn has(&self, service: LabService) -> bool {
        self.only.is_empty() || self.only.contains(&service)
    }

    /// Refuses a `--base-port` with which a port would not be one.
    fn check_ports(&self) -> Result<(), Failure> {
        let services = LabService::value_variants().iter();
        let highest = services
            .filter(|service| self.has(**service))
            .flat_map(|service| service.ports())
            .max();
        let most = u16::MAX - highest.unwrap_or(&0);
        match self.base_port > most {
            true => Err(Failure::usage(
                "--base-port",
                self.base_port,
                format!("ports end at 65535, expected {most} at most"),
            )),
            false => Ok(()),
        }
    }

    fn port(&self, default: u16) -> u16 {
        match self.any_port {
            true => 0,
            false => default + self.base_port,
        }
    }
}

/// The lab while its listeners open.
struct Opening<'a> {
    lab: &'a Lab,
    folder: &'a Folder,
    tls: TlsServer,
    servers: Servers,
    table: Table,
}

impl Opening<'_> {
    fn endpoint(&self, scheme: &str, default: u16) -> Result<ServerEndpoint, Failure> {
        parse(&format!("{scheme}:{}", self.lab.port(default)))
    }

    fn tls_options(&self) -> ServerOptions {
        let mut options = self.servers.options();
        options.tls = Some(self.tls.clone());
        options
    }

    /// Opens DNS in its three forms, with a zone that names the other services where their ports are
    /// known.
    async fn dns(&mut self) -> Result<(), Failure> {
        let mut services = Vec::new();
        for (name, service, port) in [
            ("_domain._udp", LabService::Dns, DNS_PORT),
            ("_domain._tcp", LabService::Dns, DNS_PORT),
            ("_domain-s._tcp", LabService::Dns, DNS_TLS_PORT),
            ("_echo._tcp", LabService::Echo, ECHO_PORT),
            ("_echo._udp", LabService::Echo, ECHO_PORT),
            ("_irc._tcp", LabService::Irc, IRC_PORT),
            ("_ircs-u._tcp", LabService::Irc, IRC_TLS_PORT),
            ("_http._tcp", LabService::Web, WEB_PORT),
            ("_https._tcp", LabService::Web, WEB_TLS_PORT),
        ] {
            if self.lab.has(service) {
                services.push((name, self.lab.port(port)));
            }
        }
        let authority = dns::authority(&services)?;
        let endpoint = self.endpoint("udp", DNS_PORT)?;
        let options = authority.datagram_options();
        let address = self
            .servers
            .datagrams(DNS, LAB, &endpoint, authority.datagrams(), options)
            .await?;
        self.table.row("dns", "udp", &address, |at| {
            format!("dig @{} -p {} lab.test MX", at.ip(), at.port())
        });
        for (scheme, port) in [("tcp", DNS_PORT), ("tls", DNS_TLS_PORT)] {
            let endpoint = self.endpoint(scheme, port)?;
            let mut options = match scheme {
                "tls" => self.tls_options(),
                _ => self.servers.options(),
            };
            options.limits.unread = authority.limits().unread;
            let address = self
                .servers
                .stream(DNS, LAB, &endpoint, authority.handler(), options)
                .await?;
            let ca = self.table.ca();
            self.table.row("dns", scheme, &address, |at| match scheme {
                "tls" => format!(
                    "kdig @{} -p {} +tls-ca={ca} +tls-hostname=localhost www.lab.test",
                    at.ip(),
                    at.port()
                ),
                _ => format!("dig +tcp @{} -p {} lab.test TXT", at.ip(), at.port()),
            });
        }
        Ok(())
    }

    /// Opens echo in its four forms; returns where it is over plain TCP.
    async fn echo(&mut self) -> Result<Address, Failure> {
        let endpoint = self.endpoint("tcp", ECHO_PORT)?;
        let options = self.servers.options();
        let plain = self
            .servers
            .stream(ECHO, LAB, &endpoint, each::<Echo>(), options)
            .await?;
        self.table.row("echo", "tcp", &plain, |at| {
            format!("echo hello | nc -N {} {}", at.ip(), at.port())
        });

        let endpoint = self.endpoint("udp", ECHO_PORT)?;
        let options = DatagramOptions::default();
        let address = self
            .servers
            .datagrams(ECHO, LAB, &endpoint, Echo, options)
            .await?;
        self.table.row("echo", "udp", &address, |at| {
            format!("echo hello | nc -u -w 1 {} {}", at.ip(), at.port())
        });

        let endpoint = self.endpoint("tls", ECHO_TLS_PORT)?;
        let options = self.tls_options();
        let address = self
            .servers
            .stream(ECHO, LAB, &endpoint, each::<Echo>(), options)
            .await?;
        let ca = self.table.ca();
        self.table.row("echo", "tls", &address, |at| {
            // Without a pause s_client would close before the answer is there.
            format!(
                "(echo hello; sleep 1) | openssl s_client -brief -verify_return_error -verify_ip {} \
                 -CAfile {ca} -connect {at}",
                at.ip()
            )
        });

        let path = self.folder.path("echo.sock");
        let endpoint = parse(&format!("unix:{}:mode=600", quote(&path)))?;
        let options = self.servers.options();
        self.servers
            .stream(ECHO, LAB, &endpoint, each::<Echo>(), options)
            .await?;
        let path = table::word(&path);
        let try_it = format!("echo hello | nc -N -U {path}");
        self.table.line("echo", format!("unix:{path}"), try_it);
        Ok(plain)
    }

    /// Opens the forward: TLS in, plain to `echo` out. Where the lab has no echo, to one that only
    /// this forward can reach.
    async fn forward(&mut self, echo: Option<Address>) -> Result<(), Failure> {
        let mut connect = ConnectOptions::default();
        let to = match echo {
            Some(address) => format!("tcp:{address}"),
            None => {
                let schemes = Schemes::new();
                let endpoint = parse("mem:echo")?;
                let echo = endpoint
                    .listen_with(each::<Echo>(), schemes.clone())
                    .await
                    .map_err(Failure::run)?;
                self.servers.keep(echo);
                connect.schemes = schemes;
                endpoint.to_string()
            }
        };
        let to: ClientEndpoint = to.parse().map_err(Failure::run)?;
        let endpoint = self.endpoint("tls", FORWARD_PORT)?;
        let options = self.tls_options();
        let address = self
            .servers
            .stream(
                FORWARD,
                LAB,
                &endpoint,
                Forwarder::new(to, connect),
                options,
            )
            .await?;
        let ca = self.table.ca();
        self.table.row("forward", "tls", &address, |at| {
            format!("echo hello | socat - OPENSSL:{at},cafile={ca}")
        });
        Ok(())
    }

    async fn web(&mut self) -> Result<(), Failure> {
        let site = Http::new(Site::new(&self.folder.site()?));
        let endpoint = self.endpoint("tcp", WEB_PORT)?;
        let options = web::options(self.servers.options());
        let address = self
            .servers
            .stream(WEB, LAB, &endpoint, site.clone(), options)
            .await?;
        self.table.row("web", "tcp", &address, |at| {
            format!("curl http://{at}/counter")
        });

        let endpoint = self.endpoint("tls", WEB_TLS_PORT)?;
        let options = web::options(self.tls_options());
        let address = self
            .servers
            .stream(WEB, LAB, &endpoint, site, options)
            .await?;
        let ca = self.table.ca();
        self.table.row("web", "tls", &address, |at| {
            format!("curl --cacert {ca} --data hello https://{at}/echo")
        });
        Ok(())
    }
}

/// The account with which one may try what asks for one.
const USER: &str = "alice";
const PASSWORD: &str = "secret";

/// What could be wrong with an endpoint that the lab itself wrote: its folder's name.
const LAB: &str = "--dir";

fn parse(endpoint: &str) -> Result<ServerEndpoint, Failure> {
    endpoint
        .parse()
        .map_err(|error| Failure::option(LAB, error))
}
