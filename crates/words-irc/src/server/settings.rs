//! Options in the shape in which they are used: masks parsed, tokens of `ISUPPORT` written.

use std::sync::Arc;

use super::{
    channel::{Ranks, chanmodes},
    options::{NetworkOptions, Oper},
};
use crate::proto::{
    casemap::{CaseMapping, Folded},
    isupport,
    mask::Mask,
};

/// What the network runs by.
pub(crate) struct Settings {
    pub(crate) options: NetworkOptions,
    pub(crate) opers: Vec<Arc<Oper>>,
    pub(crate) bans: Vec<(Mask, String)>,
    /// The tokens of `ISUPPORT`.
    pub(crate) tokens: Vec<String>,
}

impl Settings {
    pub(crate) fn new(options: NetworkOptions) -> Self {
        let mapping = options.case_mapping;
        let bans = options.bans.iter().filter_map(|ban| {
            let mask = Mask::parse(&Mask::complete(&ban.mask), mapping);
            if mask.is_err() {
                tracing::warn!(mask = ban.mask, "a ban is too long, and bans nobody");
            }
            Some((mask.ok()?, ban.reason.clone()))
        });
        Self {
            opers: options.opers.iter().cloned().map(Arc::new).collect(),
            bans: bans.collect(),
            tokens: tokens(&options),
            options,
        }
    }

    pub(crate) fn mapping(&self) -> CaseMapping {
        self.options.case_mapping
    }

    pub(crate) fn fold(&self, name: &str) -> Folded {
        self.mapping().fold(name)
    }

    /// Whether a text can be a nick here.
    pub(crate) fn is_nick(&self, text: &str) -> bool {
        text.len() <= self.options.limits.nick && super::commands::registration::is_nick(text)
    }

    pub(crate) fn server(&self) -> &str {
        &self.options.server
    }
}

/// What is enforced, said as `ISUPPORT` says it. One line a token.
fn tokens(options: &NetworkOptions) -> Vec<String> {
    let limits = &options.limits;
    let (letters, signs): (String, String) = Ranks::ALL
        .iter()
        .map(|(letter, sign, _)| (*letter, *sign))
        .unzip();
    let targets = limits.targets;
    let mut tokens = vec![
        format!("AWAYLEN={}", limits.away),
        "BOT=B".to_owned(),
        format!("CASEMAPPING={}", options.case_mapping.name()),
        format!("CHANLIMIT=#:{}", limits.channels),
        format!("CHANMODES={}", chanmodes()),
        format!("CHANNELLEN={}", limits.channel),
        "CHANTYPES=#".to_owned(),
        "ELIST=CMNTU".to_owned(),
        "EXCEPTS=e".to_owned(),
        "ACCOUNTEXTBAN=a".to_owned(),
        "EXTBAN=~,a".to_owned(),
        "INVEX=I".to_owned(),
        format!("KEYLEN={}", limits.key),
        format!("KICKLEN={}", limits.kick),
        format!("MAXLIST=beI:{}", limits.list),
        format!("MODES={}", limits.modes),
        format!("MONITOR={}", limits.monitor),
        format!("NAMELEN={}", limits.real_name),
        format!("NETWORK={}", isupport::escape(&options.network)),
        format!("NICKLEN={}", limits.nick),
        format!("PREFIX=({letters}){signs}"),
        "SAFELIST".to_owned(),
        format!("STATUSMSG={signs}"),
        format!(
            "TARGMAX=NAMES:1,LIST:{targets},KICK:{targets},WHOIS:1,PRIVMSG:{targets},NOTICE:{targets},\
             TAGMSG:{targets},JOIN:{joins},PART:{joins}",
            joins = limits.joins
        ),
        format!("TOPICLEN={}", limits.topic),
        format!("USERLEN={}", limits.user),
        "WHOX".to_owned(),
    ];
    if options.history.messages > 0 {
        tokens.push(format!("CHATHISTORY={}", options.history.most_at_once));
        tokens.push("MSGREFTYPES=msgid,timestamp".to_owned());
    }
    if options.utf8_only {
        tokens.push("UTF8ONLY".to_owned());
    }
    tokens.sort();
    tokens
}
