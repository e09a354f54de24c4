//! Replies by number: RFC 1459, section 6; RFC 2812, section 5; and those that
//! servers and IRCv3 have added since.

use std::fmt;

/// A reply's number, three digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numeric(u16);

impl Numeric {
    /// Of a number below 1000; a greater one counts by its last three digits.
    pub const fn new(code: u16) -> Self {
        Self(code % 1000)
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether it says that something was refused.
    pub const fn is_error(self) -> bool {
        matches!(self.0, 400..=599 | 723 | 734 | 902 | 904..=907 | 696)
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{self} {name}"),
            None => write!(f, "{self}"),
        }
    }
}

macro_rules! numerics {
    ($($(#[$doc:meta])* $name:ident = $code:literal),* $(,)?) => {
        impl Numeric {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The name that specifications give it.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

numerics! {
    /// `<client> :Welcome …`
    RPL_WELCOME = 1,
    /// `<client> :Your host is …`
    RPL_YOURHOST = 2,
    /// `<client> :This server was created …`
    RPL_CREATED = 3,
    /// `<client> <server> <version> <user modes> <channel modes> [<those with a parameter>]`
    RPL_MYINFO = 4,
    /// `<client> <token>… :are supported by this server`
    RPL_ISUPPORT = 5,
    /// `<client> <host> <port> :…`: connect there instead
    RPL_BOUNCE = 10,
    /// `<client> <command> … :…`
    RPL_STATSCOMMANDS = 212,
    /// `<client> <letter> :End of /STATS report`
    RPL_ENDOFSTATS = 219,
    /// `<client> <user modes>`
    RPL_UMODEIS = 221,
    /// `<client> :Server Up …`
    RPL_STATSUPTIME = 242,
    /// `<client> :There are … users …`
    RPL_LUSERCLIENT = 251,
    /// `<client> <n> :operator(s) online`
    RPL_LUSEROP = 252,
    /// `<client> <n> :unknown connection(s)`
    RPL_LUSERUNKNOWN = 253,
    /// `<client> <n> :channels formed`
    RPL_LUSERCHANNELS = 254,
    /// `<client> :I have … clients and … servers`
    RPL_LUSERME = 255,
    /// `<client> [<server>] :Administrative info`
    RPL_ADMINME = 256,
    /// `<client> :…`
    RPL_ADMINLOC1 = 257,
    /// `<client> :…`
    RPL_ADMINLOC2 = 258,
    /// `<client> :…`
    RPL_ADMINEMAIL = 259,
    /// `<client> <command> :Please wait a while and try again.`
    RPL_TRYAGAIN = 263,
    /// `<client> <n> <most> :Current local users …`
    RPL_LOCALUSERS = 265,
    /// `<client> <n> <most> :Current global users …`
    RPL_GLOBALUSERS = 266,
    /// `<client> <nick> :has client certificate fingerprint …`
    RPL_WHOISCERTFP = 276,
    /// `<client> <nick> :<text>`
    RPL_AWAY = 301,
    /// `<client> :<nick>[*]=(+|-)<user>@<host> …`
    RPL_USERHOST = 302,
    /// `<client> :<nick> …`
    RPL_ISON = 303,
    /// `<client> :You are no longer marked as being away`
    RPL_UNAWAY = 305,
    /// `<client> :You have been marked as being away`
    RPL_NOWAWAY = 306,
    /// `<client> <nick> :has identified for this nick`
    RPL_WHOISREGNICK = 307,
    /// `<client> <nick> <user> <host> * :<real name>`
    RPL_WHOISUSER = 311,
    /// `<client> <nick> <server> :<about it>`
    RPL_WHOISSERVER = 312,
    /// `<client> <nick> :is an IRC operator`
    RPL_WHOISOPERATOR = 313,
    /// `<client> <nick> <user> <host> * :<real name>`
    RPL_WHOWASUSER = 314,
    /// `<client> <mask> :End of WHO list`
    RPL_ENDOFWHO = 315,
    /// `<client> <nick> <seconds> [<signed on>] :seconds idle …`
    RPL_WHOISIDLE = 317,
    /// `<client> <nick> :End of /WHOIS list`
    RPL_ENDOFWHOIS = 318,
    /// `<client> <nick> :[prefix]<channel> …`
    RPL_WHOISCHANNELS = 319,
    /// `<client> <nick> :<anything>`
    RPL_WHOISSPECIAL = 320,
    /// `<client> Channel :Users  Name`
    RPL_LISTSTART = 321,
    /// `<client> <channel> <members> :<topic>`
    RPL_LIST = 322,
    /// `<client> :End of /LIST`
    RPL_LISTEND = 323,
    /// `<client> <channel> <modes> <parameter>…`
    RPL_CHANNELMODEIS = 324,
    /// `<client> <channel> <seconds>`
    RPL_CREATIONTIME = 329,
    /// `<client> <nick> <account> :is logged in as`
    RPL_WHOISACCOUNT = 330,
    /// `<client> <channel> :No topic is set`
    RPL_NOTOPIC = 331,
    /// `<client> <channel> :<topic>`
    RPL_TOPIC = 332,
    /// `<client> <channel> <nick> <seconds>`
    RPL_TOPICWHOTIME = 333,
    /// `<client> <nick> :is a bot`
    RPL_WHOISBOT = 335,
    /// `<client> <channel>`: one that we were invited to
    RPL_INVITELIST = 336,
    /// `<client> :End of /INVITE list`
    RPL_ENDOFINVITELIST = 337,
    /// `<client> <nick> [<user@host> <address>] :is actually …`
    RPL_WHOISACTUALLY = 338,
    /// `<client> <nick> <channel>`
    RPL_INVITING = 341,
    /// `<client> <channel> <mask> [<who> <when>]`
    RPL_INVEXLIST = 346,
    /// `<client> <channel> :End of channel invite exception list`
    RPL_ENDOFINVEXLIST = 347,
    /// `<client> <channel> <mask> [<who> <when>]`
    RPL_EXCEPTLIST = 348,
    /// `<client> <channel> :End of channel exception list`
    RPL_ENDOFEXCEPTLIST = 349,
    /// `<client> <version> <server> :<comments>`
    RPL_VERSION = 351,
    /// `<client> <channel> <user> <host> <server> <nick> <flags> :<hops> <real name>`
    RPL_WHOREPLY = 352,
    /// `<client> <symbol> <channel> :[prefix]<nick> …`
    RPL_NAMREPLY = 353,
    /// `<client> <fields>…`: WHOX
    RPL_WHOSPCRPL = 354,
    /// `<client> <server> <its link> :<hops> <about it>`
    RPL_LINKS = 364,
    /// `<client> <mask> :End of /LINKS list`
    RPL_ENDOFLINKS = 365,
    /// `<client> <channel> :End of /NAMES list`
    RPL_ENDOFNAMES = 366,
    /// `<client> <channel> <mask> [<who> <when>]`
    RPL_BANLIST = 367,
    /// `<client> <channel> :End of channel ban list`
    RPL_ENDOFBANLIST = 368,
    /// `<client> <nick> :End of WHOWAS`
    RPL_ENDOFWHOWAS = 369,
    /// `<client> :<line>`
    RPL_INFO = 371,
    /// `<client> :<line>`
    RPL_MOTD = 372,
    /// `<client> :End of INFO`
    RPL_ENDOFINFO = 374,
    /// `<client> :- <server> Message of the day -`
    RPL_MOTDSTART = 375,
    /// `<client> :End of MOTD`
    RPL_ENDOFMOTD = 376,
    /// `<client> <nick> :is connecting from …`
    RPL_WHOISHOST = 378,
    /// `<client> <nick> :is using modes …`
    RPL_WHOISMODES = 379,
    /// `<client> :You are now an IRC operator`
    RPL_YOUREOPER = 381,
    /// `<client> <file> :Rehashing`
    RPL_REHASHING = 382,
    /// `<client> <server> [<seconds> [<zone>]] :<time>`
    RPL_TIME = 391,
    /// `<client> <host> :is now your displayed host`
    RPL_VISIBLEHOST = 396,

    /// `<client> <command>… :<what failed>`
    ERR_UNKNOWNERROR = 400,
    /// `<client> <nick> :No such nick/channel`
    ERR_NOSUCHNICK = 401,
    /// `<client> <server> :No such server`
    ERR_NOSUCHSERVER = 402,
    /// `<client> <channel> :No such channel`
    ERR_NOSUCHCHANNEL = 403,
    /// `<client> <channel> :Cannot send to channel`
    ERR_CANNOTSENDTOCHAN = 404,
    /// `<client> <channel> :You have joined too many channels`
    ERR_TOOMANYCHANNELS = 405,
    /// `<client> <nick> :There was no such nickname`
    ERR_WASNOSUCHNICK = 406,
    /// `<client> <target> :Too many targets`
    ERR_TOOMANYTARGETS = 407,
    /// `<client> :No origin specified`
    ERR_NOORIGIN = 409,
    /// `<client> <subcommand> :Invalid CAP command`
    ERR_INVALIDCAPCMD = 410,
    /// `<client> :No recipient given`
    ERR_NORECIPIENT = 411,
    /// `<client> :No text to send`
    ERR_NOTEXTTOSEND = 412,
    /// `<client> :Input line was too long`
    ERR_INPUTTOOLONG = 417,
    /// `<client> <command> :Unknown command`
    ERR_UNKNOWNCOMMAND = 421,
    /// `<client> :MOTD File is missing`
    ERR_NOMOTD = 422,
    /// `<client> <server> :No administrative info available`
    ERR_NOADMININFO = 423,
    /// `<client> :No nickname given`
    ERR_NONICKNAMEGIVEN = 431,
    /// `<client> <nick> :Erroneous nickname`
    ERR_ERRONEUSNICKNAME = 432,
    /// `<client> <nick> :Nickname is already in use`
    ERR_NICKNAMEINUSE = 433,
    /// `<client> <nick> <user> <host> :Nickname collision KILL`
    ERR_NICKCOLLISION = 436,
    /// `<client> <nick or channel> :Nick/channel is temporarily unavailable`
    ERR_UNAVAILRESOURCE = 437,
    /// `<client> <nick> <channel> :They aren't on that channel`
    ERR_USERNOTINCHANNEL = 441,
    /// `<client> <channel> :You're not on that channel`
    ERR_NOTONCHANNEL = 442,
    /// `<client> <nick> <channel> :is already on channel`
    ERR_USERONCHANNEL = 443,
    /// `<client> :You have not registered`
    ERR_NOTREGISTERED = 451,
    /// `<client> <command> :Not enough parameters`
    ERR_NEEDMOREPARAMS = 461,
    /// `<client> :You may not reregister`
    ERR_ALREADYREGISTERED = 462,
    /// `<client> :Password incorrect`
    ERR_PASSWDMISMATCH = 464,
    /// `<client> :You are banned from this server`
    ERR_YOUREBANNEDCREEP = 465,
    /// `<client> <channel> :Cannot join channel (+l)`
    ERR_CHANNELISFULL = 471,
    /// `<client> <letter> :is unknown mode char to me`
    ERR_UNKNOWNMODE = 472,
    /// `<client> <channel> :Cannot join channel (+i)`
    ERR_INVITEONLYCHAN = 473,
    /// `<client> <channel> :Cannot join channel (+b)`
    ERR_BANNEDFROMCHAN = 474,
    /// `<client> <channel> :Cannot join channel (+k)`
    ERR_BADCHANNELKEY = 475,
    /// `<client> <channel> :Bad Channel Mask`
    ERR_BADCHANMASK = 476,
    /// `<client> <channel> :You need to be logged in …`
    ERR_NEEDREGGEDNICK = 477,
    /// `<client> <channel> <letter> :Channel list is full`
    ERR_BANLISTFULL = 478,
    /// `<client> :You're not an IRC operator`
    ERR_NOPRIVILEGES = 481,
    /// `<client> <channel> :You're not channel operator`
    ERR_CHANOPRIVSNEEDED = 482,
    /// `<client> :You cant kill a server!`
    ERR_CANTKILLSERVER = 483,
    /// `<client> :No O-lines for your host`
    ERR_NOOPERHOST = 491,
    /// `<client> :Unknown MODE flag`
    ERR_UMODEUNKNOWNFLAG = 501,
    /// `<client> :Cant change mode for other users`
    ERR_USERSDONTMATCH = 502,
    /// `<client> <subject> :No help available on this topic`
    ERR_HELPNOTFOUND = 524,
    /// `<client> <channel> :Key is not well-formed`
    ERR_INVALIDKEY = 525,

    /// `<client> :STARTTLS successful, proceed with TLS handshake`
    RPL_STARTTLS = 670,
    /// `<client> <nick> :is using a secure connection`
    RPL_WHOISSECURE = 671,
    /// `<client> :STARTTLS failed`
    ERR_STARTTLS = 691,
    /// `<client> <target> <letter> <parameter> :<why not>`
    ERR_INVALIDMODEPARAM = 696,
    /// `<client> <subject> :<first line>`
    RPL_HELPSTART = 704,
    /// `<client> <subject> :<line>`
    RPL_HELPTXT = 705,
    /// `<client> <subject> :<last line>`
    RPL_ENDOFHELP = 706,
    /// `<client> <privilege> :Insufficient oper privileges.`
    ERR_NOPRIVS = 723,
    /// `<client> :<nick>!<user>@<host>,…`
    RPL_MONONLINE = 730,
    /// `<client> :<nick>,…`
    RPL_MONOFFLINE = 731,
    /// `<client> :<nick>,…`
    RPL_MONLIST = 732,
    /// `<client> :End of MONITOR list`
    RPL_ENDOFMONLIST = 733,
    /// `<client> <limit> <nicks> :Monitor list is full.`
    ERR_MONLISTFULL = 734,
    /// `<client> <nick>!<user>@<host> <account> :You are now logged in as …`
    RPL_LOGGEDIN = 900,
    /// `<client> <nick>!<user>@<host> :You are now logged out`
    RPL_LOGGEDOUT = 901,
    /// `<client> :You must use a nick assigned to you`
    ERR_NICKLOCKED = 902,
    /// `<client> :SASL authentication successful`
    RPL_SASLSUCCESS = 903,
    /// `<client> :SASL authentication failed`
    ERR_SASLFAIL = 904,
    /// `<client> :SASL message too long`
    ERR_SASLTOOLONG = 905,
    /// `<client> :SASL authentication aborted`
    ERR_SASLABORTED = 906,
    /// `<client> :You have already authenticated using SASL`
    ERR_SASLALREADY = 907,
    /// `<client> <mechanisms> :are available SASL mechanisms`
    RPL_SASLMECHS = 908,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_names() {
        assert_eq!(Numeric::RPL_WELCOME.to_string(), "001");
        assert_eq!(format!("{:?}", Numeric::new(433)), "433 ERR_NICKNAMEINUSE");
        assert_eq!(format!("{:?}", Numeric::new(999)), "999");
        assert!(Numeric::ERR_SASLFAIL.is_error() && !Numeric::RPL_SASLSUCCESS.is_error());
    }
}
