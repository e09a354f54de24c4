//! What a server says of itself: `005 … CHANTYPES=# NICKLEN=30 …`
//! (<https://modern.ircdocs.horse/#rplisupport-005>).

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    casemap::CaseMapping,
    mode::{Kind, Modes},
};

/// The tokens of a server at most: several times what any server sends.
pub const LIMIT: usize = 256;

/// What a server supports, as it has said so far; what it has not is as the
/// specification has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isupport {
    tokens: BTreeMap<Box<str>, Box<str>>,
}

impl Isupport {
    /// Takes the tokens of one reply: its parameters without the client's nick
    /// in front and the text at the end. `-NAME` takes one back.
    ///
    /// Tokens beyond [`LIMIT`] are ignored.
    pub fn update<'a>(&mut self, tokens: impl IntoIterator<Item = &'a str>) {
        for token in tokens {
            if let Some(name) = token.strip_prefix('-') {
                self.tokens.remove(name);
                continue;
            }
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            let known = self.tokens.contains_key(name);
            if !name.is_empty() && (known || self.tokens.len() < LIMIT) {
                let value = unescape(value);
                self.tokens.insert(name.into(), value.as_ref().into());
            }
        }
    }

    /// The value of a token, empty where it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.tokens.get(name).map(|value| &**value)
    }

    /// All tokens, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tokens.iter().map(|(name, value)| (&**name, &**value))
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }

    fn or_default(&self, name: &str, default: &'static str) -> &str {
        self.get(name).unwrap_or(default)
    }

    /// How names are compared. Default rfc1459.
    pub fn case_mapping(&self) -> CaseMapping {
        self.get("CASEMAPPING")
            .and_then(CaseMapping::named)
            .unwrap_or_default()
    }

    /// What names of channels begin with. Default `#` and `&`.
    pub fn channel_types(&self) -> &str {
        self.or_default("CHANTYPES", "#&")
    }

    /// Whether a name is that of a channel.
    pub fn is_channel(&self, name: &str) -> bool {
        name.starts_with(|c| self.channel_types().contains(c))
    }

    /// The ranks of members, the highest first: the mode and the sign in front
    /// of a nick. Default `(ov)@+`.
    pub fn ranks(&self) -> impl DoubleEndedIterator<Item = (char, char)> {
        let value = self.or_default("PREFIX", "(ov)@+");
        let (letters, signs) = value
            .strip_prefix('(')
            .and_then(|value| value.split_once(')'))
            .unwrap_or(("", ""));
        let ranks: Vec<_> = letters.chars().zip(signs.chars()).collect();
        ranks.into_iter()
    }

    /// A nick as in `NAMES`, without its signs, and the modes these mean.
    pub fn member<'a>(&self, signed: &'a str) -> (&'a str, Vec<char>) {
        let ranks: Vec<_> = self.ranks().collect();
        let mode = |sign| ranks.iter().find(|rank| rank.1 == sign).map(|rank| rank.0);
        let nick = signed.trim_start_matches(|c| mode(c).is_some());
        let signs = &signed[..signed.len() - nick.len()];
        (nick, signs.chars().filter_map(mode).collect())
    }

    /// The rank signs that may stand before a channel, to reach only those of
    /// that rank. Default none.
    pub fn status_message(&self) -> &str {
        self.or_default("STATUSMSG", "")
    }

    /// The bytes of a nick at most. Default 9 (RFC 1459, section 1.2).
    pub fn nick_length(&self) -> usize {
        self.number("NICKLEN").unwrap_or(9)
    }

    /// The bytes of a channel's name at most. Default 200.
    pub fn channel_length(&self) -> usize {
        self.number("CHANNELLEN").unwrap_or(200)
    }

    /// The bytes of a topic at most, where there is a limit.
    pub fn topic_length(&self) -> Option<usize> {
        self.number("TOPICLEN")
    }

    /// The bytes of a line without its tags, CR LF included. Default 512.
    pub fn line_length(&self) -> usize {
        self.number("LINELEN").unwrap_or(super::message::LIMIT)
    }

    /// The changes with a parameter in one `MODE`. Default 3; without a value
    /// there is no limit.
    pub fn modes(&self) -> usize {
        match self.get("MODES") {
            None => 3,
            Some(value) => value.parse().unwrap_or(usize::MAX),
        }
    }

    /// How many targets a command may have; `None` where that is not limited.
    /// Default 1.
    pub fn targets(&self, command: &str) -> Option<usize> {
        let Some(list) = self.get("TARGMAX") else {
            return Some(1);
        };
        let of = |entry: &str| -> Option<(bool, Option<usize>)> {
            let (name, most) = entry.split_once(':')?;
            Some((name.eq_ignore_ascii_case(command), most.parse().ok()))
        };
        match list.split(',').filter_map(of).find(|(same, _)| *same) {
            Some((_, most)) => most,
            None => Some(1),
        }
    }

    /// The channels of these types that one may be in, where that is limited.
    pub fn channel_limit(&self, channel: &str) -> Option<usize> {
        let first = channel.chars().next()?;
        self.get("CHANLIMIT")?.split(',').find_map(|entry| {
            let (types, most) = entry.split_once(':')?;
            types.contains(first).then(|| most.parse().ok())?
        })
    }

    /// What the network calls itself.
    pub fn network(&self) -> Option<&str> {
        self.get("NETWORK")
    }
}

/// Of `CHANMODES` and `PREFIX`. Default `CHANMODES` as RFC 2811 has it.
impl Modes for Isupport {
    fn kind(&self, letter: char) -> Option<Kind> {
        if self.ranks().any(|rank| rank.0 == letter) {
            return Some(Kind::Rank);
        }
        let groups = self.or_default("CHANMODES", "beI,k,l,imnpst");
        [Kind::List, Kind::Always, Kind::WhenSet, Kind::Never]
            .into_iter()
            .zip(groups.split(','))
            .find_map(|(kind, letters)| letters.contains(letter).then_some(kind))
    }
}

/// `\x20` and its like; anything else is as it is.
fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains("\\x") {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// A value as it may stand in a token: spaces, backslashes and `=` escaped.
pub fn escape(value: &str) -> Cow<'_, str> {
    let needs = [' ', '\\', '='];
    match value.contains(needs) {
        false => Cow::Borrowed(value),
        true => Cow::Owned(
            value
                .replace('\\', "\\x5C")
                .replace(' ', "\\x20")
                .replace('=', "\\x3D"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokens: &str) -> Isupport {
        let mut isupport = Isupport::default();
        isupport.update(tokens.split(' '));
        isupport
    }

    #[test]
    fn a_server_that_says_nothing_is_an_old_one() {
        let none = Isupport::default();
        assert_eq!(none.case_mapping(), CaseMapping::Rfc1459);
        assert!(none.is_channel("&x") && none.is_channel("#x") && !none.is_channel("x"));
        assert!(!none.is_channel(""));
        assert_eq!(none.ranks().collect::<Vec<_>>(), [('o', '@'), ('v', '+')]);
        assert_eq!((none.nick_length(), none.modes()), (9, 3));
        assert_eq!(none.kind('b'), Some(Kind::List));
        assert_eq!(none.targets("PRIVMSG"), Some(1));
    }

    #[test]
    fn tokens_are_taken_and_taken_back() {
        let mut some = of("NICKLEN=30 CASEMAPPING=ascii NETWORK=Two\\x20words MODES= X");
        assert_eq!(some.nick_length(), 30);
        assert_eq!(some.case_mapping(), CaseMapping::Ascii);
        assert_eq!(some.network(), Some("Two words"));
        assert_eq!(some.modes(), usize::MAX);
        assert_eq!(some.get("X"), Some(""));
        some.update(["-NICKLEN", "-NONE", "", "=x"]);
        assert_eq!(some.nick_length(), 9);
        assert_eq!(some.iter().count(), 4);
    }

    #[test]
    fn modes_are_of_their_kinds() {
        let some = of("PREFIX=(qaohv)~&@%+ CHANMODES=beI,k,l,imnstC,extra");
        for (letter, kind) in [
            ('q', Some(Kind::Rank)),
            ('I', Some(Kind::List)),
            ('k', Some(Kind::Always)),
            ('l', Some(Kind::WhenSet)),
            ('C', Some(Kind::Never)),
            ('x', None),
            (',', None),
        ] {
            assert_eq!(some.kind(letter), kind, "{letter}");
        }
        assert_eq!(some.member("~@ada"), ("ada", vec!['q', 'o']));
        assert_eq!(some.member("ada"), ("ada", vec![]));
        assert_eq!(of("PREFIX=").member("@ada"), ("@ada", vec![]));
    }

    #[test]
    fn limits_have_their_names() {
        let some = of("TARGMAX=PRIVMSG:4,JOIN:,KICK:1 CHANLIMIT=#&:50,+:5");
        assert_eq!(some.targets("privmsg"), Some(4));
        assert_eq!(some.targets("JOIN"), None);
        assert_eq!(some.targets("WHOIS"), Some(1));
        assert_eq!(some.channel_limit("#a"), Some(50));
        assert_eq!(some.channel_limit("+a"), Some(5));
        assert_eq!(some.channel_limit("!a"), None);
    }

    #[test]
    fn a_hostile_server_fills_nothing() {
        let mut isupport = Isupport::default();
        for n in 0..10 * LIMIT {
            isupport.update([format!("T{n}=x").as_str()]);
        }
        assert_eq!(isupport.iter().count(), LIMIT);
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_comes_back(value in "[a-z =\\\\x0-9é]{0,20}") {
            let escaped = escape(&value);
            proptest::prop_assert!(!escaped.contains(' '));
            proptest::prop_assert_eq!(unescape(&escaped), &*value);
        }
    }
}
