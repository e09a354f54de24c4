//! What a header of version 2 says besides the addresses (section 2.2.1 of the specification).

use std::collections::BTreeSet;

use super::{Proxied, ProxyHeaderError, crc32c::crc32c};
use crate::Peer;

/// What a client and the proxy before us agreed upon (`PP2_TYPE_SSL`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxiedTls {
    /// Whether the client came over TLS.
    pub over_tls: bool,
    /// Whether it showed a certificate on this connection, or on the session that this one resumes.
    pub certificate_shown: bool,
    /// Whether it showed one and the proxy found it good.
    pub certificate_verified: bool,
    /// The version, as `TLSv1.3`.
    pub version: Option<String>,
    /// The common name in the client's certificate. Not verified unless
    /// [`certificate_verified`](Self::certificate_verified) says so.
    pub common_name: Option<String>,
    /// The cipher.
    pub cipher: Option<String>,
    /// The algorithm that signed the proxy's certificate.
    pub signature_algorithm: Option<String>,
    /// The algorithm of the key in the proxy's certificate.
    pub key_algorithm: Option<String>,
    /// What else it said: type and value, in its order.
    pub other: Vec<(u8, Vec<u8>)>,
}

/// The type-length-values of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tlvs {
    alpn: Option<Vec<u8>>,
    authority: Option<String>,
    unique_id: Option<Vec<u8>>,
    tls: Option<ProxiedTls>,
    network_namespace: Option<String>,
    other: Vec<(u8, Vec<u8>)>,
}

impl Tlvs {
    /// Reads what stands at the end of `header`.
    pub(super) fn read(tlvs: &[u8], header: &[u8]) -> Result<Self, ProxyHeaderError> {
        let mut all = Self::default();
        let mut seen = BTreeSet::new();
        let mut rest = tlvs;
        while let Some((kind, value)) = next(&mut rest)? {
            // Two readers must not come to different answers.
            if kind < CUSTOM && kind != NOOP && !seen.insert(kind) {
                return malformed("something said twice");
            }
            match kind {
                ALPN => all.alpn = Some(value.to_vec()),
                AUTHORITY => all.authority = Some(text(value)?),
                CRC32C => verify(value, rest.len(), header)?,
                NOOP => {}
                UNIQUE_ID if value.len() > MAX_UNIQUE_ID => {
                    return malformed("a unique id of more than 128 bytes");
                }
                UNIQUE_ID => all.unique_id = Some(value.to_vec()),
                SSL => all.tls = Some(ssl(value)?),
                NETNS => all.network_namespace = Some(text(value)?),
                _ => all.other.push((kind, value.to_vec())),
            }
        }
        Ok(all)
    }

    /// With the proxy that said so.
    pub(super) fn of(self, proxy: Peer) -> Proxied {
        Proxied {
            proxy,
            alpn: self.alpn,
            authority: self.authority,
            unique_id: self.unique_id,
            tls: self.tls,
            network_namespace: self.network_namespace,
            other: self.other,
        }
    }
}

/// Takes the next type and value.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>, ProxyHeaderError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let value = rest.split_first_chunk::<3>().and_then(|(head, behind)| {
        let length = u16::from_be_bytes([head[1], head[2]]);
        let (value, behind) = behind.split_at_checked(length.into())?;
        Some((head[0], value, behind))
    });
    let Some((kind, value, behind)) = value else {
        return malformed("a value that is cut off");
    };
    *rest = behind;
    Ok(Some((kind, value)))
}

/// Checks the sum over the whole header, in which it counts as zero itself.
fn verify(value: &[u8], behind: usize, header: &[u8]) -> Result<(), ProxyHeaderError> {
    let Ok(sum) = <[u8; 4]>::try_from(value) else {
        return malformed("a checksum of other than four bytes");
    };
    let end = header.len() - behind;
    let own = end - sum.len()..end;
    let zeroed = header.iter().enumerate();
    let zeroed = zeroed.map(|(at, byte)| if own.contains(&at) { 0 } else { *byte });
    match crc32c(zeroed) == u32::from_be_bytes(sum) {
        true => Ok(()),
        false => Err(ProxyHeaderError::Checksum),
    }
}

fn ssl(value: &[u8]) -> Result<ProxiedTls, ProxyHeaderError> {
    let Some((head, mut rest)) = value.split_first_chunk::<5>() else {
        return malformed("too little about TLS");
    };
    let shown = head[0] & (CERT_CONN | CERT_SESS) != 0;
    let mut tls = ProxiedTls {
        over_tls: head[0] & CLIENT_SSL != 0,
        certificate_shown: shown,
        // Zero is "verified", also where there was nothing to verify.
        certificate_verified: shown && head[1..] == [0; 4],
        ..ProxiedTls::default()
    };
    let mut seen = BTreeSet::new();
    while let Some((kind, value)) = next(&mut rest)? {
        if !seen.insert(kind) {
            return malformed("something said twice about TLS");
        }
        match kind {
            SSL_VERSION => tls.version = Some(text(value)?),
            SSL_CN => tls.common_name = Some(text(value)?),
            SSL_CIPHER => tls.cipher = Some(text(value)?),
            SSL_SIG_ALG => tls.signature_algorithm = Some(text(value)?),
            SSL_KEY_ALG => tls.key_algorithm = Some(text(value)?),
            _ => tls.other.push((kind, value.to_vec())),
        }
    }
    Ok(tls)
}

fn text(value: &[u8]) -> Result<String, ProxyHeaderError> {
    match str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => malformed("a text that is not UTF-8"),
    }
}

fn malformed<T>(why: &'static str) -> Result<T, ProxyHeaderError> {
    Err(ProxyHeaderError::Malformed(why))
}

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
const NOOP: u8 = 0x04;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const SSL_SIG_ALG: u8 = 0x24;
const SSL_KEY_ALG: u8 = 0x25;
const NETNS: u8 = 0x30;
/// From here on types have the meaning that the application gives them.
const CUSTOM: u8 = 0xe0;

const CLIENT_SSL: u8 = 1;
const CERT_CONN: u8 = 2;
const CERT_SESS: u8 = 4;

const MAX_UNIQUE_ID: usize = 128;
