//! The data of records (RDATA) of all types, on the wire and in text.
//!
//! One table says which fields a type has; all else follows it:
//! checking what came from the wire ([`check`]), taking it out of a message
//! ([`unpack`]), finding the names in it ([`names`]), its canonical form
//! ([`canonicalise`]), and its text both ways ([`write_text`], [`from_text`]).
//! Types that the table does not have are octets, as RFC 3597 says.
//!
//! RDATA stays in wire form everywhere: nothing here makes a struct of it. Who
//! wants one takes [`hickory_proto::rr::RData`], from and to which
//! [`from_hickory`] and [`to_hickory`] convert.
//!
//! ```
//! use ropewalk_names_dns::proto::{Class, RecordType, rdata};
//!
//! let mx = rdata::from_text(Class::IN, RecordType::MX, "10 mail.example.org.")?;
//! assert_eq!(mx, b"\x00\x0A\x04mail\x07example\x03org\x00");
//! assert_eq!(rdata::to_text(Class::IN, RecordType::MX, &mx), "10 mail.example.org.");
//! # Ok::<(), rdata::RdataError>(())
//! ```

mod calendar;
mod loc;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod wire;

pub use parse::from_text;
#[cfg(feature = "server")]
pub(crate) use parse::{Words, parse, period};
pub use print::{to_text, write_text};
pub use wire::{NamePart, Names, canonicalise, check, names, unpack};

use hickory_proto::ProtoError;
use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, Restrict};

use super::{Class, NameError, RecordType};

/// The most octets of RDATA: its length is 16 bits.
pub const MAX_RDATA: usize = 65_535;

/// Why RDATA, on the wire or in text, is not what its type wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdataError {
    /// The octets, or the words, end before this field.
    #[error("{0} expected, and nothing is there")]
    Missing(&'static str),
    /// There is more than the type has fields.
    #[error("more than the type has fields")]
    Trailing,
    /// A domain name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A field that breaks a rule of its type.
    #[error("{0}")]
    Rule(&'static str),
    /// A word that is not what its field wants.
    #[error("{expected} expected, not `{found}`")]
    Word {
        /// What the field wants.
        expected: &'static str,
        /// The word.
        found: String,
    },
    /// Text that cannot be split into words.
    #[error("{0}")]
    Lexical(String),
    /// More than [`MAX_RDATA`] octets.
    #[error("more than 65535 octets of RDATA")]
    TooLong,
}

/// How the names of a field are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameKind {
    /// Of RFC 1035: compressed in messages, in lower case in the canonical form.
    Compressed,
    /// Not compressed by us, but read where it is (RFC 3597, section 4); lower case in the
    /// canonical form.
    Tolerated,
    /// Never compressed; lower case in the canonical form (RFC 4034, 6.2).
    Lower,
    /// Never compressed, and its case counts in the canonical form.
    Plain,
}

/// A piece of RDATA: how it is on the wire, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Name(NameKind),
    U8,
    U16,
    U32,
    /// Seconds, 32 bits, with units in text.
    Period,
    /// 16 bits, octal in text: the address of class CH.
    Octal,
    /// A point in time, 32 bits, `YYYYMMDDHHmmSS` in text.
    Time,
    /// A record type, 16 bits.
    Type,
    /// An algorithm of DNSSEC, 8 bits.
    Algorithm,
    /// A kind of certificate, 16 bits.
    CertType,
    Ipv4,
    Ipv6,
    Eui48,
    Eui64,
    /// 64 bits, in four groups of hexadecimal digits.
    Locator,
    /// A character-string.
    String,
    /// A character-string, or nothing.
    OptionalString,
    /// Character-strings up to the end, one at least.
    Strings,
    /// Octets up to the end, as one quoted text.
    Quoted,
    /// CAA's tag: letters and digits behind their length.
    Tag,
    /// Up to the end, one octet at least.
    Base64,
    /// Up to the end, also nothing.
    OptionalBase64,
    /// Up to the end, `-` for nothing.
    DashBase64,
    /// Up to the end, one octet at least.
    Hex,
    /// Behind a length of 8 bits; `-` for nothing.
    Salt,
    /// Behind a length of 8 bits; base32hex in text.
    Hash,
    /// The types of NSEC (RFC 4034, 4.1.2).
    Bitmap,
    /// The types of NXT: one bit each, below 128.
    OldBitmap,
    /// Parameters of SVCB, up to the end.
    SvcParams,
    Loc,
    Apl,
    /// Protocol and ports of WKS, up to the end.
    Services,
    /// IPSECKEY whole: its gateway's kind stands in the second of three octets.
    IpsecKey,
    /// AMTRELAY whole.
    AmtRelay,
    /// HIP whole.
    Hip,
    A6,
    /// `0x` and hexadecimal digits, up to the end.
    Nsap,
    Atma,
}

/// RDATA of hickory's in wire form, with its type.
///
/// # Errors
///
/// What hickory does not write, or writes as no server would send it.
pub fn from_hickory(rdata: &RData) -> Result<(RecordType, Vec<u8>), HickoryError> {
    let record_type = RecordType(rdata.record_type().into());
    let mut message = Vec::new();
    rdata.emit(&mut BinEncoder::new(&mut message))?;
    let mut wire = Vec::new();
    // Names are compressed to one another there.
    unpack(
        Class::IN,
        record_type,
        &message,
        0,
        message.len(),
        &mut wire,
    )?;
    Ok((record_type, wire))
}

/// RDATA in wire form as hickory's.
///
/// # Errors
///
/// What hickory does not read.
pub fn to_hickory(record_type: RecordType, rdata: &[u8]) -> Result<RData, HickoryError> {
    let length = u16::try_from(rdata.len()).map_err(|_| RdataError::TooLong)?;
    let mut decoder = BinDecoder::new(rdata);
    RData::read(&mut decoder, record_type.0.into(), Restrict::new(length))
        .map_err(|error| HickoryError::Hickory(error.into()))
}

/// Why RDATA does not convert.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HickoryError {
    /// Hickory does not take it.
    #[error("{0}")]
    Hickory(#[from] ProtoError),
    /// It is not what its type wants.
    #[error(transparent)]
    Rdata(#[from] RdataError),
}

/// The fields of a type, or nothing where its RDATA is but octets.
pub(crate) fn layout(class: Class, record_type: RecordType) -> Option<&'static [Field]> {
    use Field::*;
    use NameKind::{Compressed, Lower, Plain, Tolerated};
    use RecordType as T;

    Some(match record_type {
        // These mean something in one class only (RFC 1035, 3.4, and the RFC of each).
        T::A
        | T::AAAA
        | T::WKS
        | T::NSAP
        | T::NSAP_PTR
        | T::PX
        | T::SRV
        | T::ATMA
        | T::KX
        | T::A6
        | T::APL
        | T::EID
        | T::NIMLOC
        | T::DHCID
        | T::SVCB
        | T::HTTPS
            if class != Class::IN =>
        {
            match (record_type, class) {
                (T::A, Class::CH) => &[Name(Compressed), Octal],
                _ => return None,
            }
        }
        T::A => &[Ipv4],
        T::NS | T::MD | T::MF | T::CNAME | T::MB | T::MG | T::MR | T::PTR => &[Name(Compressed)],
        T::SOA => &[
            Name(Compressed),
            Name(Compressed),
            U32,
            Period,
            Period,
            Period,
            Period,
        ],
        T::WKS => &[Ipv4, Services],
        T::HINFO => &[String, String],
        T::MINFO => &[Name(Compressed), Name(Compressed)],
        T::MX => &[U16, Name(Compressed)],
        T::TXT | T::SPF | T::NINFO | T::AVC | T::RESINFO | T::WALLET => &[Strings],
        T::RP => &[Name(Tolerated), Name(Tolerated)],
        T::AFSDB | T::RT => &[U16, Name(Tolerated)],
        T::X25 => &[String],
        T::ISDN => &[String, OptionalString],
        T::NSAP => &[Nsap],
        T::NSAP_PTR => &[Name(Plain)],
        T::SIG => &[
            Type,
            Algorithm,
            U8,
            U32,
            Time,
            Time,
            U16,
            Name(Tolerated),
            Base64,
        ],
        T::RRSIG => &[
            Type,
            Algorithm,
            U8,
            U32,
            Time,
            Time,
            U16,
            Name(Lower),
            Base64,
        ],
        T::KEY => &[U16, U8, Algorithm, OptionalBase64],
        T::DNSKEY | T::CDNSKEY | T::RKEY => &[U16, U8, Algorithm, Base64],
        T::PX => &[U16, Name(Tolerated), Name(Tolerated)],
        T::GPOS => &[String, String, String],
        T::AAAA => &[Ipv6],
        T::LOC => &[Loc],
        T::NXT => &[Name(Tolerated), OldBitmap],
        T::EID | T::NIMLOC => &[Hex],
        T::SRV => &[U16, U16, U16, Name(Tolerated)],
        T::ATMA => &[Atma],
        T::NAPTR => &[U16, U16, String, String, String, Name(Tolerated)],
        T::KX => &[U16, Name(Tolerated)],
        T::CERT => &[CertType, U16, Algorithm, Base64],
        T::A6 => &[A6],
        T::DNAME => &[Name(Tolerated)],
        T::SINK => &[U8, U8, U8, OptionalBase64],
        T::APL => &[Apl],
        T::DS | T::CDS | T::DLV | T::TA => &[U16, Algorithm, U8, Hex],
        T::SSHFP => &[U8, U8, Hex],
        T::IPSECKEY => &[IpsecKey],
        T::NSEC => &[Name(Plain), Bitmap],
        T::DHCID | T::OPENPGPKEY => &[Base64],
        T::NSEC3 => &[U8, U8, U16, Salt, Hash, Bitmap],
        T::NSEC3PARAM => &[U8, U8, U16, Salt],
        T::TLSA | T::SMIMEA => &[U8, U8, U8, Hex],
        T::HIP => &[Hip],
        T::TALINK => &[Name(Plain), Name(Plain)],
        T::CSYNC => &[U32, U16, Bitmap],
        T::ZONEMD => &[U32, U8, U8, Hex],
        T::SVCB | T::HTTPS => &[U16, Name(Plain), SvcParams],
        T::DSYNC => &[Type, U8, U16, Name(Plain)],
        T::NID | T::L64 => &[U16, Locator],
        T::L32 => &[U16, Ipv4],
        T::LP => &[U16, Name(Plain)],
        T::EUI48 => &[Eui48],
        T::EUI64 => &[Eui64],
        T::URI => &[U16, U16, Quoted],
        T::CAA => &[U8, Tag, Quoted],
        T::DOA => &[U32, U32, U8, String, DashBase64],
        T::AMTRELAY => &[AmtRelay],
        _ => return None,
    })
}

/// Rules that bind several fields of a type, once each field is well-formed.
fn check_rules(record_type: RecordType, rdata: &[u8]) -> Result<(), RdataError> {
    let digest = |kind: u8, octets: usize, lengths: &[(u8, usize)]| match lengths
        .iter()
        .find(|(known, _)| *known == kind)
    {
        Some((_, length)) if *length != octets => Err(RdataError::Rule(
            "a digest of the length that its kind has expected",
        )),
        _ => Ok(()),
    };
    match (record_type, rdata) {
        // RFC 8078, section 4: a CDS that asks for removal is `0 0 0 00`.
        (RecordType::CDS, [_, _, 0, 0, _]) => Ok(()),
        (
            RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::TA,
            [_, _, _, kind, data @ ..],
        ) => digest(*kind, data.len(), &[(1, 20), (2, 32), (3, 32), (4, 48)]),
        (RecordType::SSHFP, [_, kind, data @ ..]) => digest(*kind, data.len(), &[(1, 20), (2, 32)]),
        (RecordType::ZONEMD, [_, _, _, _, _, kind, data @ ..]) => {
            if data.len() < 12 {
                return Err(RdataError::Rule("a digest of 12 octets or more expected"));
            }
            digest(*kind, data.len(), &[(1, 48), (2, 64)])
        }
        (RecordType::TLSA | RecordType::SMIMEA, [_, _, kind, data @ ..]) => {
            digest(*kind, data.len(), &[(1, 32), (2, 64)])
        }
        _ => Ok(()),
    }
}

/// Algorithms of DNSSEC, from IANA's registry, with the names that BIND also reads.
const ALGORITHMS: &[(u8, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (6, "NSEC3DSA"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// Kinds of certificates (RFC 4398, section 2.1).
const CERT_TYPES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// Keys of SVCB's parameters (RFC 9460, 14.3.2; RFC 9461; RFC 9540).
const SVC_KEYS: &[(u16, &str)] = &[
    (0, "mandatory"),
    (1, "alpn"),
    (2, "no-default-alpn"),
    (3, "port"),
    (4, "ipv4hint"),
    (5, "ech"),
    (6, "ipv6hint"),
    (7, "dohpath"),
    (8, "ohttp"),
];
