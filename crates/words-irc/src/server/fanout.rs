//! Messages to channels, many at a time.
//!
//! Whoever sends much to one channel does so in one piece: its lines come in one read. So what
//! they say there is gathered, written once for each class of its members, and put into the
//! outboxes of the members as one shared piece when something else happens: a line costs each
//! receiver a share of one push. The order in which anybody sees things stays that in which they
//! happened, since everything else that is told to another than the sender ends the run first.

use bytes::Bytes;
use ropewalk_core::PushError;

use super::{
    client::ClientId,
    event::{Class, Event},
    state::State,
};

/// Bytes after which a run is handed out though it may go on: pieces stay small enough that an
/// outbox is filled by what is said, and not by one piece.
const MOST: usize = 32 * 1024;

/// What one client has said in one channel, and nothing has come between.
pub(super) struct Run {
    channel: u32,
    pub(super) sender: ClientId,
    classes: [Vec<u8>; Class::COUNT],
}

impl State {
    /// Tells the members of a channel, but for the sender.
    pub(crate) fn say(&mut self, channel: u32, sender: ClientId, event: &Event) {
        let goes_on = |run: &Run| run.channel == channel && run.sender == sender;
        if !self.run.as_ref().is_some_and(goes_on) {
            self.flush_run();
        }
        let run = self.run.get_or_insert(Run {
            channel,
            sender,
            classes: [const { Vec::new() }; Class::COUNT],
        });
        let Some(channel) = self.channels.get(channel) else {
            return;
        };
        let mut longest = 0;
        for class in Class::all() {
            if channel.classes[class.index()] > 0 {
                let out = &mut run.classes[class.index()];
                event.encode(class, out);
                longest = longest.max(out.len());
            }
        }
        if longest > MOST {
            self.flush_run();
        }
    }

    /// Hands out what was gathered.
    pub(crate) fn flush_run(&mut self) {
        if self.run.is_some() {
            self.hand_out();
        }
    }

    fn hand_out(&mut self) {
        let Some(run) = self.run.take() else { return };
        let pieces = run.classes.map(Bytes::from);
        let Some(channel) = self.channels.get(run.channel) else {
            return;
        };
        let mut full = Vec::new();
        for member in &channel.members {
            if member.client == run.sender {
                continue;
            }
            let Some(client) = self.clients.get_mut(member.client.index) else {
                continue;
            };
            let piece = &pieces[client.class.index()];
            if let Err(PushError::Full(_)) = client.outbox.push(piece.clone()) {
                full.push(member.client);
            }
        }
        for id in full {
            self.overflow(id);
        }
    }
}
