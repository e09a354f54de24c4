//! What `HELP` says of each command.

/// How a command is written, and what it does.
pub(super) fn of(command: &str) -> Option<(&'static str, &'static str)> {
    let found = TEXTS.iter().find(|(name, ..)| *name == command);
    found.map(|(_, usage, what)| (*usage, *what))
}

const TEXTS: &[(&str, &str, &str)] = &[
    ("ADMIN", "ADMIN [server]", "Says who runs the server."),
    (
        "AWAY",
        "AWAY [:reason]",
        "Says that you are away, or without a reason that you are back.",
    ),
    (
        "CAP",
        "CAP LS|LIST|REQ|END [...]",
        "Negotiates capabilities.",
    ),
    (
        "CHGHOST",
        "CHGHOST nick host",
        "Shows somebody at another host. For operators.",
    ),
    ("HELP", "HELP [command]", "Explains a command."),
    ("INFO", "INFO", "Says what the server is."),
    (
        "INVITE",
        "INVITE nick #channel",
        "Invites somebody; alone it lists your invitations.",
    ),
    ("ISON", "ISON nick...", "Says which of them are online."),
    (
        "JOIN",
        "JOIN #channel[,...] [key[,...]]",
        "Enters channels; JOIN 0 leaves all.",
    ),
    (
        "KICK",
        "KICK #channel nick[,...] [:reason]",
        "Throws somebody out.",
    ),
    (
        "KILL",
        "KILL nick :reason",
        "Ends somebody's connection. For operators.",
    ),
    ("LINKS", "LINKS [mask]", "Lists the servers of the network."),
    (
        "LIST",
        "LIST [#channel|mask|>n|<n|C>n|T<n][,...]",
        "Lists channels.",
    ),
    ("LUSERS", "LUSERS", "Says how many there are."),
    (
        "MODE",
        "MODE target [changes [parameter...]]",
        "Shows or changes modes.",
    ),
    ("MOTD", "MOTD", "Shows the message of the day."),
    ("NAMES", "NAMES #channel", "Lists who is in a channel."),
    ("NICK", "NICK nick", "Changes your nick."),
    (
        "NOTICE",
        "NOTICE target[,...] :text",
        "Says something that nobody answers by itself.",
    ),
    ("OPER", "OPER name password", "Makes you an operator."),
    ("PART", "PART #channel[,...] [:reason]", "Leaves channels."),
    (
        "PASS",
        "PASS password",
        "Gives the password of the server, before NICK and USER.",
    ),
    ("PING", "PING token", "Asks whether the server is there."),
    ("PONG", "PONG token", "Answers a PING."),
    (
        "PRIVMSG",
        "PRIVMSG target[,...] :text",
        "Says something in a channel, or to somebody.",
    ),
    ("QUIT", "QUIT [:reason]", "Leaves."),
    (
        "REHASH",
        "REHASH",
        "Reads the configuration again. For operators.",
    ),
    ("SETNAME", "SETNAME :name", "Changes your real name."),
    (
        "STATS",
        "STATS u|m",
        "Says for how long the server is up, or which commands were used.",
    ),
    (
        "TAGMSG",
        "@tags TAGMSG target",
        "Sends tags without a text.",
    ),
    ("TIME", "TIME", "Says what time it is."),
    (
        "TOPIC",
        "TOPIC #channel [:text]",
        "Shows or sets what a channel is about.",
    ),
    (
        "USER",
        "USER name 0 * :real name",
        "Says who you are, at the beginning.",
    ),
    ("USERHOST", "USERHOST nick...", "Says where they are."),
    ("VERSION", "VERSION", "Says which version the server is."),
    (
        "WALLOPS",
        "WALLOPS :text",
        "Tells all who want to hear operators. For operators.",
    ),
    (
        "WHO",
        "WHO mask [o][%fields[,token]]",
        "Lists users, by channel or mask.",
    ),
    ("WHOIS", "WHOIS nick", "Says who somebody is."),
    ("WHOWAS", "WHOWAS nick [count]", "Says who somebody was."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_help_on_is_a_command() {
        assert!(TEXTS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, usage, _) in TEXTS {
            assert!(
                super::super::COMMANDS.iter().any(|c| c.name == *name),
                "{name}"
            );
            assert!(usage.contains(name));
        }
    }
}
