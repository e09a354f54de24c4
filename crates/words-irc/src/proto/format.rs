//! Bold, colours, and none of them
//! (<https://modern.ircdocs.horse/formatting>).

use std::borrow::Cow;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Style {
    /// 0x02.
    pub bold: bool,
    /// 0x1D.
    pub italic: bool,
    /// 0x1F.
    pub underline: bool,
    /// 0x1E.
    pub strike: bool,
    /// 0x11.
    pub monospace: bool,
    /// 0x16: foreground and background change places.
    pub reverse: bool,
    /// 0x03 or 0x04.
    pub foreground: Option<Colour>,
    /// 0x03 or 0x04, behind a comma.
    pub background: Option<Colour>,
}

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One of the palette, 0 to 98.
    Palette(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// The pieces of a text, each with its looks; no piece is empty.
pub fn spans(text: &str) -> impl Iterator<Item = (Style, &str)> {
    let mut style = Style::default();
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let end = rest.find(is_control).unwrap_or(rest.len());
            let (piece, after) = rest.split_at(end);
            if !piece.is_empty() {
                rest = after;
                return Some((style, piece));
            }
            rest = apply(&mut style, after)?;
        }
    })
}

/// The text alone.
pub fn strip(text: &str) -> Cow<'_, str> {
    match text.contains(is_control) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(spans(text).map(|(_, piece)| piece).collect()),
    }
}

/// Whether a text has colours or any other looks, which a channel may refuse.
pub fn is_formatted(text: &str) -> bool {
    text.contains(is_control)
}

fn is_control(c: char) -> bool {
    matches!(
        c,
        BOLD | COLOUR | HEX_COLOUR | RESET | MONOSPACE | REVERSE | ITALIC | STRIKE | UNDERLINE
    )
}

const BOLD: char = '\u{2}';
const COLOUR: char = '\u{3}';
const HEX_COLOUR: char = '\u{4}';
const RESET: char = '\u{f}';
const MONOSPACE: char = '\u{11}';
const REVERSE: char = '\u{16}';
const ITALIC: char = '\u{1d}';
const STRIKE: char = '\u{1e}';
const UNDERLINE: char = '\u{1f}';

/// Takes one control character, with what belongs to it; none at the end.
fn apply<'a>(style: &mut Style, text: &'a str) -> Option<&'a str> {
    let mut chars = text.chars();
    let control = chars.next()?;
    let rest = chars.as_str();
    match control {
        BOLD => style.bold ^= true,
        ITALIC => style.italic ^= true,
        UNDERLINE => style.underline ^= true,
        STRIKE => style.strike ^= true,
        MONOSPACE => style.monospace ^= true,
        REVERSE => style.reverse ^= true,
        COLOUR => return Some(colours(style, rest, palette)),
        HEX_COLOUR => return Some(colours(style, rest, hex)),
        _ => *style = Style::default(),
    }
    Some(rest)
}

/// A colour and what stands behind it; a colour of none is the default one.
type Read = fn(&str) -> Option<(Option<Colour>, &str)>;

fn colours<'a>(style: &mut Style, text: &'a str, read: Read) -> &'a str {
    let Some((foreground, rest)) = read(text) else {
        // Alone it takes the colours away.
        style.foreground = None;
        style.background = None;
        return text;
    };
    style.foreground = foreground;
    // A comma with no colour behind it is text.
    match rest.strip_prefix(',').and_then(read) {
        Some((background, rest)) => {
            style.background = background;
            rest
        }
        None => rest,
    }
}

/// One or two digits; 99 is the default colour.
fn palette(text: &str) -> Option<(Option<Colour>, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let number: u8 = number.parse().ok()?;
    Some(((number < 99).then_some(Colour::Palette(number)), rest))
}

/// Six hexadecimal digits.
fn hex(text: &str) -> Option<(Option<Colour>, &str)> {
    let (digits, rest) = text.split_at_checked(6)?;
    let part = |n: usize| u8::from_str_radix(digits.get(n..n + 2)?, 16).ok();
    if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    Some((Some(Colour::Rgb(part(0)?, part(2)?, part(4)?)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_switched_on_and_off() {
        let pieces: Vec<_> = spans("a\u{2}b\u{1d}c\u{2}d\u{f}e").collect();
        let style = |bold, italic| Style {
            bold,
            italic,
            ..Style::default()
        };
        assert_eq!(
            pieces,
            [
                (style(false, false), "a"),
                (style(true, false), "b"),
                (style(true, true), "c"),
                (style(false, true), "d"),
                (style(false, false), "e"),
            ]
        );
    }

    fn colour_of(text: &str) -> (Option<Colour>, Option<Colour>, &str) {
        let (style, piece) = spans(text).last().unwrap();
        (style.foreground, style.background, piece)
    }

    #[test]
    fn colours_take_their_digits_and_no_more() {
        use Colour::{Palette, Rgb};
        assert_eq!(colour_of("\u{3}4x"), (Some(Palette(4)), None, "x"));
        assert_eq!(colour_of("\u{3}041x"), (Some(Palette(4)), None, "1x"));
        assert_eq!(
            colour_of("\u{3}4,12x"),
            (Some(Palette(4)), Some(Palette(12)), "x")
        );
        assert_eq!(colour_of("\u{3}4,x"), (Some(Palette(4)), None, ",x"));
        assert_eq!(colour_of("\u{3}4a\u{3}x"), (None, None, "x"));
        assert_eq!(colour_of("\u{3}99x"), (None, None, "x"));
        assert_eq!(colour_of("\u{3},4x"), (None, None, ",4x"));
        assert_eq!(
            colour_of("\u{4}ff0080x"),
            (Some(Rgb(255, 0, 128)), None, "x")
        );
        assert_eq!(colour_of("\u{4}ff00éx"), (None, None, "ff00éx"));
    }

    #[test]
    fn text_alone() {
        assert_eq!(strip("\u{2}bold\u{f} \u{3}4,5red\u{3}\u{1f}"), "bold red");
        assert!(matches!(strip("plain"), Cow::Borrowed("plain")));
        assert_eq!(strip("\u{2}"), "");
    }

    proptest::proptest! {
        #[test]
        fn stripped_text_has_nothing_to_strip(text in "[a-f0-9, \\x02\\x03\\x04\\x0f\\x16é]{0,40}") {
            let stripped = strip(&text).into_owned();
            proptest::prop_assert!(!is_formatted(&stripped));
        }
    }
}
