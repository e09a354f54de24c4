//! Where what happens is of interest to more than those who are told: history, monitors, records
//! of channels. Each is called once, when it has happened.

use super::{
    channel::Channel,
    client::{Client, ClientId},
    event::Event,
    state::State,
    turn::Turn,
};

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
pub(crate) fn said(state: &mut State, said: &Said<'_>) {
    state.keep_said(said);
    tracing::trace!(target = said.target, to_ranks = said.to_ranks, by = ?said.by, id = said.event.msgid, "said");
}

/// A client has registered, or has another nick.
pub(crate) fn online(state: &mut State, id: ClientId) {
    state.nick_taken(id);
    if let Some(client) = state.client(id) {
        tracing::debug!(nick = &*client.nick, address = &*client.address, "online");
    }
}

/// A registered client has gone, or gave up a nick; it is as it was before.
pub(crate) fn offline(state: &mut State, client: &Client) {
    state.nick_left(client);
    tracing::debug!(nick = &*client.nick, address = &*client.address, "offline");
}

/// The first member has come into a channel, with the rank of those who found one; whoever knows
/// better may change that.
pub(crate) fn founded(state: &mut State, channel: u32) {
    if let Some(channel) = state.channels.get(channel) {
        tracing::debug!(channel = &*channel.name, "founded");
    }
}

/// Somebody has come into a channel, and everybody there knows.
pub(crate) fn joined(turn: &mut Turn<'_>, channel: u32) {
    turn.net.grant_role(turn.id, channel);
    turn.play_back(channel);
}

/// Something was done in a channel that is worth knowing later: `TOPIC`, `MODE`,
/// `KICK`.
pub(crate) fn happened(state: &mut State, channel: u32, event: &Event) {
    state.keep_event(channel, event);
}

/// The topic, the modes or a list of a channel are others now.
pub(crate) fn changed(state: &mut State, channel: u32) {
    state.channel_changed(channel);
}

/// A channel that is not kept has lost its last member.
pub(crate) fn ended(state: &mut State, channel: &Channel) {
    state.forget_said(&channel.folded);
}

/// A client is gone, registered or not.
pub(crate) fn gone(state: &mut State, id: ClientId) {
    state.forget_client(id);
}
