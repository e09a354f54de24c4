//! Message tags: `@time=2026-11-22T20:00:00.000Z;+draft/reply=abc`.
//!
//! <https://ircv3.net/specs/extensions/message-tags>

use std::{borrow::Cow, fmt};

/// The bytes of tags that a client may send, without the `@` and the space.
pub const CLIENT_LIMIT: usize = 4094;

/// The bytes of all tags of a line, with the `@` and the space: half for what
/// the server says, half for what the client said.
pub const LIMIT: usize = 8191;

/// The tags of a message, as they came: nothing is unescaped until it is asked
/// for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags<'a>(&'a str);

impl<'a> Tags<'a> {
    /// Of the text between `@` and the first space.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// As they came, without the `@`.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Each tag with its value; none and an empty one are the same.
    pub fn iter(self) -> impl Iterator<Item = Tag<'a>> {
        self.0
            .split(';')
            .filter(|tag| !tag.is_empty())
            .map(|tag| match tag.split_once('=') {
                Some((key, escaped)) => Tag { key, escaped },
                None => Tag {
                    key: tag,
                    escaped: "",
                },
            })
            .filter(|tag| !tag.key.is_empty())
    }

    /// The value of a tag, empty if it has none. Of several the last counts, as
    /// the specification says.
    pub fn get(self, key: &str) -> Option<Cow<'a, str>> {
        let tag = self.iter().filter(|tag| tag.key == key).last()?;
        Some(tag.value())
    }

    /// Those that clients send to each other (`+name`), for passing on.
    pub fn of_client(self) -> impl Iterator<Item = Tag<'a>> {
        self.iter().filter(|tag| tag.key.starts_with('+'))
    }
}

impl fmt::Display for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Its name, with the vendor and with `+` where a client sent it.
    pub key: &'a str,
    /// Its value as it came.
    pub escaped: &'a str,
}

impl<'a> Tag<'a> {
    /// Its value.
    pub fn value(self) -> Cow<'a, str> {
        unescape(self.escaped)
    }
}

/// Whether a text can be the name of a tag: letters, digits and hyphens, with
/// a vendor's host name before a slash, and `+` before all for a client's.
pub fn is_key(key: &str) -> bool {
    let key = key.strip_prefix('+').unwrap_or(key);
    let (vendor, name) = match key.split_once('/') {
        Some((vendor, name)) => (Some(vendor), name),
        None => (None, key),
    };
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    !name.is_empty()
        && name.bytes().all(plain)
        && vendor.is_none_or(|v| !v.is_empty() && v.bytes().all(|c| plain(c) || c == b'.'))
}

/// A value as it was before it was escaped. A backslash before anything else,
/// or at the end, is dropped.
pub fn unescape(escaped: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', escaped.as_bytes()) else {
        return Cow::Borrowed(escaped);
    };
    let mut value = String::with_capacity(escaped.len());
    value.push_str(&escaped[..first]);
    let mut rest = escaped[first..].chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(':') => value.push(';'),
                Some('s') => value.push(' '),
                Some('r') => value.push('\r'),
                Some('n') => value.push('\n'),
                Some(c) => value.push(c),
                None => {}
            },
            c => value.push(c),
        }
    }
    Cow::Owned(value)
}

/// Writes a value so that it can stand in a line. NUL, which nothing can
/// stand for, is left out.
pub fn escape(value: &str, out: &mut Vec<u8>) {
    for &byte in value.as_bytes() {
        match byte {
            b';' => out.extend_from_slice(b"\\:"),
            b' ' => out.extend_from_slice(b"\\s"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0 => {}
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(&str, String)> {
        let tags = Tags::new(text);
        tags.iter()
            .map(|t| (t.key, t.value().into_owned()))
            .collect()
    }

    fn pairs<'a>(pairs: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect()
    }

    #[test]
    fn values_are_unescaped() {
        assert_eq!(
            all(r"a=one\stwo;b=semi\:colon;c=back\\slash;d=\r\n;e"),
            pairs(&[
                ("a", "one two"),
                ("b", "semi;colon"),
                ("c", r"back\slash"),
                ("d", "\r\n"),
                ("e", ""),
            ])
        );
    }

    #[test]
    fn a_backslash_before_what_needs_none_or_at_the_end_is_dropped() {
        assert_eq!(all(r"a=\b;c=d\"), pairs(&[("a", "b"), ("c", "d")]));
    }

    #[test]
    fn empty_tags_are_none_and_the_last_of_several_counts() {
        assert_eq!(all(";;a;=x;"), pairs(&[("a", "")]));
        assert_eq!(Tags::new("a=1;b=2;a=3").get("a").as_deref(), Some("3"));
        assert!(Tags::new(";=").is_empty());
        assert_eq!(Tags::new("a=b=c").get("a").as_deref(), Some("b=c"));
    }

    #[test]
    fn keys() {
        for good in ["time", "+draft/reply", "example.com/x-1", "+a"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "+", "a/", "/a", "a_b", "a b", "++a", "a/b/c", "é"] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_comes_back(value in "[^\0]*") {
            let mut escaped = Vec::new();
            escape(&value, &mut escaped);
            let escaped = String::from_utf8(escaped).unwrap();
            proptest::prop_assert!(!escaped.contains([' ', ';', '\r', '\n']));
            proptest::prop_assert_eq!(unescape(&escaped), value);
        }
    }
}
