//! What one client does in the network, and what it is answered.

use std::collections::VecDeque;

use super::{
    channel::Channel,
    client::{Client, ClientId, Paged},
    event::{Event, Line},
    pages::Pages,
    state::State,
    work::Work,
};
use crate::proto::{capability::Capability, numeric::Numeric, tags};

/// One client's turn: a command of its own, a page of a long answer, or the outcome of its work.
///
/// The client is there until the command removes it; what does so returns at once.
pub(crate) struct Turn<'a> {
    pub(crate) net: &'a mut State,
    pub(crate) id: ClientId,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(net: &'a mut State, id: ClientId) -> Self {
        Self { net, id }
    }

    /// The client.
    pub(crate) fn me(&self) -> &Client {
        let me = self.net.client(self.id);
        me.expect("a turn ends when its client is removed")
    }

    /// The client.
    pub(crate) fn me_mut(&mut self) -> &mut Client {
        let me = self.net.client_mut(self.id);
        me.expect("a turn ends when its client is removed")
    }

    /// Whether the client is still there.
    pub(crate) fn is_here(&self) -> bool {
        self.net.client(self.id).is_some()
    }

    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.me().capabilities.has(capability)
    }

    /// Its nick, as replies have it: `*` before it has one.
    pub(crate) fn nick(&self) -> String {
        self.me().nick.to_string()
    }

    /// Answers by number, with a text at the end.
    pub(crate) fn reply(&mut self, numeric: Numeric, params: &[&str], text: &str) {
        let line = self.numeric(numeric).params(params).text(text);
        self.tell(line);
    }

    /// Answers by number, with parameters alone.
    pub(crate) fn reply_params(&mut self, numeric: Numeric, params: &[&str]) {
        let line = self.numeric(numeric).params(params);
        self.tell(line);
    }

    fn numeric(&self, numeric: Numeric) -> Line {
        let nick = self.net.client(self.id).map_or("*", |client| &client.nick);
        Line::numeric(self.net.settings.server(), numeric, nick)
    }

    /// Tells the client itself, as the server.
    pub(crate) fn tell(&mut self, line: Line) {
        let event = self.net.notice(line);
        self.net.deliver(self.id, &event);
    }

    /// A line of the server.
    pub(crate) fn by_server(&self, command: &str) -> Line {
        Line::new(self.net.settings.server(), command)
    }

    /// `FAIL`, `WARN` or `NOTE` (<https://ircv3.net/specs/extensions/standard-replies>). To a
    /// client that does not know them it is a notice.
    pub(crate) fn standard(
        &mut self,
        kind: &str,
        command: &str,
        code: &str,
        context: &[&str],
        text: &str,
    ) {
        let line = if self.has(Capability::StandardReplies) {
            self.by_server(kind)
                .param(command)
                .param(code)
                .params(context)
                .text(text)
        } else {
            let nick = self.nick();
            self.by_server("NOTICE")
                .param(&nick)
                .text(&format!("{command}: {text}"))
        };
        self.tell(line);
    }

    /// `461`: so many parameters are needed.
    pub(crate) fn needs_params(&mut self, command: &str) {
        self.reply(
            Numeric::ERR_NEEDMOREPARAMS,
            &[command],
            "Not enough parameters",
        );
    }

    /// `403`.
    pub(crate) fn no_such_channel(&mut self, name: &str) {
        self.reply(Numeric::ERR_NOSUCHCHANNEL, &[name], "No such channel");
    }

    /// `401`.
    pub(crate) fn no_such_nick(&mut self, name: &str) {
        self.reply(Numeric::ERR_NOSUCHNICK, &[name], "No such nick/channel");
    }

    /// Whether the client may know that there is such a channel.
    pub(crate) fn sees(&self, channel: u32) -> bool {
        let secret = self
            .net
            .channels
            .get(channel)
            .is_some_and(Channel::is_secret);
        !secret || self.me().membership(channel).is_some()
    }

    /// `442`; of a secret channel `403`, as if there were none.
    pub(crate) fn not_on_channel(&mut self, name: &str) {
        let channel = self.net.channel_named(name);
        if channel.is_some_and(|channel| !self.sees(channel)) {
            return self.no_such_channel(name);
        }
        self.reply(
            Numeric::ERR_NOTONCHANNEL,
            &[name],
            "You're not on that channel",
        );
    }

    /// `482`.
    pub(crate) fn not_operator(&mut self, channel: &str) {
        let text = "You're not a channel operator";
        self.reply(Numeric::ERR_CHANOPRIVSNEEDED, &[channel], text);
    }

    /// An event of the client's own: from it, now, with what its tags say of it.
    pub(crate) fn event(&self, line: Line) -> Event {
        let me = self.me();
        Event {
            account: me.account.clone(),
            bot: me.is_bot(),
            ..self.net.notice(line)
        }
    }

    /// The same with an id, so that it can be asked for later.
    pub(crate) fn named_event(&mut self, line: Line) -> Event {
        Event {
            msgid: self.net.msgid(),
            ..self.event(line)
        }
    }

    /// A line of the client's own.
    pub(crate) fn by_me(&self, command: &str) -> Line {
        Line::new(&self.me().source, command)
    }

    /// Tells all who share a channel with the client, if they have a capability.
    pub(crate) fn tell_peers(&mut self, event: &Event, capability: Option<Capability>) {
        let mut peers = self.net.peers(self.id);
        if let Some(capability) = capability {
            peers = self
                .net
                .only(&peers, |peer| peer.capabilities.has(capability));
            peers.extend(self.watchers_with(capability));
            peers.sort_unstable();
            peers.dedup();
        }
        self.net.deliver_all(&peers, event);
    }

    /// Gives a long answer: the first page now, and each further one when there is room. It comes
    /// behind another that is not yet over.
    pub(crate) fn answer(&mut self, mut pages: impl Pages + 'static) {
        if self.me().pages.is_none() && pages.page(self) {
            return;
        }
        if let Some(me) = self.net.client_mut(self.id) {
            let paged = me.pages.get_or_insert_with(|| Paged {
                pages: VecDeque::new(),
                batch: None,
            });
            paged.pages.push_back(Box::new(pages));
        }
    }

    /// Does something that takes time. Commands of the client wait for it.
    pub(crate) fn defer(&mut self, work: Work) {
        let me = self.me_mut();
        me.work.push(work);
        me.working += 1;
    }

    /// Logs the client in to an account, or out: it and its peers are told.
    #[allow(dead_code, reason = "for those who check accounts")]
    pub(crate) fn set_account(&mut self, account: Option<&str>) {
        use super::client::UserModes;
        let me = self.me_mut();
        if me.account.as_deref() == account {
            return;
        }
        me.account = account.map(Into::into);
        me.modes.set(UserModes::REGISTERED, account.is_some());
        let source = me.source.to_string();
        // Before a client is registered nobody knows it.
        if me.is_registered() {
            let event = self.event(self.by_me("ACCOUNT").param(account.unwrap_or("*")));
            self.tell_peers(&event, Some(Capability::AccountNotify));
            if self.has(Capability::AccountNotify) {
                self.net.deliver(self.id, &event);
            }
        }
        match account {
            Some(account) => self.reply(
                Numeric::RPL_LOGGEDIN,
                &[&source, account],
                &format!("You are now logged in as {account}"),
            ),
            None => self.reply(Numeric::RPL_LOGGEDOUT, &[&source], "You are now logged out"),
        }
    }

    /// Gives what was told since `start` the label of the command that asked for it
    /// (<https://ircv3.net/specs/extensions/labeled-response>).
    pub(crate) fn label(&mut self, label: &str, start: usize) {
        let Some(me) = self
            .net
            .clients
            .get_mut(self.id.index)
            .filter(|me| me.id == self.id)
        else {
            return;
        };
        let more = me.pages.is_some();
        if me.working > 0 && self.net.told.len() == start {
            // The answer is that of the work.
            me.label = Some(label.into());
            return;
        }
        let told = self.net.told.split_off(start);
        let lines = memchr::memchr_iter(b'\n', &told).count();
        let mut tag = b"label=".to_vec();
        tags::escape(label, &mut tag);
        match lines {
            0 if !more => {
                let ack = self.net.notice(self.by_server("ACK"));
                self.tell_tagged(&ack, &tag);
            }
            1 if !more => retag(&told, &tag, &mut self.net.told),
            _ if !more && is_one_batch(&told) => {
                // A batch of its own is answer enough: its beginning has the label.
                let first = memchr::memchr(b'\n', &told).map_or(told.len(), |end| end + 1);
                retag(&told[..first], &tag, &mut self.net.told);
                self.net.told.extend_from_slice(&told[first..]);
            }
            _ => {
                let batch = self.net.batch();
                let begin = self.by_server("BATCH").param(&format!("+{batch}"));
                let begin = self.net.notice(begin.param("labeled-response"));
                self.tell_tagged(&begin, &tag);
                retag(&told, &batch_tag(&batch), &mut self.net.told);
                match self
                    .net
                    .client_mut(self.id)
                    .and_then(|me| me.pages.as_mut())
                {
                    Some(paged) => paged.batch = Some(batch),
                    None => self.end_batch(&batch),
                }
            }
        }
    }

    /// The next page of a long answer.
    pub(crate) fn page(&mut self) {
        let Some(mut paged) = self.net.client_mut(self.id).and_then(|me| me.pages.take()) else {
            return;
        };
        let start = self.net.told.len();
        if let Some(pages) = paged.pages.front_mut()
            && pages.page(self)
        {
            paged.pages.pop_front();
        }
        let over = paged.pages.is_empty();
        if !self.is_here() {
            return;
        }
        if let Some(batch) = &paged.batch {
            let told = self.net.told.split_off(start);
            retag(&told, &batch_tag(batch), &mut self.net.told);
        }
        match (over, &paged.batch) {
            (false, _) => self.me_mut().pages = Some(paged),
            (true, Some(batch)) => self.end_batch(batch),
            (true, None) => {}
        }
    }

    /// Tells what was before, in a batch of a type and its parameters for who knows these.
    pub(crate) fn batch<'e>(&mut self, kind: &[&str], events: impl IntoIterator<Item = &'e Event>) {
        let class = self.me().class;
        let name = self.has(Capability::Batch).then(|| self.net.batch());
        if let Some(name) = &name {
            let begin = self.by_server("BATCH").param(&format!("+{name}"));
            self.tell(begin.params(kind));
        }
        let mut lines = Vec::new();
        for event in events {
            event.encode(class, &mut lines);
        }
        match name {
            None => self.net.told.extend_from_slice(&lines),
            Some(name) => {
                retag(&lines, &batch_tag(&name), &mut self.net.told);
                self.end_batch(&name);
            }
        }
    }

    fn end_batch(&mut self, batch: &str) {
        let end = self.by_server("BATCH").param(&format!("-{batch}"));
        self.tell(end);
    }

    fn tell_tagged(&mut self, event: &Event, tag: &[u8]) {
        let mut line = Vec::new();
        if let Some(me) = self.net.client(self.id) {
            event.encode(me.class, &mut line);
        }
        retag(&line, tag, &mut self.net.told);
    }
}

/// Whether lines are one batch, from its beginning to its end.
fn is_one_batch(lines: &[u8]) -> bool {
    let command = |line: &str| -> Option<(String, String)> {
        let message = crate::proto::message::Message::parse(line.trim_end()).ok()?;
        let name = message.param(0)?;
        Some((message.command.to_owned(), name.to_owned()))
    };
    let Ok(lines) = str::from_utf8(lines) else {
        return false;
    };
    let mut lines = lines.split_inclusive('\n');
    let (first, last) = (
        lines.next().and_then(command),
        lines.next_back().and_then(command),
    );
    match (first, last) {
        (Some((begins, first)), Some((ends, last))) => {
            let names = first.strip_prefix('+').zip(last.strip_prefix('-'));
            begins == "BATCH" && ends == "BATCH" && names.is_some_and(|(a, b)| a == b)
        }
        _ => false,
    }
}

fn batch_tag(batch: &str) -> Vec<u8> {
    format!("batch={batch}").into_bytes()
}

/// Copies lines with one more tag each. Those of a batch within stay as they are.
fn retag(lines: &[u8], tag: &[u8], out: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(b"@") {
            Some(tagged) => {
                let tags = &tagged[..memchr::memchr(b' ', tagged).unwrap_or(0)];
                let within = tags
                    .split(|byte| *byte == b';')
                    .any(|t| t.starts_with(b"batch="));
                out.push(b'@');
                if !(within && tag.starts_with(b"batch=")) {
                    out.extend_from_slice(tag);
                    out.push(b';');
                }
                out.extend_from_slice(tagged);
            }
            None => {
                out.push(b'@');
                out.extend_from_slice(tag);
                out.push(b' ');
                out.extend_from_slice(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_get_one_more_tag() {
        let mut out = Vec::new();
        retag(
            b":a X\r\n@time=t :b Y\r\n@batch=i :c Z\r\n",
            b"batch=o",
            &mut out,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "@batch=o :a X\r\n@batch=o;time=t :b Y\r\n@batch=i :c Z\r\n"
        );
    }
}
