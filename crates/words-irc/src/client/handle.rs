//! What a program says and asks.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::shared::{Shared, now};
use crate::proto::{
    chathistory,
    client::{
        Answer, Channel, Event, Found, Listed, Listing, Named, Request, RequestError, RequestId,
        Say, SendError, State, User, Whois,
    },
    ctcp::Ctcp,
};

/// A way to talk over a client's connection, and to see what it knows. Cheap to
/// clone.
///
/// What is said waits while too much waits already, goes out at the client's
/// pace, and fails at once while there is no connection.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    /// Says something in a channel or to somebody, in as many messages as it
    /// takes.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn privmsg(&self, target: &str, text: impl AsRef<str>) -> Result<(), SendError> {
        self.say(Say::Privmsg, target, text.as_ref()).await
    }

    /// Says something that no program answers.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn notice(&self, target: &str, text: impl AsRef<str>) -> Result<(), SendError> {
        self.say(Say::Notice, target, text.as_ref()).await
    }

    /// Does something (`/me`).
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn action(&self, target: &str, text: impl AsRef<str>) -> Result<(), SendError> {
        self.say(Say::Action, target, text.as_ref()).await
    }

    /// Answers where something was said ([`Event::answer_to`]). An answer to a
    /// notice, and to what has no such place, is left unsaid: two programs would
    /// talk for ever.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn reply(&self, to: &Event, text: impl AsRef<str>) -> Result<(), SendError> {
        use crate::proto::client::Kind;
        match to.answer_to() {
            Some(_) if matches!(to.kind, Kind::Notice { .. } | Kind::CtcpReply { .. }) => Ok(()),
            Some(target) => self.privmsg(target, text).await,
            None => Ok(()),
        }
    }

    async fn say(&self, how: Say, target: &str, text: &str) -> Result<(), SendError> {
        self.when_room(|shared| shared.act(|session| session.say(how, target, text)))
            .await
    }

    /// Sends any command when its turn comes, and waits for no answer.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, command: &str, params: &[&str]) -> Result<(), SendError> {
        self.when_room(|shared| shared.act(|session| session.send(command, params)))
            .await
    }

    async fn when_room<T>(
        &self,
        mut act: impl FnMut(&Shared) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            // Before it is tried, so that no room is made unseen.
            room.as_mut().enable();
            match act(&self.shared) {
                Err(SendError::Busy) => room.await,
                result => return result,
            }
        }
    }

    /// Sends a request to a client, as `VERSION`; the answer is an event.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn ctcp(&self, target: &str, command: &str, text: &str) -> Result<(), SendError> {
        let text = Ctcp { command, text }.to_text();
        self.send("PRIVMSG", &[target, &text]).await
    }

    /// Leaves a channel, and does not come back after a reconnect.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn part(&self, channel: &str, reason: &str) -> Result<(), SendError> {
        self.send_with("PART", &[channel], reason).await
    }

    /// Makes somebody leave a channel.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn kick(&self, channel: &str, nick: &str, reason: &str) -> Result<(), SendError> {
        self.send_with("KICK", &[channel, nick], reason).await
    }

    async fn send_with(&self, command: &str, params: &[&str], text: &str) -> Result<(), SendError> {
        let text = Some(text).filter(|it| !it.is_empty());
        let params: Vec<_> = params.iter().copied().chain(text).collect();
        self.send(command, &params).await
    }

    /// Sets a channel's topic; an empty one takes it away.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn set_topic(&self, channel: &str, topic: &str) -> Result<(), SendError> {
        self.send("TOPIC", &[channel, topic]).await
    }

    /// Invites somebody to a channel.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn invite(&self, nick: &str, channel: &str) -> Result<(), SendError> {
        self.send("INVITE", &[nick, channel]).await
    }

    /// Changes modes: `irc.mode("#rope", "+o-v", &["ada", "bob"])`.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn mode(
        &self,
        target: &str,
        letters: &str,
        params: &[&str],
    ) -> Result<(), SendError> {
        let params: Vec<_> = [target, letters].iter().chain(params).copied().collect();
        self.send("MODE", &params).await
    }

    /// Marks the client as away; nothing said, as back again.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn away(&self, message: &str) -> Result<(), SendError> {
        self.send_with("AWAY", &[], message).await
    }

    /// Joins a channel, and stays in it after a reconnect.
    ///
    /// # Errors
    /// [`RequestError::Refused`], if the server does not let the client in.
    pub async fn join(&self, channel: &str) -> Result<(), RequestError> {
        self.enter(channel, None).await
    }

    /// Joins a channel that has a key.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_with_key(&self, channel: &str, key: &str) -> Result<(), RequestError> {
        self.enter(channel, Some(key)).await
    }

    async fn enter(&self, channel: &str, key: Option<&str>) -> Result<(), RequestError> {
        if self.with(|state| state.channel(channel).is_some()) {
            return Ok(());
        }
        let request = Request::Join(channel.to_owned(), key.map(str::to_owned));
        let answer = self.ask(request).await?;
        match self.with(|state| state.channel(channel).is_some()) {
            true => Ok(()),
            false => answer.refusal().map_or(Ok(()), Err),
        }
    }

    /// Takes another nick, which is the one to regain from now on.
    ///
    /// # Errors
    /// [`RequestError::Refused`], if it is not to be had.
    pub async fn change_nick(&self, nick: &str) -> Result<(), RequestError> {
        let answer = self.ask(Request::Nick(nick.to_owned())).await?;
        answer.refusal().map_or(Ok(()), Err)
    }

    /// Who somebody is; `None` if there is nobody of that nick.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn whois(&self, nick: &str) -> Result<Option<Whois>, RequestError> {
        let answer = self.ask(Request::Whois(nick.to_owned())).await?;
        match (Whois::read(&answer), answer.refusal()) {
            (None, Some(refusal)) if !refusal.is_nobody() => Err(refusal),
            (whois, _) => Ok(whois),
        }
    }

    /// Who is in a channel.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn names(&self, channel: &str) -> Result<Vec<Named>, RequestError> {
        let answer = self.ask(Request::Names(channel.to_owned())).await?;
        Ok(self.with(|state| Named::read(&answer, state.isupport())))
    }

    /// All channels that the server shows.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn list(&self) -> Result<Vec<Listed>, RequestError> {
        self.list_where(None).await
    }

    /// The channels that a condition holds for: a mask, or what else the
    /// server's `ELIST` has.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn list_where(&self, filter: Option<&str>) -> Result<Vec<Listed>, RequestError> {
        let answer = self.ask(Request::List(filter.map(str::to_owned))).await?;
        let listed = Listed::read(&answer);
        match listed.is_empty() {
            true => answer.refusal().map_or(Ok(listed), Err),
            false => Ok(listed),
        }
    }

    /// Who is there, by a channel or a mask.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn who(&self, mask: &str) -> Result<Vec<Found>, RequestError> {
        let answer = self.ask(Request::Who(mask.to_owned())).await?;
        Ok(Found::read(&answer))
    }

    /// The bans of a channel.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn bans(&self, channel: &str) -> Result<Vec<Listing>, RequestError> {
        self.mode_list(channel, 'b').await
    }

    /// The masks in a list of a channel, by its mode.
    ///
    /// # Errors
    /// [`RequestError`]; some lists are for operators of the channel only.
    pub async fn mode_list(
        &self,
        channel: &str,
        letter: char,
    ) -> Result<Vec<Listing>, RequestError> {
        let answer = self
            .ask(Request::ModeList(channel.to_owned(), letter))
            .await?;
        match answer.refusal() {
            Some(refusal) => Err(refusal),
            None => Ok(Listing::read(&answer, letter)),
        }
    }

    /// How long the server takes to answer.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn ping(&self) -> Result<Duration, RequestError> {
        let begun = now();
        self.ask(Request::Ping).await?;
        Ok(now() - begun)
    }

    /// What was said, as far as the server remembers: the messages of a batch.
    /// Only with `draft/chathistory` and labels.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn history(&self, request: chathistory::Request) -> Result<Vec<Event>, RequestError> {
        let answer = self.ask(Request::History(request)).await?;
        if let Some(refusal) = answer.refusal() {
            return Err(refusal);
        }
        let events = self.with(|state| {
            let read = |message| Event::read(&message, state.isupport(), state.nick());
            answer.messages().map(read).collect()
        });
        Ok(events)
    }

    /// Asks anything, where the server labels its answers.
    ///
    /// # Errors
    /// [`RequestError`]; a refusal is an answer here
    /// ([`Answer::refusal`]).
    pub async fn request(&self, command: &str, params: &[&str]) -> Result<Answer, RequestError> {
        let params = params.iter().map(|it| (*it).to_owned()).collect();
        self.ask(Request::Command(command.to_owned(), params)).await
    }

    /// Sends a request and awaits its answer. Dropped, it is not answered any
    /// more; the server has it all the same.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Answer, RequestError>> + Send {
        let shared = self.shared.clone();
        async move {
            let (waiter, answer) = oneshot::channel();
            let asked = {
                let mut inner = shared.lock();
                let id = inner.session.request(now(), request);
                if let Ok(id) = id {
                    inner.answers.insert(id, waiter);
                }
                id
            };
            let _forget = Forget {
                shared: &shared,
                id: asked?,
            };
            shared.wake.notify_one();
            answer.await.unwrap_or(Err(RequestError::NotConnected))
        }
    }

    /// Says goodbye, and does not come back. The events go on up to the end.
    pub fn quit(&self, reason: &str) {
        self.shared.act(|session| session.quit(now(), reason));
        self.shared.stop.cancel();
    }

    /// Looks at what the client knows. Nothing comes in meanwhile, so it should
    /// not take long.
    ///
    /// ```no_run
    /// # fn f(irc: &ropewalk_words_irc::client::Handle) {
    /// let is_operator = irc.with(|state| state.has_rank("#rope", "ada", 'o'));
    /// # }
    /// ```
    pub fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(self.shared.lock().session.state())
    }

    /// The client's nick.
    pub fn nick(&self) -> String {
        self.with(|state| state.nick().to_owned())
    }

    /// Whether there is a connection, and the server has taken the client in.
    pub fn is_online(&self) -> bool {
        self.shared.lock().session.is_online()
    }

    /// What is known of a channel that the client is in: a copy.
    pub fn channel(&self, name: &str) -> Option<Channel> {
        self.with(|state| state.channel(name).cloned())
    }

    /// What is known of somebody in a channel with the client: a copy.
    pub fn user(&self, nick: &str) -> Option<User> {
        self.with(|state| state.user(nick).cloned())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A request for whose answer nobody may wait any more.
struct Forget<'a> {
    shared: &'a Shared,
    id: RequestId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.answers.remove(&self.id);
        inner.session.forget(self.id);
    }
}
