//! TLS on either side, of a whole connection or from its middle.
//!
//! A thin face over rustls: what it decides is the provider (aws-lc-rs, with
//! post-quantum key exchange), that clients verify, where certificates come
//! from, and how they change while a server runs. For everything else make a
//! configuration of rustls yourself and hand it in.
//!
//! # A folder of certificates
//!
//! [`TlsServer::from_folder`], or `tls:8443:certs=DIR`, serves many names by
//! what the client asks for (SNI, RFC 6066 section 3). The folder and its
//! sub-folders, one level down, hold PEM in any arrangement: a file with all, `NAME.pem` and
//! `NAME.key`, certbot's `live/NAME/fullchain.pem` and `privkey.pem`. Read are
//! files that end in `.pem`, `.crt`, `.cer` or `.key`, and whose names do not
//! begin with a dot.
//!
//! - A key belongs to the certificate that has its public key. Chains are
//!   built of the other certificates in the folder; a root is not sent.
//! - Names are the DNS names in the subject alternative name. `*.a.test`
//!   stands for one label; an exact name beats it.
//! - Of several certificates for one name the one is served that is valid
//!   now, whose key the client can verify, and whose validity ends last.
//! - Who asks for no name, or for one that is not there, is served the
//!   certificate in `default.pem` or the sub-folder `default`, if there is
//!   one, and else the first by the name of its file.
//!
//! The folder is looked at every [10 seconds](TlsServer::WATCH): by the
//! files' times, sizes and inodes, since what the kernel could tell instead
//! (inotify) does not see what happens on the other side of a network file
//! system, and its well-kept library does not pass our rules for licences. A
//! connection never makes us look. What a handshake is served changes as a
//! whole, and open connections keep what they have.
//!
//! A file that cannot be read, is half written, lacks its other half, or holds
//! a certificate that is not valid now takes nothing away: the certificate
//! that came from it before is served on. The log says so once, with file,
//! reason and the end of the old one's validity. A certificate is given up
//! when its files are gone (at two looks in a row, since files may be replaced
//! by removing them first) or hold another one in good order. One that is
//! about to expire, within 14 days, is in the log daily.
//!
//! # Resumption
//!
//! Clients resume sessions by tickets (RFC 5077, RFC 8446 section 2.2), whose
//! keys live in memory and change every six hours, and in TLS 1.2 by session
//! ids too. A session is resumed only for the name that it began with. Reloads
//! of certificates keep the keys of tickets. A reload that changes the
//! authorities of client certificates makes new ones, so that nobody comes
//! back by a ticket whom the new authorities do not vouch for; a handshake
//! that is under way ends with what it began with, tickets included.
//! Early data (RFC 8446 section 2.3) is never taken, since it can be replayed.

#[cfg(feature = "test-ca")]
mod ca;
mod chain;
mod client;
mod clients;
mod error;
mod failure;
mod folder;
mod info;
mod keys;
mod pem;
mod server;
mod x509;

use std::{io, sync::Arc, time::UNIX_EPOCH};

#[cfg(feature = "test-ca")]
pub use ca::TestCa;
pub use client::TlsClient;
pub use clients::ClientCertificates;
pub(crate) use clients::Clients;
pub use error::TlsError;
pub use failure::{HandshakeCounts, HandshakeError, HandshakeFailure};
pub use info::TlsInfo;
pub use rustls::{self, pki_types::ServerName};
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::UnixTime,
    time_provider::TimeProvider,
};
pub(crate) use server::Asked;
pub use server::TlsServer;
pub use x509::{Fingerprint, Identity};

use crate::{
    endpoint::{Host, TlsConnect},
    timers::wall_clock,
};

/// Whether an endpoint says anything about TLS itself.
pub(crate) fn is_configured(tls: &TlsConnect) -> bool {
    tls.ca.is_some() || tls.cert.is_some() || tls.insecure_no_verify
}

/// The name that a host must prove.
pub(crate) fn name_of(host: &Host) -> io::Result<ServerName<'static>> {
    match host {
        Host::Address(address) => Ok(ServerName::from(address.ip)),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e)),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The time of day in seconds since 1970, as certificates are held to it.
fn unix_now() -> i64 {
    let now = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().try_into().unwrap_or(i64::MAX)
}

/// Our clock, for rustls: it moves with the one that tests pause.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = wall_clock().duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(now))
    }
}
