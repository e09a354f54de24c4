//! Where what happens is of interest to more than those who are told: history, monitors, records
//! of channels. Each is called once, when it has happened.

use super::{client::Client, client::ClientId, event::Event, state::State};

/// Something was said, and delivered: `PRIVMSG`, `NOTICE` or `TAGMSG`.
pub(crate) struct Said<'a> {
    /// By whom.
    pub(crate) by: ClientId,
    /// To a channel or a nick, by the name that it has.
    pub(crate) target: &'a str,
    /// It was to those of a rank alone.
    pub(crate) to_ranks: bool,
    /// As it was told, with its id and its time.
    pub(crate) event: &'a Event,
}

/// Something was said.
pub(crate) fn said(_: &mut State, said: &Said<'_>) {
    tracing::trace!(target = said.target, to_ranks = said.to_ranks, by = ?said.by, id = said.event.msgid, "said");
}

/// A client has registered, or has another nick.
pub(crate) fn online(state: &mut State, id: ClientId) {
    if let Some(client) = state.client(id) {
        tracing::debug!(nick = &*client.nick, address = &*client.address, "online");
    }
}

/// A registered client has gone, or gave up a nick; it is as it was before.
pub(crate) fn offline(_: &mut State, client: &Client) {
    tracing::debug!(nick = &*client.nick, address = &*client.address, "offline");
}

/// The first member has come into a channel, with the rank of those who found one; whoever knows
/// better may change that.
pub(crate) fn founded(state: &mut State, channel: u32) {
    if let Some(channel) = state.channels.get(channel) {
        tracing::debug!(channel = &*channel.name, "founded");
    }
}
