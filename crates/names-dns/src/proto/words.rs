//! Words of zone files (RFC 1035, section 5.1): an entry, its words, and where each stands.
//!
//! An entry ends with its line, unless a parenthesis is open. Here words are
//! only found; what they mean is for others, escapes included.

/// A word of an entry: a piece of its text, and where that stands.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "places are for files")
)]
pub(crate) struct Word {
    start: u32,
    end: u32,
    /// Lines below the entry's first.
    pub(crate) line: u32,
    /// Octets from the beginning of the line, from 1.
    pub(crate) column: u32,
    /// Whether it stood in quotes, which are not part of it.
    pub(crate) quoted: bool,
}

impl Word {
    /// The octets of the word, escapes as they are.
    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.end as usize]
    }
}

/// An entry that was split into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The octets that it takes, its line's end included.
    pub(crate) length: usize,
    /// The lines that it takes.
    pub(crate) lines: u32,
    /// Whether it begins with a blank, so that it has the owner of the entry before.
    pub(crate) blank: bool,
}

/// What is wrong with an entry, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WordsError {
    pub(crate) problem: Problem,
    /// Lines below the entry's first.
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("`\"` expected at the end of the text that begins here, on the same line")]
    Quote,
    #[error("a parenthesis that was not opened")]
    Close,
    #[error("`)` expected for the parenthesis that is opened here")]
    Open,
    #[error("a character expected behind `\\`")]
    Escape,
}

/// Splits the entry at the beginning of `text` into `words`. Gives nothing where more text is
/// needed, which `last` says will not come.
pub(crate) fn split(
    text: &[u8],
    last: bool,
    words: &mut Vec<Word>,
) -> Result<Option<Entry>, WordsError> {
    words.clear();
    let blank = matches!(text.first(), Some(b' ' | b'\t'));
    let (mut at, mut line, mut line_start) = (0_usize, 0_u32, 0_usize);
    // Where each open parenthesis stands.
    let mut open: Option<(u32, u32)> = None;
    let mut depth = 0_u32;
    let error = |problem, line, column| {
        Err(WordsError {
            problem,
            line,
            column,
        })
    };
    loop {
        let Some(&octet) = text.get(at) else {
            return match (last, open) {
                (false, _) => Ok(None),
                (true, Some((line, column))) => error(Problem::Open, line, column),
                (true, None) => Ok(Some(Entry {
                    length: at,
                    lines: line + 1,
                    blank,
                })),
            };
        };
        let column = narrow(at - line_start) + 1;
        match octet {
            b' ' | b'\t' | b'\r' => at += 1,
            b'\n' => {
                at += 1;
                line += 1;
                line_start = at;
                if depth == 0 {
                    return Ok(Some(Entry {
                        length: at,
                        lines: line,
                        blank,
                    }));
                }
            }
            b';' => {
                at = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
            }
            b'(' => {
                open = open.or(Some((line, column)));
                depth += 1;
                at += 1;
            }
            b')' => {
                let Some(less) = depth.checked_sub(1) else {
                    return error(Problem::Close, line, column);
                };
                depth = less;
                if depth == 0 {
                    open = None;
                }
                at += 1;
            }
            b'"' => {
                let start = at + 1;
                let Some(end) = quote_end(text, start) else {
                    return unfinished(text, start, last, line, column);
                };
                if text[end] != b'"' {
                    return error(Problem::Quote, line, column);
                }
                words.push(Word {
                    start: narrow(start),
                    end: narrow(end),
                    line,
                    column,
                    quoted: true,
                });
                at = end + 1;
            }
            _ => {
                let start = at;
                loop {
                    match text.get(at) {
                        Some(b'\\') => match text.get(at + 1) {
                            None if !last => return Ok(None),
                            None | Some(b'\n' | b'\r') => {
                                let column = narrow(at - line_start) + 1;
                                return error(Problem::Escape, line, column);
                            }
                            Some(_) => at += 2,
                        },
                        // A value of SVCB: `key="…"` is one word (RFC 9460, 2.1).
                        Some(b'"') if at > start && text[at - 1] == b'=' => {
                            let column = narrow(at - line_start) + 1;
                            let Some(end) = quote_end(text, at + 1) else {
                                return unfinished(text, at + 1, last, line, column);
                            };
                            if text[end] != b'"' {
                                return error(Problem::Quote, line, column);
                            }
                            at = end + 1;
                            break;
                        }
                        Some(&octet) if !ends_word(octet) => at += 1,
                        _ => break,
                    }
                }
                // A word may go on behind what is here.
                if at == text.len() && !last {
                    return Ok(None);
                }
                words.push(Word {
                    start: narrow(start),
                    end: narrow(at),
                    line,
                    column,
                    quoted: false,
                });
            }
        }
    }
}

/// Text that ended within quotes.
fn unfinished(
    text: &[u8],
    start: usize,
    last: bool,
    line: u32,
    column: u32,
) -> Result<Option<Entry>, WordsError> {
    debug_assert!(start <= text.len());
    if last {
        Err(WordsError {
            problem: Problem::Quote,
            line,
            column,
        })
    } else {
        Ok(None)
    }
}

/// Where the quote that ends a text stands, or the line's end that comes first.
fn quote_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' | b'\n' => return Some(at),
            b'\\' if text.get(at + 1) != Some(&b'\n') => at += 2,
            _ => at += 1,
        }
    }
}

fn ends_word(octet: u8) -> bool {
    const ENDS: [bool; 256] = {
        let mut ends = [false; 256];
        let octets = b" \t\r\n;()\"";
        let mut at = 0;
        while at < octets.len() {
            ends[octets[at] as usize] = true;
            at += 1;
        }
        ends
    };
    ENDS[usize::from(octet)]
}

/// A position in an entry, whose length the reader limits.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, bool, u32, u32)> {
        let mut words = Vec::new();
        let entry = split(text.as_bytes(), true, &mut words).unwrap().unwrap();
        assert_eq!(entry.length, text.len(), "{text:?}");
        words
            .iter()
            .map(|word| {
                let text = String::from_utf8_lossy(word.of(text.as_bytes())).into_owned();
                (text, word.quoted, word.line, word.column)
            })
            .collect()
    }

    #[test]
    fn an_entry_ends_with_its_line_or_its_parenthesis() {
        let found = all("a\tIN (1;c\r\n  \"b ; \\\" c\"k=\"v w\")x\\ y \n");
        let expected = [
            ("a", false, 0, 1),
            ("IN", false, 0, 3),
            ("1", false, 0, 7),
            ("b ; \\\" c", true, 1, 3),
            ("k=\"v w\"", false, 1, 13),
            ("x\\ y", false, 1, 21),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(w, q, l, c)| (w.as_str(), *q, *l, *c))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_closed_is_told_where_it_opens() {
        for (text, problem, line, column) in [
            ("a \"b\nc\n", Problem::Quote, 0, 3),
            ("a (\n b\n", Problem::Open, 0, 3),
            ("a )\n", Problem::Close, 0, 3),
            ("a (\n b\\\n)\n", Problem::Escape, 1, 3),
            ("a \"b\\", Problem::Quote, 0, 3),
            ("a k=\"b", Problem::Quote, 0, 5),
        ] {
            let error = split(text.as_bytes(), true, &mut Vec::new()).unwrap_err();
            assert_eq!(
                error,
                WordsError {
                    problem,
                    line,
                    column
                },
                "{text:?}"
            );
        }
    }

    #[test]
    fn text_in_pieces_is_text_at_once() {
        let text = b"a (\n \"b c\" k=\"v\" x\\ y ; z\n) 1\n";
        let mut words = Vec::new();
        for end in 0..text.len() {
            assert_eq!(split(&text[..end], false, &mut words), Ok(None), "{end}");
        }
        let entry = split(text, false, &mut words).unwrap().unwrap();
        assert_eq!((entry.length, words.len()), (text.len(), 5));
    }
}
