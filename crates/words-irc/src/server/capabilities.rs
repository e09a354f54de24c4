//! The capabilities that the server offers, and what it says of them.

use super::{
    client::Client,
    commands::{accounts, authenticate},
    settings::Settings,
};
use crate::proto::capability::{Capability, Entry, Set};

/// What is offered, with a value where there is something to say.
pub(crate) fn offered(settings: &Settings, client: &Client) -> Vec<(Capability, Option<String>)> {
    use Capability::*;
    let mut offered = vec![
        (AccountNotify, None),
        (AccountTag, None),
        (AwayNotify, None),
        (Batch, None),
        (CapNotify, None),
        (Chghost, None),
        (EchoMessage, None),
        (ExtendedJoin, None),
        (ExtendedMonitor, None),
        (InviteNotify, None),
        (LabeledResponse, None),
        (MessageTags, None),
        (MultiPrefix, None),
        (ServerTime, None),
        (Setname, None),
        (StandardReplies, None),
        (UserhostInNames, None),
    ];
    if let Some(accounts) = &settings.options.accounts {
        if let Some(value) = accounts::capability(accounts, settings, client) {
            offered.push((AccountRegistration, Some(value).filter(|it| !it.is_empty())));
        }
        if let Some(value) = authenticate::capability(accounts, client) {
            offered.push((Sasl, Some(value)));
        }
    }
    // What is offered as a draft.
    if settings.options.history.messages > 0 {
        offered.push((Chathistory, None));
        offered.push((EventPlayback, None));
    }
    offered.sort_by_key(|(capability, _)| capability.name());
    offered
}

/// Those as a set.
pub(crate) fn set(offered: &[(Capability, Option<String>)]) -> Set {
    offered.iter().map(|(capability, _)| *capability).collect()
}

/// Those as `CAP LS` lists them: values only to who asked for version 302.
pub(crate) fn entries(
    offered: &[(Capability, Option<String>)],
    values: bool,
) -> impl Iterator<Item = Entry<'_>> {
    offered.iter().map(move |(capability, value)| Entry {
        off: false,
        name: capability.name(),
        value: value.as_deref().filter(|_| values),
    })
}
