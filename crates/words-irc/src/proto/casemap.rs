//! Which names are the same: `CASEMAPPING` (RFC 1459, section 2.2).

use std::fmt;

/// How a server compares nicks and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CaseMapping {
    /// A to Z are a to z, and nothing else; right for names in UTF-8.
    Ascii,
    /// As well, `[]\~` are `{}|^`, which Scandinavians once had in their place.
    /// What a server that says nothing has.
    #[default]
    Rfc1459,
    /// The same without `~` and `^`.
    Rfc1459Strict,
}

impl CaseMapping {
    /// By its name in `ISUPPORT`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ascii, Self::Rfc1459, Self::Rfc1459Strict]
            .into_iter()
            .find(|mapping| mapping.name() == name)
    }

    /// Its name in `ISUPPORT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Rfc1459 => "rfc1459",
            Self::Rfc1459Strict => "rfc1459-strict",
        }
    }

    /// A byte in lower case. Bytes beyond ASCII are as they are.
    #[inline]
    pub fn lower(self, byte: u8) -> u8 {
        match (byte, self) {
            (b'A'..=b'Z', _) => byte + 32,
            (b'[' | b'\\' | b']', Self::Rfc1459 | Self::Rfc1459Strict) => byte + 32,
            (b'~', Self::Rfc1459) => b'^',
            _ => byte,
        }
    }

    /// A name in lower case.
    pub fn fold(self, name: &str) -> Folded {
        let lower = |c: char| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => char::from(self.lower(byte)),
            _ => c,
        };
        Folded(name.chars().map(lower).collect())
    }

    /// Whether two names are the same.
    pub fn eq(self, one: &str, other: &str) -> bool {
        one.len() == other.len()
            && one
                .bytes()
                .zip(other.bytes())
                .all(|(a, b)| self.lower(a) == self.lower(b))
    }
}

/// A name in the case in which names are compared: a key for maps.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(Box<str>);

impl Folded {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Folded {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mapping_has_its_pairs() {
        let same = |mapping: CaseMapping, a, b| {
            assert_eq!(mapping.eq(a, b), mapping.fold(a) == mapping.fold(b));
            mapping.eq(a, b)
        };
        use CaseMapping::{Ascii, Rfc1459, Rfc1459Strict};
        for mapping in [Ascii, Rfc1459, Rfc1459Strict] {
            assert!(same(mapping, "#Rope", "#rOPE"));
            assert!(!same(mapping, "a", "ab"));
            assert!(!same(mapping, "É", "é"));
            assert_eq!(CaseMapping::named(mapping.name()), Some(mapping));
        }
        assert!(!same(Ascii, "[a]", "{a}"));
        assert!(same(Rfc1459Strict, r"[a]\", "{a}|"));
        assert!(!same(Rfc1459Strict, "a~", "a^"));
        assert!(same(Rfc1459, r"[a]\~", "{a}|^"));
        assert_eq!(Rfc1459.fold("Ünder[x]").as_str(), "Ünder{x}");
    }
}
