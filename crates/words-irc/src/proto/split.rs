//! Long texts in several messages, none of which the server has to cut.

use super::message::LIMIT;

/// The bytes that a text may have, if the server passes it on as
/// `:nick!user@host PRIVMSG target :text` in a line of the usual length.
pub fn room(source: &str, command: &str, target: &str) -> usize {
    LIMIT.saturating_sub(":   :\r\n".len() + source.len() + command.len() + target.len())
}

/// Splits a text into pieces of `most` bytes at most: at its line ends, then
/// between words, and within a word only where it is longer than a piece. No
/// piece is empty; characters stay whole, and so do letters with their combining
/// marks where that can be. Nothing but the space or line end at a break is left
/// out.
///
/// ```
/// use ropewalk_words_irc::proto::split;
///
/// let pieces: Vec<_> = split::pieces("one two  three\nfour", 8).collect();
/// assert_eq!(pieces, ["one two ", "three", "four"]);
/// ```
pub fn pieces(text: &str, most: usize) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n', '\0'])
        .flat_map(move |line| Pieces { line, most })
}

struct Pieces<'a> {
    line: &'a str,
    most: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let line = self.line;
        if line.is_empty() {
            return None;
        }
        if line.len() <= self.most {
            self.line = "";
            return Some(line);
        }
        // One space may stand just behind the piece.
        let within = line.floor_char_boundary(self.most);
        let reach = if line[within..].starts_with(' ') {
            within + 1
        } else {
            within
        };
        if let Some(space) = line[..reach].rfind(' ')
            && space > 0
        {
            self.line = &line[space + 1..];
            return Some(&line[..space]);
        }
        let mut end = within;
        while end > 0 && line[end..].starts_with(is_mark) {
            end = line.floor_char_boundary(end - 1);
        }
        // Marks alone, or no room for a single character: whole characters then.
        if end == 0 {
            let first = line.chars().next().map_or(0, char::len_utf8);
            end = within.max(first);
        }
        let (piece, rest) = line.split_at(end);
        self.line = rest;
        Some(piece)
    }
}

/// Combining marks, joiners and variation selectors: what belongs to the letter
/// before it.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, most: usize) -> Vec<&str> {
        pieces(text, most).collect()
    }

    #[test]
    fn between_words_where_that_can_be() {
        assert_eq!(split("one two three", 7), ["one two", "three"]);
        assert_eq!(split("one two three", 6), ["one", "two", "three"]);
        assert_eq!(split("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(split("ab cdefgh", 3), ["ab", "cde", "fgh"]);
        assert_eq!(split("", 3), [""; 0]);
        assert_eq!(split("\r\n\r\na\r\n", 3), ["a"]);
        assert_eq!(split("  a", 8), ["  a"]);
    }

    #[test]
    fn characters_stay_whole() {
        assert_eq!(split("ééé", 4), ["éé", "é"]);
        assert_eq!(split("ééé", 3), ["é", "é", "é"]);
        // Too narrow for what must stay together: it is said all the same.
        assert_eq!(split("éé", 1), ["é", "é"]);
        assert_eq!(split("aae\u{301}", 3), ["aa", "e\u{301}"]);
    }

    #[test]
    fn room_is_what_the_line_leaves() {
        let (source, text) = ("n!u@h", "x".repeat(room("n!u@h", "PRIVMSG", "#c")));
        let line = format!(":{source} PRIVMSG #c :{text}\r\n");
        assert_eq!(line.len(), LIMIT);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-cé \\n]{0,80}", most in 2_usize..20) {
            let pieces = split(&text, most);
            proptest::prop_assert!(pieces.iter().all(|p| !p.is_empty() && p.len() <= most));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(letters(&pieces.concat()), letters(&text));
        }
    }
}
