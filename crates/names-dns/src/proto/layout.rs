//! Where names stand in RDATA, which is all that compression needs to know of
//! it (RFC 1035, section 3.3; RFC 3597, section 4).

use super::RecordType;

/// A piece of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A name.
    Name,
    /// So many octets.
    Fixed(usize),
    /// An octet of length and so many octets.
    Text,
}

use Part::{Fixed, Name, Text};

/// The pieces up to the last name; what follows is taken as it is. Empty where
/// there is no name that may be compressed, in what others send.
pub(crate) fn layout(record_type: RecordType) -> &'static [Part] {
    match record_type {
        RecordType::SIG => &[Fixed(18), Name],
        RecordType::PX => &[Fixed(2), Name, Name],
        RecordType::NXT | RecordType::DNAME => &[Name],
        RecordType::RP => &[Name, Name],
        RecordType::AFSDB | RecordType::RT | RecordType::KX => &[Fixed(2), Name],
        RecordType::NAPTR => &[Fixed(4), Text, Text, Text, Name],
        RecordType::SRV => &[Fixed(6), Name],
        other => compressed(other),
    }
}

/// The same for those alone that we compress: RFC 1035's own types, which
/// everybody can read.
pub(crate) fn compressed(record_type: RecordType) -> &'static [Part] {
    match record_type {
        RecordType::NS
        | RecordType::MD
        | RecordType::MF
        | RecordType::CNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::PTR => &[Name],
        RecordType::SOA | RecordType::MINFO => &[Name, Name],
        RecordType::MX => &[Fixed(2), Name],
        _ => &[],
    }
}
