//! Domain names in wire form (RFC 1035, section 3.1), as stores and hot paths
//! hold them.
//!
//! A name is its labels, each behind its length, up to the empty label of the
//! root: nothing is decoded, and comparing two names is comparing octets without
//! regard to case (RFC 4343). [`NameRef`] borrows, [`Name`] owns. Users of the
//! client and those who build records meet [`hickory_proto::rr::Name`];
//! conversions stand at the end of this file.
//!
//! ```
//! use ropewalk_names_dns::proto::name::Name;
//!
//! let name: Name = r"Alice\.B.Example.ORG".parse()?;
//! assert_eq!(name.label_count(), 3);
//! assert_eq!(name, r"alice\.b.example.org.".parse::<Name>()?);
//! assert!(name.is_below("org".parse::<Name>()?.as_ref()));
//! assert_eq!(name.to_string(), r"Alice\.B.Example.ORG.");
//! # Ok::<(), ropewalk_names_dns::proto::name::NameError>(())
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The most octets that a name has on the wire, the root's included (RFC 1035, 2.3.4).
pub const MAX_NAME: usize = 255;

/// The most octets of a label (RFC 1035, 2.3.4).
pub const MAX_LABEL: usize = 63;

/// The most labels that fit a name, the root's not counted.
pub const MAX_LABELS: usize = 127;

/// Why a name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// More than [`MAX_NAME`] octets.
    #[error("a name of more than 255 octets")]
    TooLong,
    /// More than [`MAX_LABEL`] octets.
    #[error("a label of more than 63 octets")]
    LabelTooLong,
    /// Nothing between two dots, or before the first.
    #[error("an empty label (two dots in a row, or one in front)")]
    EmptyLabel,
    /// A backslash with neither a character nor three digits up to 255 behind it.
    #[error("`\\` without three digits of at most 255, or one other character, behind it")]
    BadEscape,
    /// Nothing at all.
    #[error("an empty name (the root is `.`)")]
    Empty,
    /// A name without a dot at its end where no origin is known.
    #[error("a relative name, and no origin to complete it (end it with a dot)")]
    NoOrigin,
    /// The octets end within the name.
    #[error("the message ends within a name")]
    Truncated,
    /// A label's two top bits are 01 or 10 (RFC 6891, section 5: abandoned).
    #[error("a label of an unknown kind ({0:#04x})")]
    LabelKind(u8),
    /// A pointer to itself, forward, or round a loop.
    #[error("a compression pointer that does not point backwards")]
    BadPointer,
    /// A pointer where none may stand, as in the RDATA of a type after RFC 1035.
    #[error("a compression pointer where names are not compressed")]
    Compressed,
}

/// A borrowed name in wire form, never compressed.
///
/// Equality, hash and order have no regard to the case of ASCII letters; the
/// order is the canonical one of RFC 4034, section 6.1.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// The root, `.`.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// Reads a name that fills `wire`.
    ///
    /// # Errors
    ///
    /// What is no name, or has octets behind it ([`NameError::TooLong`]).
    pub fn from_wire(wire: &'a [u8]) -> Result<Self, NameError> {
        let (name, rest) = Self::split_from(wire)?;
        if rest.is_empty() {
            Ok(name)
        } else {
            Err(NameError::TooLong)
        }
    }

    /// Reads the name at the beginning of `wire`, and gives what is behind it.
    ///
    /// # Errors
    ///
    /// What is no name; a compression pointer is [`NameError::Compressed`].
    pub fn split_from(wire: &'a [u8]) -> Result<(Self, &'a [u8]), NameError> {
        let mut at = 0;
        loop {
            let length = *wire.get(at).ok_or(NameError::Truncated)?;
            match length {
                0 => {
                    let (name, rest) = wire.split_at(at + 1);
                    if name.len() > MAX_NAME {
                        return Err(NameError::TooLong);
                    }
                    return Ok((Self(name), rest));
                }
                1..=0x3F => at += 1 + usize::from(length),
                0xC0.. => return Err(NameError::Compressed),
                _ => return Err(NameError::LabelKind(length)),
            }
            if at >= MAX_NAME {
                return Err(NameError::TooLong);
            }
        }
    }

    /// What the caller knows to be a name because it was one when it was stored.
    #[cfg(feature = "server")]
    pub(crate) fn trusted(wire: &'a [u8]) -> Self {
        debug_assert!(NameRef::from_wire(wire).is_ok(), "{wire:?} is no name");
        Self(wire)
    }

    /// The octets on the wire, from the first label's length to the root's 0.
    pub fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// Whether this is the root.
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The labels, from the left, without the root's empty one.
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// How many labels there are; the root has none, and `*` counts.
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The first label, or nothing for the root.
    pub fn first_label(self) -> Option<&'a [u8]> {
        self.labels().next()
    }

    /// The name without its first label; nothing above the root.
    pub fn parent(self) -> Option<Self> {
        let length = usize::from(self.0[0]);
        (length != 0).then(|| Self(&self.0[1 + length..]))
    }

    /// The last `labels` labels of the name; the whole name if it has no more than that.
    #[must_use]
    pub fn suffix(self, labels: usize) -> Self {
        let mut name = self;
        for _ in labels..self.label_count() {
            match name.parent() {
                Some(parent) => name = parent,
                None => break,
            }
        }
        name
    }

    /// Whether the name is `above` or stands anywhere below it.
    pub fn is_at_or_below(self, above: NameRef<'_>) -> bool {
        let Some(start) = self.0.len().checked_sub(above.0.len()) else {
            return false;
        };
        if !self.0[start..].eq_ignore_ascii_case(above.0) {
            return false;
        }
        // The same octets at the end are the same name only from a label's edge on.
        let mut at = 0;
        while at < start {
            at += 1 + usize::from(self.0[at]);
        }
        at == start
    }

    /// Whether the name stands below `above`, and is not the same.
    pub fn is_below(self, above: NameRef<'_>) -> bool {
        self.0.len() > above.0.len() && self.is_at_or_below(above)
    }

    /// Whether the first label is `*` alone (RFC 4592, section 2.1.1).
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// An owned copy, with the case of the letters as it is.
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }

    /// An owned copy in lower case.
    pub fn to_lowercase(self) -> Name {
        // A label's length is at most 63 and no letter's code is below 65.
        Name(self.0.to_ascii_lowercase().into())
    }

    /// Whether both are the same octets, case included.
    pub fn eq_case(self, other: NameRef<'_>) -> bool {
        self.0 == other.0
    }

    /// Puts `prefix` in front of the name: `prefix` taken as relative to it.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`].
    pub fn prepend(self, prefix: NameRef<'_>) -> Result<Name, NameError> {
        let relative = &prefix.0[..prefix.0.len() - 1];
        if relative.len() + self.0.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Name([relative, self.0].concat().into()))
    }

    /// The wildcard of this name: `*.` in front.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`].
    pub fn wildcard(self) -> Result<Name, NameError> {
        self.prepend(NameRef(b"\x01*\0"))
    }

    /// Appends the presentation form, with a dot at the end: what [`fmt::Display`] shows.
    pub fn write_text(self, out: &mut Vec<u8>) {
        if self.is_root() {
            out.push(b'.');
            return;
        }
        for label in self.labels() {
            for &octet in label {
                write_escaped(octet, out);
            }
            out.push(b'.');
        }
    }

    /// The first labels up to `above`, in presentation form without the dot at
    /// the end, where the name is below `above`; `@` where it is the same.
    pub fn write_relative_text(self, above: NameRef<'_>, out: &mut Vec<u8>) {
        if !self.is_at_or_below(above) || above.is_root() {
            return self.write_text(out);
        }
        let start = out.len();
        let mut name = self;
        while name.0.len() > above.0.len() {
            let Some(label) = name.first_label() else {
                break;
            };
            if out.len() > start {
                out.push(b'.');
            }
            for &octet in label {
                write_escaped(octet, out);
            }
            name = Self(&name.0[1 + label.len()..]);
        }
        if out.len() == start {
            out.push(b'@');
        }
    }
}

/// Appends an octet of a label as RFC 1035, section 5.1, has it: what a reader
/// of zone files would take for something else behind a backslash, and what is
/// not printable as three digits.
fn write_escaped(octet: u8, out: &mut Vec<u8>) {
    match octet {
        b'.' | b'"' | b'(' | b')' | b';' | b'@' | b'\\' | b'$' => out.extend([b'\\', octet]),
        0x21..=0x7E => out.push(octet),
        _ => write_decimal_escape(octet, out),
    }
}

/// Appends `\DDD`.
pub(super) fn write_decimal_escape(octet: u8, out: &mut Vec<u8>) {
    out.extend([
        b'\\',
        b'0' + octet / 100,
        b'0' + octet / 10 % 10,
        b'0' + octet % 10,
    ]);
}

/// The octet that the escape at the beginning of `text` (behind its backslash)
/// stands for, and how many octets it takes.
pub(super) fn read_escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = [a, b, c]
                .iter()
                .fold(0, |sum, &digit| sum * 10 + u32::from(digit - b'0'));
            u8::try_from(value).ok().map(|octet| (octet, 3))
        }
        [b'0'..=b'9', ..] | [] => None,
        [octet, ..] => Some((*octet, 1)),
    }
}

/// The labels of a name, from the left.
#[derive(Debug, Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.0[0]);
        if length == 0 {
            return None;
        }
        let (label, rest) = self.0[1..].split_at(length);
        self.0 = rest;
        Some(label)
    }
}

impl PartialEq<NameRef<'_>> for NameRef<'_> {
    fn eq(&self, other: &NameRef<'_>) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut lower = [0; MAX_NAME];
        for (to, from) in lower.iter_mut().zip(self.0) {
            *to = from.to_ascii_lowercase();
        }
        state.write(&lower[..self.0.len()]);
    }
}

impl Ord for NameRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Where each label begins, from the left; compared from the right.
        let (mut ours, mut theirs) = ([0; MAX_LABELS], [0; MAX_LABELS]);
        let (mut our_count, mut their_count) = (
            label_starts(self.0, &mut ours),
            label_starts(other.0, &mut theirs),
        );
        while our_count > 0 && their_count > 0 {
            our_count -= 1;
            their_count -= 1;
            let order = cmp_labels(
                label_at(self.0, ours[our_count]),
                label_at(other.0, theirs[their_count]),
            );
            if order != Ordering::Equal {
                return order;
            }
        }
        our_count.cmp(&their_count)
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn label_starts(wire: &[u8], starts: &mut [u8; MAX_LABELS]) -> usize {
    let (mut at, mut count) = (0_u8, 0);
    while let Some(&length) = wire.get(usize::from(at)).filter(|&&length| length != 0) {
        starts[count] = at;
        count += 1;
        at += 1 + length;
    }
    count
}

fn label_at(wire: &[u8], start: u8) -> &[u8] {
    let start = usize::from(start);
    &wire[start + 1..=start + usize::from(wire[start])]
}

/// The order of two labels: octet by octet in lower case, the shorter first.
pub(crate) fn cmp_labels(a: &[u8], b: &[u8]) -> Ordering {
    for (x, y) in a.iter().zip(b) {
        let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.0.len() + 1);
        self.write_text(&mut text);
        // All that is not printable ASCII is escaped.
        f.pad(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An owned name in wire form; all else as [`NameRef`] has it.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        NameRef::ROOT.to_name()
    }

    /// Reads a name of a message, following compression pointers (RFC 1035,
    /// 4.1.4), and gives where it ends in the message.
    ///
    /// # Errors
    ///
    /// As [`unpack`].
    pub fn from_message(message: &[u8], at: usize) -> Result<(Self, usize), NameError> {
        let mut wire = Vec::new();
        let end = unpack(message, at, &mut wire)?;
        Ok((Self(wire.into()), end))
    }

    /// Reads a name as a zone file has it: relative to `origin` unless a dot ends it; `@` is
    /// the origin.
    ///
    /// # Errors
    ///
    /// What is no name, or is relative where there is no origin.
    pub fn from_text(text: &[u8], origin: Option<NameRef<'_>>) -> Result<Self, NameError> {
        let mut wire = Vec::new();
        write_from_text(text, origin, &mut wire)?;
        Ok(Self(wire.into()))
    }

    /// The same name, borrowed.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The octets on the wire.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.as_ref().is_root()
    }

    /// As [`NameRef::labels`].
    pub fn labels(&self) -> Labels<'_> {
        self.as_ref().labels()
    }

    /// As [`NameRef::label_count`].
    pub fn label_count(&self) -> usize {
        self.as_ref().label_count()
    }

    /// As [`NameRef::parent`].
    pub fn parent(&self) -> Option<NameRef<'_>> {
        self.as_ref().parent()
    }

    /// As [`NameRef::is_below`].
    pub fn is_below(&self, above: NameRef<'_>) -> bool {
        self.as_ref().is_below(above)
    }

    /// As [`NameRef::is_at_or_below`].
    pub fn is_at_or_below(&self, above: NameRef<'_>) -> bool {
        self.as_ref().is_at_or_below(above)
    }

    /// As [`NameRef::is_wildcard`].
    pub fn is_wildcard(&self) -> bool {
        self.as_ref().is_wildcard()
    }

    /// As [`NameRef::to_lowercase`].
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        self.as_ref().to_lowercase()
    }
}

/// Appends the name at `at` in `message` to `out`, without compression, and gives where it ends
/// in the message.
///
/// A pointer must point before the piece of name that it ends, so that none
/// can be met twice and a name of 255 octets is followed in at most 127 steps.
///
/// # Errors
///
/// [`NameError::Truncated`], [`NameError::LabelKind`], [`NameError::BadPointer`]
/// and [`NameError::TooLong`]; `out` may then hold a part of the name.
pub fn unpack(message: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, NameError> {
    let start = out.len();
    let mut end = None;
    let (mut piece, mut at) = (at, at);
    loop {
        let length = *message.get(at).ok_or(NameError::Truncated)?;
        match length {
            0 => {
                out.push(0);
                if out.len() - start > MAX_NAME {
                    return Err(NameError::TooLong);
                }
                return Ok(end.unwrap_or(at + 1));
            }
            1..=0x3F => {
                let next = at + 1 + usize::from(length);
                let label = message.get(at..next).ok_or(NameError::Truncated)?;
                if out.len() - start + label.len() >= MAX_NAME {
                    return Err(NameError::TooLong);
                }
                out.extend_from_slice(label);
                at = next;
            }
            0xC0.. => {
                let low = *message.get(at + 1).ok_or(NameError::Truncated)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3F, low]));
                if target >= piece {
                    return Err(NameError::BadPointer);
                }
                end = end.or(Some(at + 2));
                (piece, at) = (target, target);
            }
            _ => return Err(NameError::LabelKind(length)),
        }
    }
}

/// Appends a name of a zone file, as [`Name::from_text`] reads it, in wire form.
pub(crate) fn write_from_text(
    text: &[u8],
    origin: Option<NameRef<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), NameError> {
    match text {
        b"" => return Err(NameError::Empty),
        b"@" => {
            let origin = origin.ok_or(NameError::NoOrigin)?;
            out.extend_from_slice(origin.as_wire());
            return Ok(());
        }
        b"." => {
            out.push(0);
            return Ok(());
        }
        _ => {}
    }
    let start = out.len();
    // Where the length of the label in hand stands.
    let mut length_at = start;
    out.push(0);
    let mut rest = text;
    let mut absolute = false;
    while let [octet, behind @ ..] = rest {
        rest = behind;
        absolute = false;
        let octet = match octet {
            b'.' => {
                close_label(length_at, out)?;
                length_at = out.len();
                out.push(0);
                absolute = true;
                continue;
            }
            b'\\' => {
                let (octet, taken) = read_escape(rest).ok_or(NameError::BadEscape)?;
                rest = &rest[taken..];
                octet
            }
            octet => *octet,
        };
        out.push(octet);
        // Here and not only at the end, so that a hostile text is refused early.
        if out.len() - start > MAX_NAME {
            return Err(NameError::TooLong);
        }
    }
    if !absolute {
        close_label(length_at, out)?;
        let origin = origin.ok_or(NameError::NoOrigin)?;
        out.extend_from_slice(origin.as_wire());
    }
    if out.len() - start > MAX_NAME {
        return Err(NameError::TooLong);
    }
    Ok(())
}

/// Writes the length of the label that ends with `out`.
fn close_label(length_at: usize, out: &mut [u8]) -> Result<(), NameError> {
    match out.len() - length_at - 1 {
        0 => Err(NameError::EmptyLabel),
        length => {
            out[length_at] = u8::try_from(length)
                .ok()
                .filter(|&length| usize::from(length) <= MAX_LABEL)
                .ok_or(NameError::LabelTooLong)?;
            Ok(())
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads a name that is complete: the dot at its end may be left out.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text.as_bytes(), Some(NameRef::ROOT))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<NameRef<'_>> for Name {
    fn eq(&self, other: &NameRef<'_>) -> bool {
        self.as_ref() == *other
    }
}

impl PartialEq<Name> for NameRef<'_> {
    fn eq(&self, other: &Name) -> bool {
        *self == other.as_ref()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<NameRef<'_>> for Name {
    fn from(name: NameRef<'_>) -> Self {
        name.to_name()
    }
}

impl<'a> From<&'a Name> for NameRef<'a> {
    fn from(name: &'a Name) -> Self {
        name.as_ref()
    }
}

impl From<NameRef<'_>> for hickory_proto::rr::Name {
    fn from(name: NameRef<'_>) -> Self {
        Self::from_labels(name.labels()).expect("labels and length are within the same limits")
    }
}

impl From<&Name> for hickory_proto::rr::Name {
    fn from(name: &Name) -> Self {
        name.as_ref().into()
    }
}

impl From<&hickory_proto::rr::Name> for Name {
    /// The name as a complete one, also where it is not marked as such.
    fn from(name: &hickory_proto::rr::Name) -> Self {
        let mut wire = Vec::with_capacity(name.len() + 1);
        for label in name.iter() {
            let length = u8::try_from(label.len()).expect("labels are of at most 63 octets there");
            wire.push(length);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        debug_assert!(
            wire.len() <= MAX_NAME,
            "names are of at most 255 octets there"
        );
        Self(wire.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_becomes_wire_and_text_again() {
        for (text, wire, again) in [
            (".", &b"\0"[..], "."),
            ("a", b"\x01a\0", "a."),
            ("A.bc.", b"\x01A\x02bc\0", "A.bc."),
            (r"a\.b.c", b"\x03a.b\x01c\0", r"a\.b.c."),
            (
                r"\000\255\ \\.c",
                b"\x04\0\xff \\\x01c\0",
                r"\000\255\032\\.c.",
            ),
            (r"\@\$\(\;", b"\x04@$(;\0", r"\@\$\(\;."),
        ] {
            let parsed = name(text);
            assert_eq!(parsed.as_wire(), wire, "{text}");
            assert_eq!(parsed.to_string(), again);
            assert!(name(again).as_ref().eq_case(parsed.as_ref()));
        }
    }

    #[test]
    fn text_that_is_no_name_is_refused() {
        let long_label = "x".repeat(64);
        let long = vec!["x".repeat(49); 5].join(".") + ".xxxxx";
        for (text, error) in [
            ("", NameError::Empty),
            ("..", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (r"a\", NameError::BadEscape),
            (r"a\25", NameError::BadEscape),
            (r"a\256", NameError::BadEscape),
            (&long_label, NameError::LabelTooLong),
            (&long, NameError::TooLong),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
        assert_eq!(
            long[..long.len() - 3]
                .parse::<Name>()
                .unwrap()
                .as_wire()
                .len(),
            254
        );
        assert_eq!(
            long[..long.len() - 2]
                .parse::<Name>()
                .unwrap()
                .as_wire()
                .len(),
            255
        );
        assert_eq!(Name::from_text(b"a", None), Err(NameError::NoOrigin));
        assert_eq!(Name::from_text(b"@", None), Err(NameError::NoOrigin));
    }

    #[test]
    fn order_is_that_of_rfc_4034_6_1() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            r"\001.z.example",
            "*.z.example",
            r"\200.z.example",
        ]
        .map(name);
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn below_means_at_a_label_s_edge() {
        assert!(name("a.b.Example").is_below(name("b.example").as_ref()));
        assert!(!name("ab.example").is_at_or_below(name("b.example").as_ref()));
        // The octets of `\001b.example` end with those of `b.example`.
        assert!(!name(r"a\001b.example").is_at_or_below(name("b.example").as_ref()));
        assert!(name("b.example").is_at_or_below(name("B.example").as_ref()));
        assert!(!name("b.example").is_below(name("B.example").as_ref()));
        assert!(name("b.example").is_below(NameRef::ROOT));
        assert_eq!(name("a.b.c").as_ref().suffix(2), name("b.c"));
    }

    #[test]
    fn pointers_point_backwards() {
        let message = b"\x01b\x01c\0\x01a\xC0\x00\xC0\x05\xC0\x0B\x40\x80\xC0";
        let mut out = Vec::new();
        assert_eq!(unpack(message, 5, &mut out), Ok(9));
        assert_eq!(out, b"\x01a\x01b\x01c\0");
        assert_eq!(Name::from_message(message, 9), Ok((name("a.b.c"), 11)));
        for (at, error) in [
            (11, NameError::BadPointer),
            (13, NameError::LabelKind(0x40)),
            (14, NameError::LabelKind(0x80)),
            (15, NameError::Truncated),
            (16, NameError::Truncated),
        ] {
            assert_eq!(Name::from_message(message, at), Err(error), "{at}");
        }
        // Into the piece that the pointer itself ends: a loop of one label.
        assert_eq!(
            Name::from_message(b"\x01a\xC0\x00", 0),
            Err(NameError::BadPointer)
        );
        assert_eq!(
            Name::from_message(b"\0\x01a\xC0\x01", 1),
            Err(NameError::BadPointer)
        );
    }

    #[test]
    fn hickory_has_the_same_names() {
        for text in [".", "a.b", r"A\.b.\000.example"] {
            let ours = name(text);
            let theirs = hickory_proto::rr::Name::from(&ours);
            assert!(theirs.is_fqdn());
            assert!(Name::from(&theirs).as_ref().eq_case(ours.as_ref()));
        }
    }
}
