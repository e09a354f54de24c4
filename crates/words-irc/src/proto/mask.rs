//! Masks: `*!*@*.example.com`, with `*` for anything and `?` for one
//! character.
//!
//! <https://modern.ircdocs.horse/#wildcard-expressions>

use std::fmt;

use super::casemap::CaseMapping;

/// The bytes of a mask at most: a nick, a user name and a host of the lengths
/// that servers allow fit, and a ban list of a thousand is checked in no time.
pub const LIMIT: usize = 256;

/// A pattern, folded for the comparison that it is for.
///
/// Matching never goes back over what stood before an asterisk, so it costs at
/// most the length of the pattern times that of the text: nobody makes a server
/// think with `*a*a*a*b`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mask {
    text: Box<str>,
    parts: Box<[Part]>,
    mapping: CaseMapping,
}

/// What stands between two asterisks; `None` is a `?`.
type Part = Box<[Option<char>]>;

/// A mask that cannot be. Whoever sent it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mask of more than {LIMIT} bytes")]
pub struct TooLong;

impl Mask {
    /// Reads a pattern. `\*`, `\?` and `\\` stand for the characters
    /// themselves.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn parse(text: &str, mapping: CaseMapping) -> Result<Self, TooLong> {
        if text.len() > LIMIT {
            return Err(TooLong);
        }
        let mut parts = vec![Vec::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let literal = match c {
                '*' => {
                    parts.push(Vec::new());
                    continue;
                }
                '?' => None,
                '\\' => match chars.as_str().chars().next() {
                    Some(next @ ('*' | '?' | '\\')) => {
                        chars.next();
                        Some(next)
                    }
                    _ => Some('\\'),
                },
                c => Some(c),
            };
            if let Some(part) = parts.last_mut() {
                part.push(literal.map(|c| lower(mapping, c)));
            }
        }
        // Several asterisks are one.
        let last = parts.len() - 1;
        let mut kept = Vec::with_capacity(parts.len());
        for (n, part) in parts.into_iter().enumerate() {
            if n == 0 || n == last || !part.is_empty() {
                kept.push(part.into_boxed_slice());
            }
        }
        Ok(Self {
            text: text.into(),
            parts: kept.into(),
            mapping,
        })
    }

    /// Completes what people type to `nick!user@host`: `ada` is `ada!*@*`,
    /// `a@b` is `*!a@b`, `example.com` is `*!*@example.com`.
    pub fn complete(text: &str) -> String {
        let (names, host) = match text.split_once('@') {
            Some((names, host)) => (names, Some(host)),
            None => (text, None),
        };
        let any = |text: &str| if text.is_empty() { "*" } else { text }.to_owned();
        match (names.split_once('!'), host) {
            (Some((nick, user)), host) => {
                format!("{}!{}@{}", any(nick), any(user), any(host.unwrap_or("")))
            }
            (None, Some(host)) => format!("*!{}@{}", any(names), any(host)),
            (None, None) if text.contains(['.', ':']) => format!("*!*@{text}"),
            (None, None) => format!("{}!*@*", any(text)),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a text is of this pattern.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|c| lower(self.mapping, c)).collect();
        let mut rest = text.as_slice();
        let [first, between @ ..] = &*self.parts else {
            return rest.is_empty();
        };
        let Some((last, between)) = between.split_last() else {
            // No asterisk: the whole, and no more.
            return rest.len() == first.len() && begins(rest, first);
        };
        if !begins(rest, first) {
            return false;
        }
        rest = &rest[first.len()..];
        for part in between {
            // The leftmost place is as good as any: it leaves the most.
            let Some(at) = (0..=rest.len()).find(|at| begins(&rest[*at..], part)) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.len() >= last.len() && begins(&rest[rest.len() - last.len()..], last)
    }
}

fn lower(mapping: CaseMapping, c: char) -> char {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => char::from(mapping.lower(byte)),
        _ => c,
    }
}

fn begins(text: &[char], part: &[Option<char>]) -> bool {
    text.len() >= part.len()
        && part
            .iter()
            .zip(text)
            .all(|(wanted, c)| wanted.is_none_or(|wanted| wanted == *c))
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(mask: &str, text: &str) -> bool {
        Mask::parse(mask, CaseMapping::Rfc1459)
            .unwrap()
            .matches(text)
    }

    #[test]
    fn wildcards() {
        for (mask, text) in [
            ("*@127.0.0.1", "coolguy!ag@127.0.0.1"),
            ("cool*@*", "coolguy!ag@net\u{5}w\u{f}rk.admin"),
            ("cool!*@*", "cool!guyag@network.admin"),
            ("cool?uy!*", "coolguy!ag@x"),
            ("*", ""),
            ("**", "abc"),
            ("a*", "a"),
            ("*a", "a"),
            ("a*a", "aa"),
            ("*a*b*c*", "xxaxxbxxcxx"),
            ("", ""),
            (r"a\*b", "a*b"),
            (r"a\?b", "a?b"),
            (r"a\b", r"a\b"),
            (r"a\", r"a\"),
            ("[a]", "{A}"),
            ("?é?", "xéy"),
        ] {
            assert!(matches(mask, text), "{mask} {text}");
        }
        for (mask, text) in [
            ("cool?uy", "cooluy"),
            ("a*a", "a"),
            ("*a*b*c*", "xxaxxcxxbxx"),
            ("", "a"),
            ("?", ""),
            ("abc", "ab"),
            ("ab", "abc"),
            (r"a\*b", "axb"),
            ("é", "É"),
        ] {
            assert!(!matches(mask, text), "{mask} {text}");
        }
    }

    /// What costs years where every asterisk is tried at every place.
    #[test]
    fn a_hostile_mask_is_only_long() {
        let mask = "*a".repeat(LIMIT / 2 - 1) + "*b";
        let text = "a".repeat(100_000);
        assert!(!matches(&mask, &text));
        assert_eq!(
            Mask::parse(&"x".repeat(LIMIT + 1), CaseMapping::Ascii),
            Err(TooLong)
        );
    }

    #[test]
    fn what_people_type_is_completed() {
        for (typed, whole) in [
            ("ada", "ada!*@*"),
            ("a@b", "*!a@b"),
            ("@b", "*!*@b"),
            ("a!b", "a!b@*"),
            ("a!b@c", "a!b@c"),
            ("example.com", "*!*@example.com"),
            ("::1", "*!*@::1"),
            ("", "*!*@*"),
        ] {
            assert_eq!(Mask::complete(typed), whole, "{typed}");
        }
    }

    proptest::proptest! {
        /// Against a matcher that is too simple to be wrong.
        #[test]
        fn as_one_would_define_it(mask in "[ab*?]{0,9}", text in "[ab]{0,9}") {
            fn simple(mask: &[u8], text: &[u8]) -> bool {
                match (mask.first(), text.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => {
                        simple(&mask[1..], text) || (!text.is_empty() && simple(mask, &text[1..]))
                    }
                    (Some(b'?'), Some(_)) => simple(&mask[1..], &text[1..]),
                    (Some(m), Some(t)) if m == t => simple(&mask[1..], &text[1..]),
                    _ => false,
                }
            }
            proptest::prop_assert_eq!(
                matches(&mask, &text),
                simple(mask.as_bytes(), text.as_bytes())
            );
        }
    }
}
