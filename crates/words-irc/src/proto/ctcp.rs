//! Requests inside messages: `\x01ACTION waves\x01`
//! (<https://modern.ircdocs.horse/ctcp>).

/// What a `PRIVMSG` asks of the receiving client, or a `NOTICE` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ctcp<'a> {
    /// `ACTION`, `VERSION`, `PING` and the like, in whatever case it came.
    pub command: &'a str,
    /// What stands behind it, perhaps nothing.
    pub text: &'a str,
}

impl<'a> Ctcp<'a> {
    /// Reads the text of a message; none if it is an ordinary one. The second
    /// 0x01 may be missing, since servers cut what is too long.
    pub fn parse(text: &'a str) -> Option<Self> {
        let inside = text.strip_prefix(DELIMITER)?;
        let inside = inside.strip_suffix(DELIMITER).unwrap_or(inside);
        let (command, text) = inside.split_once(' ').unwrap_or((inside, ""));
        (!command.is_empty()).then_some(Self { command, text })
    }

    /// The text of a message that says so. What would end it early, or a line,
    /// is left out.
    pub fn to_text(self) -> String {
        let clean = |text: &str| text.replace([DELIMITER, '\0', '\r', '\n'], "");
        let (command, text) = (clean(self.command), clean(self.text));
        match text.is_empty() {
            true => format!("{DELIMITER}{command}{DELIMITER}"),
            false => format!("{DELIMITER}{command} {text}{DELIMITER}"),
        }
    }

    /// `/me`: something that somebody does.
    pub fn action(text: &'a str) -> Self {
        Self {
            command: "ACTION",
            text,
        }
    }

    /// Whether this is its command, in whatever case.
    pub fn is(&self, command: &str) -> bool {
        self.command.eq_ignore_ascii_case(command)
    }
}

const DELIMITER: char = '\u{1}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_texts() {
        let ctcp = |command, text| Some(Ctcp { command, text });
        assert_eq!(
            Ctcp::parse("\u{1}ACTION waves\u{1}"),
            ctcp("ACTION", "waves")
        );
        assert_eq!(Ctcp::parse("\u{1}VERSION\u{1}"), ctcp("VERSION", ""));
        assert_eq!(Ctcp::parse("\u{1}PING 1 2"), ctcp("PING", "1 2"));
        for text in [
            "hello",
            "",
            "\u{1}",
            "\u{1}\u{1}",
            "\u{1} x\u{1}",
            "x\u{1}A\u{1}",
        ] {
            assert_eq!(Ctcp::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_one() {
        assert_eq!(
            Ctcp::action("a\u{1}b\r\nQUIT").to_text(),
            "\u{1}ACTION abQUIT\u{1}"
        );
        let request = Ctcp::parse("\u{1}PING 12\u{1}").unwrap();
        assert_eq!(request.to_text(), "\u{1}PING 12\u{1}");
    }
}
