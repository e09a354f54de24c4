//! RDATA from the words of a zone file.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXLOWER_PERMISSIVE};

use super::super::name::{self, NameRef};
use super::super::words::{self, Word};
use super::super::{Class, RecordType};
use super::{
    ALGORITHMS, CERT_TYPES, Field, NameKind, RdataError, SVC_KEYS, check, check_rules, layout, wire,
};

/// Reads RDATA as a zone file has it, names complete whether or not a dot ends
/// them. What the type does not know may be given as `\# LENGTH HEX` (RFC 3597).
///
/// # Errors
///
/// What the type does not allow.
pub fn from_text(class: Class, record_type: RecordType, text: &str) -> Result<Vec<u8>, RdataError> {
    let mut found = Vec::new();
    let entry = words::split(text.as_bytes(), true, &mut found)
        .map_err(|error| RdataError::Lexical(error.problem.to_string()))?;
    if entry.is_none_or(|entry| entry.length != text.len()) {
        return Err(RdataError::Trailing);
    }
    let mut out = Vec::new();
    let mut words = Words::new(text.as_bytes(), &found, Some(NameRef::ROOT));
    parse(class, record_type, &mut words, &mut out)?;
    Ok(out)
}

/// The words of RDATA, taken one by one.
pub(crate) struct Words<'a> {
    text: &'a [u8],
    words: &'a [Word],
    at: usize,
    origin: Option<NameRef<'a>>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a [u8], words: &'a [Word], origin: Option<NameRef<'a>>) -> Self {
        Self {
            text,
            words,
            at: 0,
            origin,
        }
    }

    /// How many words have been taken: an error is at the last of them.
    #[cfg(feature = "server")]
    pub(crate) fn taken(&self) -> usize {
        self.at
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a [u8], RdataError> {
        self.optional().ok_or(RdataError::Missing(expected))
    }

    fn optional(&mut self) -> Option<&'a [u8]> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word.of(self.text))
    }

    fn is_empty(&self) -> bool {
        self.at >= self.words.len()
    }

    /// The next word through `read`.
    fn map<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, RdataError> {
        let word = self.next(expected)?;
        std::str::from_utf8(word)
            .ok()
            .and_then(read)
            .ok_or_else(|| bad(expected, word))
    }

    fn u8(&mut self, expected: &'static str) -> Result<u8, RdataError> {
        self.map(expected, decimal)
    }

    fn u16(&mut self, expected: &'static str) -> Result<u16, RdataError> {
        self.map(expected, decimal)
    }

    /// All words that are left, as one.
    fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(word) = self.optional() {
            all.extend_from_slice(word);
        }
        all
    }
}

fn bad(expected: &'static str, word: &[u8]) -> RdataError {
    RdataError::Word {
        expected,
        // As much as a message has room for.
        found: String::from_utf8_lossy(&word[..word.len().min(80)]).into_owned(),
    }
}

/// A number of digits alone: no sign, no blank.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Appends the RDATA that the words say; they must all be of it.
pub(crate) fn parse(
    class: Class,
    record_type: RecordType,
    words: &mut Words<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let start = out.len();
    let generic = words
        .words
        .first()
        .is_some_and(|word| !word.quoted && word.of(words.text) == b"\\#");
    match layout(class, record_type) {
        _ if generic => {
            words.at += 1;
            let length = words.u16("a number of octets")?;
            let hex = words.rest();
            let data = HEXLOWER_PERMISSIVE
                .decode(&hex)
                .map_err(|_| bad("hexadecimal digits", &hex))?;
            if data.len() != usize::from(length) {
                return Err(RdataError::Rule(
                    "as many octets as the number before says expected",
                ));
            }
            check(class, record_type, &data)?;
            out.extend(data);
            return Ok(());
        }
        None => {
            return Err(RdataError::Rule(
                "`\\#`, a number of octets and hexadecimal digits expected for this type",
            ));
        }
        Some(fields) => {
            for &field in fields {
                parse_field(field, words, out)?;
            }
        }
    }
    if !words.is_empty() {
        words.at += 1;
        return Err(RdataError::Trailing);
    }
    let rdata = &out[start..];
    if rdata.len() > super::MAX_RDATA {
        return Err(RdataError::TooLong);
    }
    check_rules(record_type, rdata)
}

fn parse_field(field: Field, words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    match field {
        Field::Name(_) => {
            let word = words.next("a domain name")?;
            name::write_from_text(word, words.origin, out)?;
        }
        Field::U8 => out.push(words.u8("a number up to 255")?),
        Field::U16 => out.extend(words.u16("a number up to 65535")?.to_be_bytes()),
        Field::U32 => {
            let value: u32 = words.map("a number up to 4294967295", decimal)?;
            out.extend(value.to_be_bytes());
        }
        Field::Period => {
            let expected = "a number of seconds, as `3600` or `1h30m`,";
            let word = words.next(expected)?;
            let value = period(word).ok_or_else(|| bad(expected, word))?;
            out.extend(value.to_be_bytes());
        }
        Field::Octal => {
            let value = words.map("an octal number up to 177777", |text| {
                text.bytes()
                    .all(|octet| octet.is_ascii_digit())
                    .then(|| u16::from_str_radix(text, 8).ok())
                    .flatten()
            })?;
            out.extend(value.to_be_bytes());
        }
        Field::Time => {
            let value = words.map("a time as `YYYYMMDDHHmmSS`, or in seconds", time)?;
            out.extend(value.to_be_bytes());
        }
        Field::Type => out.extend(record_type(words)?.0.to_be_bytes()),
        Field::Algorithm => {
            out.push(words.map("an algorithm's number or name", |text| {
                decimal(text).or_else(|| by_name(ALGORITHMS, text))
            })?);
        }
        Field::CertType => {
            let value = words.map("a certificate type's number or name", |text| {
                decimal(text).or_else(|| by_name(CERT_TYPES, text))
            })?;
            out.extend(value.to_be_bytes());
        }
        Field::Ipv4 => out.extend(ipv4(words)?),
        Field::Ipv6 => out.extend(ipv6(words)?),
        Field::Eui48 => groups(
            words,
            "six pairs of hexadecimal digits with `-` between",
            '-',
            2,
            6,
            out,
        )?,
        Field::Eui64 => groups(
            words,
            "eight pairs of hexadecimal digits with `-` between",
            '-',
            2,
            8,
            out,
        )?,
        Field::Locator => groups(
            words,
            "four groups of hexadecimal digits with `:` between",
            ':',
            4,
            4,
            out,
        )?,
        Field::String => string(words.next("a character-string")?, out)?,
        Field::OptionalString => {
            if let Some(word) = words.optional() {
                string(word, out)?;
            }
        }
        Field::Strings => {
            string(words.next("a character-string")?, out)?;
            while let Some(word) = words.optional() {
                string(word, out)?;
            }
        }
        Field::Quoted => unescape(words.next("a text")?, out)?,
        Field::Tag => {
            let start = out.len();
            string(words.next("a tag")?, out)?;
            wire::end_of(Field::Tag, out, start)?;
        }
        Field::Base64 => {
            if words.is_empty() {
                return Err(RdataError::Missing("base64"));
            }
            base64(&words.rest(), out)?;
        }
        Field::OptionalBase64 => base64(&words.rest(), out)?,
        Field::DashBase64 => match &*words.rest() {
            b"" => return Err(RdataError::Missing("base64, or `-`")),
            b"-" => {}
            text => base64(text, out)?,
        },
        Field::Hex => {
            if words.is_empty() {
                return Err(RdataError::Missing("hexadecimal digits"));
            }
            hex(&words.rest(), out)?;
        }
        Field::Salt => match words.next("a salt in hexadecimal digits, or `-`")? {
            b"-" => out.push(0),
            text => counted(out, |out| hex(text, out))?,
        },
        Field::Hash => {
            let expected = "a hash in base32hex";
            let word = words.next(expected)?;
            let hash = BASE32HEX_NOPAD
                .decode(&word.to_ascii_uppercase())
                .ok()
                .filter(|hash| !hash.is_empty())
                .ok_or_else(|| bad(expected, word))?;
            counted(out, |out| {
                out.extend(hash);
                Ok(())
            })?;
        }
        Field::Bitmap => bitmap(words, out)?,
        Field::OldBitmap => old_bitmap(words, out)?,
        Field::SvcParams => svc_params(words, out)?,
        Field::Loc => super::loc::parse(words, out)?,
        Field::Apl => apl(words, out)?,
        Field::Services => services(words, out)?,
        Field::IpsecKey => {
            out.push(words.u8("a precedence")?);
            let kind = words.u8("a gateway's kind, 0 to 3,")?;
            let algorithm = words.u8("an algorithm's number")?;
            out.extend([kind, algorithm]);
            gateway(kind, words, out)?;
            if algorithm != 0 && words.is_empty() {
                return Err(RdataError::Missing("a key in base64"));
            }
            base64(&words.rest(), out)?;
        }
        Field::AmtRelay => {
            out.push(words.u8("a precedence")?);
            let discovery: u8 = words.map("0 or 1 for the discovery bit", |text| {
                decimal(text).filter(|&bit| bit <= 1)
            })?;
            let kind = words.map("a relay's kind, 0 to 3,", |text| {
                decimal(text).filter(|&kind: &u8| kind <= 3)
            })?;
            out.push(discovery << 7 | kind);
            gateway(kind, words, out)?;
        }
        Field::Hip => {
            let algorithm = words.u8("an algorithm's number")?;
            let (mut tag, mut key) = (Vec::new(), Vec::new());
            hex(
                words.next("a host identity tag in hexadecimal digits")?,
                &mut tag,
            )?;
            base64(words.next("a key in base64")?, &mut key)?;
            let (Ok(tag_length @ 1..), Ok(key_length @ 1..)) =
                (u8::try_from(tag.len()), u16::try_from(key.len()))
            else {
                return Err(RdataError::Rule(
                    "a tag of 1 to 255 octets, and a key, expected",
                ));
            };
            out.extend([tag_length, algorithm]);
            out.extend(key_length.to_be_bytes());
            out.extend(tag);
            out.extend(key);
            while let Some(word) = words.optional() {
                name::write_from_text(word, words.origin, out)?;
            }
        }
        Field::A6 => {
            let prefix = words.map("a prefix length up to 128", |text| {
                decimal(text).filter(|&prefix: &u8| prefix <= 128)
            })?;
            out.push(prefix);
            if prefix < 128 {
                let mut address = ipv6(words)?;
                let whole = usize::from(prefix / 8);
                address[whole] &= 0xFF >> (prefix % 8);
                out.extend(&address[whole..]);
            }
            if prefix > 0 {
                name::write_from_text(words.next("a domain name")?, words.origin, out)?;
            }
        }
        Field::Nsap => {
            let expected = "`0x` and hexadecimal digits";
            let all = words.rest();
            let digits: Vec<u8> = match &*all {
                [b'0', b'x' | b'X', digits @ ..] if !digits.is_empty() => digits
                    .iter()
                    .copied()
                    .filter(|&digit| digit != b'.')
                    .collect(),
                _ => return Err(bad(expected, &all)),
            };
            hex(&digits, out)?;
        }
        Field::Atma => {
            let word = words.next("an ATM address")?;
            match word {
                [b'+', digits @ ..] if !digits.is_empty() => {
                    out.push(1);
                    out.extend(digits.iter().filter(|&&digit| digit != b'.'));
                    if !digits
                        .iter()
                        .all(|digit| digit.is_ascii_digit() || *digit == b'.')
                    {
                        return Err(bad("`+` and digits", word));
                    }
                }
                _ => {
                    out.push(0);
                    let digits: Vec<u8> = word.iter().copied().filter(|&d| d != b'.').collect();
                    hex(&digits, out)?;
                }
            }
        }
    }
    Ok(())
}

/// A type's mnemonic, or `TYPE` and its number.
fn record_type(words: &mut Words<'_>) -> Result<RecordType, RdataError> {
    words.map("a record type", |text| text.parse().ok())
}

fn by_name<T: Copy>(names: &[(T, &str)], text: &str) -> Option<T> {
    names
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(text))
        .map(|(value, _)| *value)
}

fn ipv4(words: &mut Words<'_>) -> Result<[u8; 4], RdataError> {
    words
        .map("an IPv4 address", |text| text.parse().ok())
        .map(|address: Ipv4Addr| address.octets())
}

fn ipv6(words: &mut Words<'_>) -> Result<[u8; 16], RdataError> {
    words
        .map("an IPv6 address", |text| text.parse().ok())
        .map(|address: Ipv6Addr| address.octets())
}

/// Seconds, as a number or with units: `90`, `1h30m`, `2W`.
pub(crate) fn period(text: &[u8]) -> Option<u32> {
    let mut total = 0_u64;
    let mut rest = text;
    let mut units = false;
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .iter()
            .take_while(|octet| octet.is_ascii_digit())
            .count();
        // Ten digits hold all that 32 bits do.
        let number: u64 = std::str::from_utf8(&rest[..digits])
            .ok()
            .filter(|digits| (1..=10).contains(&digits.len()))?
            .parse()
            .ok()?;
        rest = &rest[digits..];
        let unit = match rest.split_first() {
            Some((unit, behind)) => {
                rest = behind;
                units = true;
                match unit.to_ascii_lowercase() {
                    b's' => 1,
                    b'm' => 60,
                    b'h' => 3_600,
                    b'd' => 86_400,
                    b'w' => 604_800,
                    _ => return None,
                }
            }
            // `1h30` says too little.
            None if units => return None,
            None => 1,
        };
        total += number * unit;
        if total > u64::from(u32::MAX) {
            return None;
        }
    }
    u32::try_from(total).ok()
}

/// RFC 4034, 3.2: fourteen digits of a date, or up to ten of seconds since 1970.
fn time(text: &str) -> Option<u32> {
    if text.len() != 14 {
        return decimal(text);
    }
    let field = |range: std::ops::Range<usize>| decimal::<u32>(text.get(range)?);
    let (year, month, day) = (field(0..4)?, field(4..6)?, field(6..8)?);
    let (hour, minute, second) = (field(8..10)?, field(10..12)?, field(12..14)?);
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days_of_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1970..=2106).contains(&year)
        || !(1..=days_of_month).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let days = super::calendar::days_since_1970(year, month, day);
    let seconds = (u64::from(days) * 24 + u64::from(hour)) * 3_600;
    u32::try_from(seconds + u64::from(minute) * 60 + u64::from(second)).ok()
}

/// Groups of hexadecimal digits with a mark between.
fn groups(
    words: &mut Words<'_>,
    expected: &'static str,
    mark: char,
    digits: usize,
    count: usize,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let octets = words.map(expected, |text| {
        let groups: Vec<&str> = text.split(mark).collect();
        let shaped = groups.len() == count
            && groups.iter().all(|group| {
                // EUIs have both digits; a locator's zeros in front may be left out.
                let enough = if mark == '-' {
                    group.len() == digits
                } else {
                    !group.is_empty()
                };
                enough && group.len() <= digits && group.bytes().all(|d| d.is_ascii_hexdigit())
            });
        shaped.then(|| {
            groups
                .iter()
                .flat_map(|group| {
                    let value = u16::from_str_radix(group, 16).unwrap_or(0);
                    value.to_be_bytes().into_iter().skip(2 - digits / 2)
                })
                .collect::<Vec<u8>>()
        })
    })?;
    out.extend(octets);
    Ok(())
}

/// Appends what `write` does, behind its length in an octet.
fn counted(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), RdataError>,
) -> Result<(), RdataError> {
    let at = out.len();
    out.push(0);
    write(out)?;
    out[at] = u8::try_from(out.len() - at - 1)
        .map_err(|_| RdataError::Rule("at most 255 octets expected"))?;
    Ok(())
}

/// A character-string (RFC 1035, 3.3).
fn string(word: &[u8], out: &mut Vec<u8>) -> Result<(), RdataError> {
    counted(out, |out| unescape(word, out)).map_err(|error| match error {
        RdataError::Rule(_) => {
            RdataError::Rule("a character-string of at most 255 octets expected")
        }
        other => other,
    })
}

/// Appends a word without its escapes.
fn unescape(word: &[u8], out: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut rest = word;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (octet, taken) = name::read_escape(&rest[at + 1..])
            .ok_or_else(|| bad("three digits up to 255, or a character, behind `\\`", word))?;
        out.push(octet);
        rest = &rest[at + 1 + taken..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn base64(text: &[u8], out: &mut Vec<u8>) -> Result<(), RdataError> {
    let data = BASE64.decode(text).map_err(|_| bad("base64", text))?;
    out.extend(data);
    Ok(())
}

fn hex(text: &[u8], out: &mut Vec<u8>) -> Result<(), RdataError> {
    let data = HEXLOWER_PERMISSIVE
        .decode(text)
        .map_err(|_| bad("an even number of hexadecimal digits", text))?;
    out.extend(data);
    Ok(())
}

fn types(words: &mut Words<'_>) -> Result<Vec<u16>, RdataError> {
    let mut types = Vec::new();
    while !words.is_empty() {
        types.push(record_type(words)?.0);
    }
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

/// RFC 4034, 4.1.2.
fn bitmap(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    for window in types(words)?.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0_u8; 32];
        let mut length = 0;
        for &number in window {
            let [high, low] = number.to_be_bytes();
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
            length = low / 8 + 1;
            if number == window[0] {
                out.push(high);
            }
        }
        out.push(length);
        out.extend(&bits[..usize::from(length)]);
    }
    Ok(())
}

/// RFC 2535, 5.2.
fn old_bitmap(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let start = out.len();
    for number in types(words)? {
        if !(1..128).contains(&number) {
            return Err(RdataError::Rule("types below 128 expected"));
        }
        let at = start + usize::from(number / 8);
        if out.len() <= at {
            out.resize(at + 1, 0);
        }
        out[at] |= 0x80 >> (number % 8);
    }
    if out.len() == start {
        return Err(RdataError::Missing("a record type"));
    }
    Ok(())
}

/// RFC 3123: `!1:192.0.2.0/24`.
fn apl(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    while !words.is_empty() {
        let item = words.map("an address prefix as `1:192.0.2.0/24`", |text| {
            let (negated, text) = match text.strip_prefix('!') {
                Some(text) => (0x80, text),
                None => (0, text),
            };
            let (family, text) = text.split_once(':')?;
            let (address, prefix) = text.split_once('/')?;
            let prefix: u8 = decimal(prefix)?;
            let (family, mut address, most) = match family {
                "1" => (
                    1_u8,
                    address.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
                    32,
                ),
                "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 128),
                _ => return None,
            };
            while address.last() == Some(&0) {
                address.pop();
            }
            let length = u8::try_from(address.len()).ok()?;
            (prefix <= most).then(|| {
                let mut item = vec![0, family, prefix, negated | length];
                item.extend(address);
                item
            })
        })?;
        out.extend(item);
    }
    Ok(())
}

/// RFC 1035, 3.4.2: a protocol, and ports by number or by the names of RFC 1010 that are in use.
fn services(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    const PROTOCOLS: &[(u8, &str)] = &[(1, "icmp"), (6, "tcp"), (17, "udp")];
    const SERVICES: &[(u16, &str)] = &[
        (7, "echo"),
        (9, "discard"),
        (13, "daytime"),
        (20, "ftp-data"),
        (21, "ftp"),
        (22, "ssh"),
        (23, "telnet"),
        (25, "smtp"),
        (37, "time"),
        (43, "whois"),
        (53, "domain"),
        (69, "tftp"),
        (79, "finger"),
        (80, "http"),
        (110, "pop3"),
        (119, "nntp"),
        (123, "ntp"),
        (143, "imap"),
        (161, "snmp"),
        (179, "bgp"),
        (389, "ldap"),
        (443, "https"),
    ];
    let protocol = words.map("a protocol's number, or `tcp` or `udp`,", |text| {
        decimal(text).or_else(|| by_name(PROTOCOLS, text))
    })?;
    out.push(protocol);
    let start = out.len();
    while !words.is_empty() {
        let port: u16 = words.map("a port's number, or a service's name,", |text| {
            decimal(text).or_else(|| by_name(SERVICES, text))
        })?;
        let at = start + usize::from(port / 8);
        if out.len() <= at {
            out.resize(at + 1, 0);
        }
        out[at] |= 0x80 >> (port % 8);
    }
    Ok(())
}

/// Of IPSECKEY and AMTRELAY: `.`, an address, or a name.
fn gateway(kind: u8, words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    match kind {
        0 => match words.next("`.` for no gateway")? {
            b"." => {}
            word => return Err(bad("`.` for no gateway", word)),
        },
        1 => out.extend(ipv4(words)?),
        2 => out.extend(ipv6(words)?),
        3 => parse_field(Field::Name(NameKind::Plain), words, out)?,
        _ => return Err(RdataError::Rule("a gateway of kind 0 to 3 expected")),
    }
    Ok(())
}

/// RFC 9460, 2.1: `key=value` in any order, each key once.
fn svc_params(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while let Some(word) = words.optional() {
        let (key, value) = match memchr::memchr(b'=', word) {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        let number =
            svc_key(key).ok_or_else(|| bad("a SvcParam's key, as `alpn` or `key667`,", word))?;
        let value = match value {
            Some([b'"', value @ .., b'"']) => value,
            Some(value) => value,
            None => b"",
        };
        let mut wire = Vec::new();
        svc_value(number, value, &mut wire).map_err(|error| match error {
            RdataError::Word { expected, .. } => bad(expected, word),
            other => other,
        })?;
        params.push((number, wire));
    }
    params.sort_by_key(|(key, _)| *key);
    let start = out.len();
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| RdataError::TooLong)?;
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    // Keys that are there twice, and what binds one to another.
    wire::end_of(Field::SvcParams, out, start).map(drop)
}

fn svc_key(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    by_name(SVC_KEYS, text).or_else(|| decimal(text.strip_prefix("key")?))
}

fn svc_value(key: u16, value: &[u8], out: &mut Vec<u8>) -> Result<(), RdataError> {
    let items = || value.split(|&octet| octet == b',');
    match key {
        0 => {
            let mut keys = Vec::new();
            for item in items() {
                keys.push(svc_key(item).ok_or_else(|| bad("keys with `,` between", value))?);
            }
            keys.sort_unstable();
            out.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
        }
        1 => {
            // Escaped twice: as a text, and in it as items between commas (RFC 9460, A.1).
            let mut list = Vec::new();
            unescape(value, &mut list)?;
            let mut item = Vec::new();
            let mut rest = list.iter();
            loop {
                let octet = rest.next();
                match octet {
                    Some(b'\\') => match rest.next() {
                        Some(octet) => item.push(*octet),
                        None => return Err(bad("a character behind `\\`", value)),
                    },
                    Some(b',') | None => {
                        if item.is_empty() {
                            return Err(bad("protocols with `,` between", value));
                        }
                        counted(out, |out| {
                            out.append(&mut item);
                            Ok(())
                        })?;
                        if octet.is_none() {
                            break;
                        }
                    }
                    Some(octet) => item.push(*octet),
                }
            }
        }
        3 => {
            let port: u16 = std::str::from_utf8(value)
                .ok()
                .filter(|text| !text.is_empty())
                .and_then(decimal)
                .ok_or_else(|| bad("a port up to 65535", value))?;
            out.extend(port.to_be_bytes());
        }
        4 => {
            for item in items() {
                out.extend(address::<Ipv4Addr>(item, "IPv4 addresses with `,` between")?.octets());
            }
        }
        5 => base64(value, out)?,
        6 => {
            for item in items() {
                out.extend(address::<Ipv6Addr>(item, "IPv6 addresses with `,` between")?.octets());
            }
        }
        _ => unescape(value, out)?,
    }
    Ok(())
}

fn address<T: std::str::FromStr>(item: &[u8], expected: &'static str) -> Result<T, RdataError> {
    std::str::from_utf8(item)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad(expected, item))
}

impl Words<'_> {
    /// The next word, which may be missing, if `read` takes it.
    pub(super) fn take_if<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let word = self.words.get(self.at)?.of(self.text);
        let value = read(std::str::from_utf8(word).ok()?)?;
        self.at += 1;
        Some(value)
    }

    /// The next word through `read`.
    pub(super) fn must<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, RdataError> {
        self.map(expected, read)
    }

    /// Whether a word is left.
    pub(super) fn has_more(&self) -> bool {
        !self.is_empty()
    }
}
