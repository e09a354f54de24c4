//! The options that every server takes, and what follows from them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use ropewalk_core::{Limits, ServerEndpoint, log, service::Account, tls::TlsServer};

use ropewalk_cred::{UsersError, UsersFile, UsersOptions};

use crate::{failure::Failure, plan::Plan};

/// What every server takes.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Say in JSON what listens, one object a line, and write nothing else to standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// What to log, on standard error [default: info, or as RUST_LOG says]
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,

    /// How to log [default: as ROPEWALK_LOG_FORMAT says, or text on a terminal and json elsewhere]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,

    /// Where to serve /metrics (Prometheus), /healthz and /readyz over HTTP: tcp:PORT (loopback;
    /// interface=* for all), unix:PATH; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) metrics: Vec<ServerEndpoint>,

    /// Connections at a time, of all listeners together; further ones wait [default: 10000]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_connections: Option<usize>,

    /// Connections at a time from one peer (an IPv4 address, or an IPv6 /64), to all listeners
    /// together; 0 is no limit [default: 256, and loopback is exempt]
    #[arg(long, value_name = "N")]
    max_per_peer: Option<usize>,

    /// The account to become once everything listens, so that root need only bind; certificates that
    /// are to be reloaded must be readable by it
    #[arg(long, value_name = "NAME[:GROUP]")]
    pub(crate) user: Option<Account>,

    /// Time to end well after SIGTERM or SIGINT: a tenth of it, one second at most, to announce the
    /// end while new connections are still accepted, the rest for them to end; then they are cut
    /// [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    drain: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Common {
    /// These, and where they say nothing, the others.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            json: self.json || other.json,
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            metrics: match self.metrics.is_empty() {
                true => other.metrics,
                false => self.metrics,
            },
            max_connections: self.max_connections.or(other.max_connections),
            max_per_peer: self.max_per_peer.or(other.max_per_peer),
            user: self.user.or(other.user),
            drain: self.drain.or(other.drain),
        }
    }

    /// The time for a drain as a whole.
    pub(crate) fn drain(&self) -> Duration {
        self.drain.unwrap_or(DRAIN)
    }

    /// What a server allows.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(most) = self.max_connections {
            limits.connections = most;
        }
        if let Some(most) = self.max_per_peer {
            limits.per_peer = most;
            // Whoever names a number means everybody.
            limits.loopback_exempt = false;
        }
        limits
    }

    /// Sets up the log, on standard error.
    pub(crate) fn start_log(&self) {
        let filter = self.log.map(|level| match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        });
        let format = self.log_format.map(|format| match format {
            Format::Text => log::Format::Text,
            Format::Json => log::Format::Json,
        });
        log::init(filter, format);
    }
}

/// The certificate of `tls:` listeners that name none themselves.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "TLS")]
pub(crate) struct Tls {
    /// The certificate chain of tls: listeners that name none themselves (cert=), PEM
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// Its private key, PEM [default: the file of --tls-cert]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A folder of certificates and keys, PEM, each for the names in it, by SNI; watched, so that
    /// renewed ones are served without a restart
    #[arg(long, value_name = "DIR", conflicts_with = "tls_cert")]
    tls_certs: Option<PathBuf>,
}

impl Tls {
    /// Whether any of it is given.
    pub(crate) fn is_set(&self) -> bool {
        self.tls_cert.is_some() || self.tls_certs.is_some()
    }

    /// The certificate; none if none is named.
    pub(crate) fn server(&self) -> Result<Option<TlsServer>, Failure> {
        if let Some(folder) = &self.tls_certs {
            let server = TlsServer::from_folder(folder).map_err(|error| {
                let why = format!("{error}, expected a folder of certificates and keys in PEM");
                Failure::option("--tls-certs", why)
            })?;
            return Ok(Some(server));
        }
        let Some(cert) = &self.tls_cert else {
            return Ok(None);
        };
        let key = self.tls_key.as_ref().unwrap_or(cert);
        let server = TlsServer::from_files(cert, key).map_err(|error| {
            let why = format!(
                "{error}, expected a certificate chain in PEM, and its key there or by --tls-key"
            );
            Failure::option("--tls-cert", why)
        })?;
        Ok(Some(server))
    }
}

/// Who may log in, for servers that ask.
#[derive(Args, Clone, Default)]
pub(crate) struct Users {
    /// Who may log in: lines of name:hash, as `ropewalk user`, htpasswd and Dovecot write them; read
    /// again at SIGHUP
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
}

impl Users {
    /// Reads the file, if one is named, and again at SIGHUP. What is wrong with it is noted.
    pub(crate) fn open(&self, plan: &mut Plan) -> Option<Arc<UsersFile>> {
        let path = self.users.as_ref()?;
        match UsersFile::open(path, UsersOptions::default()) {
            Ok(users) => {
                let users = Arc::new(users);
                let again = users.clone();
                plan.reload("users", move || again.reload().map_err(wrong_users));
                Some(users)
            }
            Err(error) => {
                plan.fault(wrong_users(error));
                None
            }
        }
    }
}

/// It names the file and the line itself, in a line for each.
fn wrong_users(error: UsersError) -> Failure {
    Failure::Files(error.to_string().lines().map(str::to_owned).collect())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number, 1 or more".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration <= LONGEST_DRAIN)
        .ok_or_else(|| "expected seconds, such as 10 or 2.5, a day at most".into())
}

const DRAIN: Duration = Duration::from_secs(10);

/// More would be a slip of the pen.
const LONGEST_DRAIN: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_or_parts_and_bounded() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for bad in ["", "-1", "ten", "inf", "NaN", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_at_least_one() {
        assert_eq!(at_least_one("7"), Ok(7));
        for bad in ["0", "-1", "", "many"] {
            assert!(at_least_one(bad).is_err(), "{bad}");
        }
    }
}
