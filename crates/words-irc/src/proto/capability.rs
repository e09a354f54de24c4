//! What both sides can do: `CAP LS 302`, `CAP REQ :a -b`
//! (<https://ircv3.net/specs/extensions/capability-negotiation>).

/// The version of the negotiation that has values, several lines and
/// `cap-notify`.
pub const VERSION: u32 = 302;

/// A capability as a server lists it, or a client requests it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Requested to be switched off, with a `-` in front.
    pub off: bool,
    /// Its name, with the vendor where it has one.
    pub name: &'a str,
    /// Behind the `=`, where a server says more.
    pub value: Option<&'a str>,
}

/// The capabilities in the last parameter of a `CAP`.
pub fn parse(list: &str) -> impl Iterator<Item = Entry<'_>> {
    list.split(' ').filter_map(|entry| {
        let (off, entry) = match entry.strip_prefix('-') {
            Some(entry) => (true, entry),
            None => (false, entry),
        };
        let (name, value) = match entry.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (entry, None),
        };
        (!name.is_empty()).then_some(Entry { off, name, value })
    })
}

/// The same capabilities in as few lists as can be, each of `room` bytes at
/// most. One that is longer has a list of its own.
pub fn lists<'a>(entries: impl IntoIterator<Item = Entry<'a>>, room: usize) -> Vec<String> {
    let mut lists = vec![String::new()];
    for Entry { off, name, value } in entries {
        let bytes = 1 + usize::from(off) + name.len() + value.map_or(0, |v| v.len() + 1);
        if lists
            .last()
            .is_some_and(|list| !list.is_empty() && list.len() + bytes > room)
        {
            lists.push(String::new());
        }
        let Some(list) = lists.last_mut() else {
            continue;
        };
        if !list.is_empty() {
            list.push(' ');
        }
        if off {
            list.push('-');
        }
        list.push_str(name);
        if let Some(value) = value {
            list.push('=');
            list.push_str(value);
        }
    }
    lists
}

macro_rules! capabilities {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// The capabilities that this crate knows, each by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Capability {
            $($(#[$doc])* $variant,)*
        }

        impl Capability {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in `CAP`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// By its name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

capabilities! {
    /// `ACCOUNT`, when somebody logs in or out.
    AccountNotify = "account-notify",
    /// `REGISTER` and `VERIFY`.
    AccountRegistration = "draft/account-registration",
    /// `@account=` on what others say.
    AccountTag = "account-tag",
    /// `AWAY`, when somebody goes or comes back.
    AwayNotify = "away-notify",
    /// `BATCH`.
    Batch = "batch",
    /// `CAP NEW` and `CAP DEL`.
    CapNotify = "cap-notify",
    /// `CHATHISTORY`.
    Chathistory = "draft/chathistory",
    /// `CHGHOST`, when a user name or host changes.
    Chghost = "chghost",
    /// What was not said, but happened, in `CHATHISTORY`.
    EventPlayback = "draft/event-playback",
    /// What one says comes back.
    EchoMessage = "echo-message",
    /// `JOIN` with account and real name.
    ExtendedJoin = "extended-join",
    /// What happens to those on a `MONITOR` list, without sharing a channel.
    ExtendedMonitor = "extended-monitor",
    /// `INVITE` of others.
    InviteNotify = "invite-notify",
    /// `@label=` on requests and their answers.
    LabeledResponse = "labeled-response",
    /// Tags of clients and servers.
    MessageTags = "message-tags",
    /// All ranks of a member in `NAMES` and `WHO`.
    MultiPrefix = "multi-prefix",
    /// `AUTHENTICATE`.
    Sasl = "sasl",
    /// `@time=`.
    ServerTime = "server-time",
    /// `SETNAME`.
    Setname = "setname",
    /// `FAIL`, `WARN` and `NOTE`.
    StandardReplies = "standard-replies",
    /// `nick!user@host` in `NAMES`.
    UserhostInNames = "userhost-in-names",
}

impl Capability {
    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

const _: () = assert!(Capability::ALL.len() <= 64, "a set is 64 bits");

/// Some capabilities, in a number: cheap to compare, so that a message is
/// written once for all who have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(u64);

impl Set {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether it has one.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// Without one.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !capability.bit())
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .iter()
            .copied()
            .filter(move |c| self.has(*c))
    }
}

impl FromIterator<Capability> for Set {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        let list = "sasl=PLAIN,EXTERNAL -batch  draft/chathistory=";
        let entries: Vec<_> = parse(list).collect();
        let entry = |off, name, value| Entry { off, name, value };
        assert_eq!(
            entries,
            [
                entry(false, "sasl", Some("PLAIN,EXTERNAL")),
                entry(true, "batch", None),
                entry(false, "draft/chathistory", Some("")),
            ]
        );
        let text = "sasl=PLAIN,EXTERNAL -batch draft/chathistory=";
        assert_eq!(lists(entries.clone(), 400), [text]);
        assert_eq!(
            lists(entries, 26),
            ["sasl=PLAIN,EXTERNAL -batch", "draft/chathistory="]
        );
        assert_eq!(lists([], 10), [""]);
        assert_eq!(parse("- = -=x").count(), 0);
    }

    #[test]
    fn names_and_sets() {
        for &capability in Capability::ALL {
            assert_eq!(Capability::named(capability.name()), Some(capability));
        }
        let set: Set = [Capability::Batch, Capability::Sasl].into_iter().collect();
        assert!(set.has(Capability::Sasl) && !set.has(Capability::Setname));
        assert_eq!(set.iter().count(), 2);
        assert_eq!(
            set.without(Capability::Sasl).iter().next(),
            Some(Capability::Batch)
        );
        assert_eq!(set.and(Set::NONE), Set::NONE);
    }
}
