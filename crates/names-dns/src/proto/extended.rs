//! Extended DNS errors (RFC 8914): why a server refuses, beyond its code.

use std::fmt;

/// An error code of RFC 8914, with what the server says of it in words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ExtendedError {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT, in the server's words; often empty. It is for people, and never trusted.
    pub text: String,
}

impl ExtendedError {
    /// An answer that has expired, given for want of a newer one.
    pub const STALE_ANSWER: u16 = 3;
    /// As [`STALE_ANSWER`](Self::STALE_ANSWER), of a name that there was not.
    pub const STALE_NXDOMAIN: u16 = 19;
    /// The failure is a remembered one.
    pub const CACHED_ERROR: u16 = 13;
    /// The answer is withheld, by the operator's own rules.
    pub const BLOCKED: u16 = 15;
    /// The client may not ask.
    pub const PROHIBITED: u16 = 18;
    /// No server that was to be asked can be reached.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// A server answered, and not usefully.
    pub const NETWORK_ERROR: u16 = 23;
    /// None of the others.
    pub const OTHER: u16 = 0;

    /// A code with a text; of the text 256 bytes at most.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let mut text = text.into();
        let end = (0..=LONGEST_TEXT.min(text.len())).rev();
        let end = end.into_iter().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        Self { code, text }
    }

    /// The code in words, as IANA registers it.
    pub fn purpose(&self) -> &'static str {
        PURPOSES
            .get(usize::from(self.code))
            .copied()
            .unwrap_or("unknown error")
    }

    /// Reads the option's data.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (code, text) = data.split_first_chunk()?;
        let text = &text[..text.len().min(LONGEST_TEXT)];
        // Nothing that a terminal would obey.
        let text = String::from_utf8_lossy(text);
        let text = text.trim_end_matches('\0').chars();
        let text = text.map(|c| if c.is_control() { ' ' } else { c }).collect();
        Some(Self {
            code: u16::from_be_bytes(*code),
            text,
        })
    }

    /// The option's data.
    #[cfg(any(feature = "server", test))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.code.to_be_bytes()[..], self.text.as_bytes()].concat()
    }
}

impl fmt::Display for ExtendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.purpose())?;
        match self.text.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.text),
        }
    }
}

/// So much of a server's words is kept, in bytes.
const LONGEST_TEXT: usize = 256;

const PURPOSES: [&str; 30] = [
    "other error",
    "unsupported DNSKEY algorithm",
    "unsupported DS digest type",
    "stale answer",
    "forged answer",
    "DNSSEC indeterminate",
    "DNSSEC bogus",
    "signature expired",
    "signature not yet valid",
    "DNSKEY missing",
    "RRSIGs missing",
    "no zone key bit set",
    "NSEC missing",
    "cached error",
    "not ready",
    "blocked",
    "censored",
    "filtered",
    "prohibited",
    "stale NXDOMAIN answer",
    "not authoritative",
    "not supported",
    "no reachable authority",
    "network error",
    "invalid data",
    "signature expired before valid",
    "too early",
    "unsupported NSEC3 iterations value",
    "unable to conform to policy",
    "synthesized",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_is_written_and_obeys_no_terminal() {
        let error = ExtendedError::new(22, "at delegation example.org.");
        assert_eq!(ExtendedError::read(&error.to_bytes()), Some(error.clone()));
        assert_eq!(
            error.to_string(),
            "no reachable authority (at delegation example.org.)"
        );
        let wild = ExtendedError::read(b"\xff\xff\x1b[2J\xff\0").unwrap();
        assert_eq!(wild.to_string(), "unknown error ( [2J\u{fffd})");
        assert_eq!(ExtendedError::read(b"\0"), None);
        let long = ExtendedError::new(0, "é".repeat(200));
        assert_eq!(long.text.len(), LONGEST_TEXT);
    }
}
