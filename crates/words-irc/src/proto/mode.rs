//! Mode changes: `+ov-b ada bob *!*@host` (RFC 1459, section 4.2.3;
//! <https://modern.ircdocs.horse/#mode-message>).

use std::fmt::Write as _;

/// What a mode does with a parameter: the four groups of `CHANMODES`, and those
/// that members bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A list of masks; without a parameter, the list is asked for (A).
    List,
    /// A parameter both to set and to unset (B).
    Always,
    /// A parameter only to set (C).
    WhenSet,
    /// Never a parameter (D).
    Never,
    /// A member's rank; its parameter is the member (`PREFIX`).
    Rank,
}

/// Which modes there are, and of which kind.
pub trait Modes {
    /// The kind of a mode; none if there is no such mode.
    fn kind(&self, letter: char) -> Option<Kind>;
}

impl<F: Fn(char) -> Option<Kind>> Modes for F {
    fn kind(&self, letter: char) -> Option<Kind> {
        self(letter)
    }
}

/// One change of one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Set, or unset.
    pub set: bool,
    /// The mode.
    pub letter: char,
    /// Its parameter.
    pub param: Option<&'a str>,
}

/// What a letter among the changes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A change.
    Change(Change<'a>),
    /// A list, asked for.
    Query(char),
    /// A mode that there is not.
    Unknown(char),
    /// A mode that lacks its parameter.
    Missing(Change<'a>),
}

/// Reads changes: the letters, with their signs, and the parameters that stand
/// behind them. Before the first sign, modes are set. It does not say who may
/// change what, nor how many at a time.
///
/// ```
/// use ropewalk_words_irc::proto::mode::{self, Change, Item, Kind};
///
/// let modes = |letter| match letter {
///     'b' => Some(Kind::List),
///     'o' => Some(Kind::Rank),
///     'n' => Some(Kind::Never),
///     _ => None,
/// };
/// let items: Vec<_> = mode::parse(&modes, "+o-nb", &["ada"]).collect();
/// let change = |set, letter, param| Item::Change(Change { set, letter, param });
/// assert_eq!(items, [change(true, 'o', Some("ada")), change(false, 'n', None), Item::Query('b')]);
/// ```
pub fn parse<'a>(
    modes: &'a impl Modes,
    letters: &'a str,
    params: &'a [&'a str],
) -> impl Iterator<Item = Item<'a>> {
    let mut set = true;
    let mut params = params.iter().copied();
    letters.chars().filter_map(move |letter| {
        match letter {
            '+' => set = true,
            '-' => set = false,
            _ => {
                let Some(kind) = modes.kind(letter) else {
                    return Some(Item::Unknown(letter));
                };
                let wants = match kind {
                    Kind::Never => false,
                    Kind::WhenSet => set,
                    Kind::List | Kind::Always | Kind::Rank => true,
                };
                let param = wants.then(|| params.next()).flatten();
                let change = Change { set, letter, param };
                return Some(match (kind, param) {
                    (Kind::List, None) => Item::Query(letter),
                    (_, None) if wants => Item::Missing(change),
                    _ => Item::Change(change),
                });
            }
        }
        None
    })
}

/// Changes as a peer is told of them: letters with as few signs as can be, and
/// behind them their parameters. Several texts, where one would be too much.
///
/// `most` is how many changes with a parameter one text may have (`MODES`), and
/// `room` the bytes that one may take.
pub fn write<'a>(
    changes: impl IntoIterator<Item = Change<'a>>,
    most: usize,
    room: usize,
) -> Vec<String> {
    #[derive(Default)]
    struct Text {
        letters: String,
        params: String,
        count: usize,
        sign: Option<bool>,
    }
    let mut texts = Vec::new();
    let mut text = Text::default();
    for change in changes {
        let param = change.param.map_or(0, |param| param.len() + 1);
        let bytes = text.letters.len() + text.params.len() + 1 + change.letter.len_utf8() + param;
        let full = change.param.is_some() && text.count >= most.max(1);
        if !text.letters.is_empty() && (full || bytes > room) {
            let Text {
                letters, params, ..
            } = std::mem::take(&mut text);
            texts.push(letters + &params);
        }
        if text.sign != Some(change.set) {
            text.sign = Some(change.set);
            text.letters.push(if change.set { '+' } else { '-' });
        }
        text.letters.push(change.letter);
        if let Some(param) = change.param {
            // A `String` takes whatever is written to it.
            let _ = write!(text.params, " {param}");
            text.count += 1;
        }
    }
    if !text.letters.is_empty() {
        texts.push(text.letters + &text.params);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(letter: char) -> Option<Kind> {
        Some(match letter {
            'b' | 'e' => Kind::List,
            'k' => Kind::Always,
            'l' => Kind::WhenSet,
            'i' | 'm' => Kind::Never,
            'o' | 'v' => Kind::Rank,
            _ => return None,
        })
    }

    fn said(letters: &str, params: &[&str]) -> String {
        let said = parse(&kind, letters, params).map(|item| match item {
            Item::Change(Change { set, letter, param }) => {
                let sign = if set { '+' } else { '-' };
                format!("{sign}{letter}{}", param.unwrap_or_default())
            }
            Item::Query(letter) => format!("?{letter}"),
            Item::Unknown(letter) => format!("!{letter}"),
            Item::Missing(change) => format!("_{}", change.letter),
        });
        said.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn changes_take_their_parameters_in_order() {
        assert_eq!(said("+ov-o", &["a", "b", "c"]), "+oa +vb -oc");
        assert_eq!(said("bk", &["m", "key"]), "+bm +kkey");
        assert_eq!(said("+l-l", &["5", "6"]), "+l5 -l");
        assert_eq!(said("+i-m+", &["x"]), "+i -m");
        assert_eq!(said("b+e", &[]), "?b ?e");
        assert_eq!(said("+o", &[]), "_o");
        assert_eq!(said("-k", &[]), "_k");
        assert_eq!(said("xo", &["a"]), "!x +oa");
        assert_eq!(said("", &["a"]), "");
    }

    #[test]
    fn changes_are_written_with_few_signs() {
        let changes: Vec<_> = parse(&kind, "+oi-v+m", &["a", "b"])
            .filter_map(|item| match item {
                Item::Change(change) => Some(change),
                _ => None,
            })
            .collect();
        assert_eq!(write(changes.clone(), 4, 400), ["+oi-v+m a b"]);
        assert_eq!(write(changes, 1, 400), ["+oi a", "-v+m b"]);
        assert_eq!(write([], 4, 400), [""; 0]);
    }

    #[test]
    fn no_text_is_longer_than_it_may_be() {
        let masks: Vec<String> = (0..50)
            .map(|n| format!("*!*@host{n}.example.com"))
            .collect();
        let changes = masks.iter().map(|mask| Change {
            set: true,
            letter: 'b',
            param: Some(mask),
        });
        let texts = write(changes, 20, 100);
        assert!(texts.iter().all(|text| text.len() <= 100));
        let told: usize = texts.iter().map(|t| t.matches("example").count()).sum();
        assert_eq!(told, 50);
    }
}
