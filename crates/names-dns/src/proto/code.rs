//! The small numbers of DNS with their names: record types, classes, opcodes
//! and response codes, from IANA's registries. What has no name is written as
//! RFC 3597, section 5, has it: `TYPE65280`, `CLASS32`.
//!
//! They are numbers with names and no closed enums, since any number may come
//! from the wire and must go out again as it came.

use std::{fmt, str::FromStr};

/// Numbers with names: constants, the mnemonic of each, and the way back.
macro_rules! codes {
    ($type:ident: $number:ty { $($(#[$doc:meta])* $constant:ident = $value:literal $text:literal),* $(,)? }) => {
        impl $type {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// Its name in the registry, where it has one.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }

            /// The one with this name, in any case.
            pub fn from_mnemonic(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($text) { return Some(Self($value)); })*
                None
            }
        }

        impl From<$number> for $type {
            fn from(number: $number) -> Self {
                Self(number)
            }
        }

        impl From<$type> for $number {
            fn from(code: $type) -> Self {
                code.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// What a record holds, or what a question asks for (RFC 1035, section 3.2.2).
///
/// ```
/// use ropewalk_names_dns::proto::RecordType;
///
/// assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
/// assert_eq!("TYPE65280".parse(), Ok(RecordType(65_280)));
/// assert_eq!(RecordType(65_280).to_string(), "TYPE65280");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

codes!(RecordType: u16 {
    /// An IPv4 address.
    A = 1 "A",
    /// A name server of a zone.
    NS = 2 "NS",
    /// A mail destination, of the past.
    MD = 3 "MD",
    /// A mail forwarder, of the past.
    MF = 4 "MF",
    /// The name that this one is an alias of.
    CNAME = 5 "CNAME",
    /// The start of a zone.
    SOA = 6 "SOA",
    /// A mailbox.
    MB = 7 "MB",
    /// A member of a mail group.
    MG = 8 "MG",
    /// A mailbox under a new name.
    MR = 9 "MR",
    /// Anything, up to 65,535 octets.
    NULL = 10 "NULL",
    /// Well-known services.
    WKS = 11 "WKS",
    /// A name that this one points to.
    PTR = 12 "PTR",
    /// What a host is.
    HINFO = 13 "HINFO",
    /// Who is behind a mailbox.
    MINFO = 14 "MINFO",
    /// Where mail goes.
    MX = 15 "MX",
    /// Text.
    TXT = 16 "TXT",
    /// Who is responsible (RFC 1183).
    RP = 17 "RP",
    /// An AFS cell's database.
    AFSDB = 18 "AFSDB",
    /// An X.25 address.
    X25 = 19 "X25",
    /// An ISDN address.
    ISDN = 20 "ISDN",
    /// A way through.
    RT = 21 "RT",
    /// An OSI address.
    NSAP = 22 "NSAP",
    /// The name of an OSI address.
    NSAP_PTR = 23 "NSAP-PTR",
    /// A signature of the past, and of SIG(0).
    SIG = 24 "SIG",
    /// A key of the past.
    KEY = 25 "KEY",
    /// Mail between X.400 and the Internet.
    PX = 26 "PX",
    /// Where something is, of the past.
    GPOS = 27 "GPOS",
    /// An IPv6 address.
    AAAA = 28 "AAAA",
    /// Where something is (RFC 1876).
    LOC = 29 "LOC",
    /// The next name, of the past.
    NXT = 30 "NXT",
    /// A Nimrod endpoint.
    EID = 31 "EID",
    /// A Nimrod locator.
    NIMLOC = 32 "NIMLOC",
    /// Where a service is (RFC 2782).
    SRV = 33 "SRV",
    /// An ATM address.
    ATMA = 34 "ATMA",
    /// A rule that rewrites (RFC 3403).
    NAPTR = 35 "NAPTR",
    /// A key exchanger.
    KX = 36 "KX",
    /// A certificate.
    CERT = 37 "CERT",
    /// An IPv6 address in pieces, of the past.
    A6 = 38 "A6",
    /// An alias of a whole tree (RFC 6672).
    DNAME = 39 "DNAME",
    /// A kitchen sink.
    SINK = 40 "SINK",
    /// Options of a message (RFC 6891); no record.
    OPT = 41 "OPT",
    /// Prefixes of addresses (RFC 3123).
    APL = 42 "APL",
    /// The digest of a child's key.
    DS = 43 "DS",
    /// Fingerprints of SSH host keys.
    SSHFP = 44 "SSHFP",
    /// A key for IPsec.
    IPSECKEY = 45 "IPSECKEY",
    /// A signature of an RRset (RFC 4034).
    RRSIG = 46 "RRSIG",
    /// The next name, and the types at this one.
    NSEC = 47 "NSEC",
    /// A zone's key.
    DNSKEY = 48 "DNSKEY",
    /// A DHCP client's identity.
    DHCID = 49 "DHCID",
    /// The next hashed name (RFC 5155).
    NSEC3 = 50 "NSEC3",
    /// How names are hashed.
    NSEC3PARAM = 51 "NSEC3PARAM",
    /// The certificate of a TLS server (RFC 6698).
    TLSA = 52 "TLSA",
    /// The certificate of a mail user.
    SMIMEA = 53 "SMIMEA",
    /// The host identity protocol.
    HIP = 55 "HIP",
    /// Status of a zone.
    NINFO = 56 "NINFO",
    /// A key like a zone's.
    RKEY = 57 "RKEY",
    /// Where a trust anchor is.
    TALINK = 58 "TALINK",
    /// A DS that the child asks for.
    CDS = 59 "CDS",
    /// A key whose DS the child asks for.
    CDNSKEY = 60 "CDNSKEY",
    /// A key of OpenPGP.
    OPENPGPKEY = 61 "OPENPGPKEY",
    /// What a parent may take over from a child.
    CSYNC = 62 "CSYNC",
    /// The digest of a whole zone (RFC 8976).
    ZONEMD = 63 "ZONEMD",
    /// How a service is reached (RFC 9460).
    SVCB = 64 "SVCB",
    /// How a web site is reached (RFC 9460).
    HTTPS = 65 "HTTPS",
    /// Where a child wants to be told of changes (RFC 9859).
    DSYNC = 66 "DSYNC",
    /// Policy for mail senders, in a type of its own, of the past.
    SPF = 99 "SPF",
    /// User information.
    UINFO = 100 "UINFO",
    /// A user's number.
    UID = 101 "UID",
    /// A group's number.
    GID = 102 "GID",
    /// Anything.
    UNSPEC = 103 "UNSPEC",
    /// The node of an identifier-locator network.
    NID = 104 "NID",
    /// A 32-bit locator.
    L32 = 105 "L32",
    /// A 64-bit locator.
    L64 = 106 "L64",
    /// A locator by name.
    LP = 107 "LP",
    /// A 48-bit Ethernet address.
    EUI48 = 108 "EUI48",
    /// A 64-bit Ethernet address.
    EUI64 = 109 "EUI64",
    /// There is no such name, in a signed answer that denies in one record (RFC 9824).
    NXNAME = 128 "NXNAME",
    /// A key that was agreed upon.
    TKEY = 249 "TKEY",
    /// The signature of a message (RFC 8945).
    TSIG = 250 "TSIG",
    /// A transfer of what changed (RFC 1995).
    IXFR = 251 "IXFR",
    /// A transfer of a whole zone (RFC 5936).
    AXFR = 252 "AXFR",
    /// Mailbox types, as a question.
    MAILB = 253 "MAILB",
    /// Mail agents, as a question.
    MAILA = 254 "MAILA",
    /// Whatever there is, as a question (RFC 8482).
    ANY = 255 "ANY",
    /// A URI.
    URI = 256 "URI",
    /// Who may issue certificates (RFC 8659).
    CAA = 257 "CAA",
    /// Visibility of applications.
    AVC = 258 "AVC",
    /// A digital object's architecture.
    DOA = 259 "DOA",
    /// A relay of automatic multicast tunnels.
    AMTRELAY = 260 "AMTRELAY",
    /// Where information about a resolver is.
    RESINFO = 261 "RESINFO",
    /// A wallet.
    WALLET = 262 "WALLET",
    /// A trust anchor outside the tree.
    TA = 32768 "TA",
    /// A DS outside the tree.
    DLV = 32769 "DLV",
});

impl RecordType {
    /// Whether it stands in messages only, and never in a zone: OPT, and
    /// those that RFC 6895, section 3.1, keeps for questions and meta data.
    pub fn is_meta(self) -> bool {
        self == Self::OPT || (128..=255).contains(&self.0)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.pad(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// What was to be the name of a number, and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no {1} of the registry, and no {2} with a number behind it")]
pub struct UnknownMnemonic(String, &'static str, &'static str);

impl FromStr for RecordType {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<Self, UnknownMnemonic> {
        numbered(text, "TYPE")
            .map(Self)
            .or_else(|| Self::from_mnemonic(text))
            .ok_or_else(|| UnknownMnemonic(text.to_owned(), "record type", "TYPE"))
    }
}

/// The number behind a word (RFC 3597, section 5).
fn numbered(text: &str, word: &str) -> Option<u16> {
    let (head, digits) = text.split_at_checked(word.len())?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    (head.eq_ignore_ascii_case(word) && plain)
        .then(|| digits.parse().ok())
        .flatten()
}

/// Which Internet, of several that were thought of (RFC 1035, section 3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

codes!(Class: u16 {
    /// The Internet.
    IN = 1 "IN",
    /// Chaos, where servers are asked about themselves (RFC 4892).
    CH = 3 "CH",
    /// Hesiod.
    HS = 4 "HS",
    /// None: in UPDATE (RFC 2136).
    NONE = 254 "NONE",
    /// Any, as a question.
    ANY = 255 "ANY",
});

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.pad(name),
            None => write!(f, "CLASS{}", self.0),
        }
    }
}

impl FromStr for Class {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<Self, UnknownMnemonic> {
        numbered(text, "CLASS")
            .map(Self)
            .or_else(|| Self::from_mnemonic(text))
            .ok_or_else(|| UnknownMnemonic(text.to_owned(), "class", "CLASS"))
    }
}

/// What a message is for: four bits (RFC 1035, section 4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

codes!(Opcode: u8 {
    /// A question.
    QUERY = 0 "QUERY",
    /// A question backwards, of the past (RFC 3425).
    IQUERY = 1 "IQUERY",
    /// How are you.
    STATUS = 2 "STATUS",
    /// A zone has changed (RFC 1996).
    NOTIFY = 4 "NOTIFY",
    /// Change a zone (RFC 2136).
    UPDATE = 5 "UPDATE",
    /// Stateful operations (RFC 8490).
    DSO = 6 "DSO",
});

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.pad(name),
            None => write!(f, "OPCODE{}", self.0),
        }
    }
}

/// How it went: four bits of the header, eight more in OPT (RFC 6891), and
/// sixteen in TSIG.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

codes!(Rcode: u16 {
    /// All is well.
    NOERROR = 0 "NOERROR",
    /// The question makes no sense.
    FORMERR = 1 "FORMERR",
    /// The server has a problem.
    SERVFAIL = 2 "SERVFAIL",
    /// There is no such name.
    NXDOMAIN = 3 "NXDOMAIN",
    /// The server does not do that.
    NOTIMP = 4 "NOTIMP",
    /// The server will not do that.
    REFUSED = 5 "REFUSED",
    /// A name exists that should not; also a DNAME that made a name too long (RFC 6672).
    YXDOMAIN = 6 "YXDOMAIN",
    /// An RRset exists that should not.
    YXRRSET = 7 "YXRRSET",
    /// An RRset that should exist does not.
    NXRRSET = 8 "NXRRSET",
    /// The server is not the zone's, or the asker may not.
    NOTAUTH = 9 "NOTAUTH",
    /// The name is not in the zone.
    NOTZONE = 10 "NOTZONE",
    /// The type of a stateful operation is not known.
    DSOTYPENI = 11 "DSOTYPENI",
    /// A version of EDNS that the server does not know. As a TSIG error the same number is BADSIG.
    BADVERS = 16 "BADVERS",
    /// TSIG: the key is not known.
    BADKEY = 17 "BADKEY",
    /// TSIG: the time is not now.
    BADTIME = 18 "BADTIME",
    /// TKEY: the mode is not known.
    BADMODE = 19 "BADMODE",
    /// TKEY: the name is taken.
    BADNAME = 20 "BADNAME",
    /// TKEY: the algorithm is not known.
    BADALG = 21 "BADALG",
    /// TSIG: too much was cut off.
    BADTRUNC = 22 "BADTRUNC",
    /// The cookie is missing or not the server's (RFC 7873).
    BADCOOKIE = 23 "BADCOOKIE",
});

impl Rcode {
    /// What TSIG calls number 16 (RFC 8945, section 3).
    pub const BADSIG: Self = Self(16);

    /// The four bits that stand in the header.
    pub fn low(self) -> u8 {
        (self.0 & 0xF) as u8
    }

    /// The eight bits that stand in OPT.
    pub fn high(self) -> u8 {
        ((self.0 >> 4) & 0xFF) as u8
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.pad(name),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for number in 0..=u16::MAX {
            let record_type = RecordType(number);
            assert_eq!(record_type.to_string().parse(), Ok(record_type));
            let class = Class(number);
            assert_eq!(class.to_string().parse(), Ok(class));
        }
    }

    #[test]
    fn a_number_must_fit_and_be_one() {
        for text in ["TYPE", "TYPE65536", "TYPE+1", "TYPE 1", "TYP1", "", "É"] {
            assert!(text.parse::<RecordType>().is_err(), "{text}");
        }
        assert_eq!("type1".parse(), Ok(RecordType::A));
        assert_eq!("class1".parse(), Ok(Class::IN));
    }

    #[test]
    fn a_code_of_twelve_bits_stands_in_two_places() {
        assert_eq!((Rcode::BADVERS.low(), Rcode::BADVERS.high()), (0, 1));
        assert_eq!((Rcode::REFUSED.low(), Rcode::REFUSED.high()), (5, 0));
    }
}
