//! A client on a connection of its own.

use std::time::Duration;

use ropewalk_core::{Closed, Deadline, Input, Protocol, Result, Transport};

use super::{
    link::{Link, Step},
    network::Network,
    work::Completion,
};

/// Input that is worth a pause after it: others should take what it told them before there is
/// more.
const MUCH: usize = 4096;

/// How long a page waits for one before it that has not been taken yet.
const WAIT: Duration = Duration::from_millis(20);

/// A client of a [`Network`] on its connection.
pub struct Connection {
    network: Network,
    link: Option<Link>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// For the client to register, or to say something.
    Tick,
    /// For its bucket to have room.
    Flood,
    /// For the next page of a long answer.
    Page,
}

impl Connection {
    /// One that joins the network when its connection stands.
    pub fn new(network: Network) -> Self {
        Self {
            network,
            link: None,
        }
    }

    /// Waits for what is to be waited for.
    fn follow(&self, t: &mut Transport<Self>, step: Step) {
        let Some(link) = &self.link else { return };
        match step {
            Step::More => t.resume(),
            Step::Wait(until) => {
                t.pause();
                let now = t.now();
                t.set_timer(Timer::Flood, until.saturating_duration_since(now));
            }
            Step::Page => {
                t.pause();
                t.set_timer(Timer::Page, Duration::ZERO);
            }
            Step::Work => {
                t.pause();
                for work in link.work() {
                    t.defer(work);
                }
            }
            // The outbox closes the connection once the last line has left.
            Step::Gone => t.pause(),
        }
    }

    fn tick(&self, t: &mut Transport<Self>) {
        let now = t.now();
        if let Some(link) = &self.link
            && let Some(next) = link.tick(now)
        {
            t.set_timer(Timer::Tick, next.saturating_duration_since(now));
        }
    }
}

impl Protocol for Connection {
    type Message = Completion;
    type Timer = Timer;

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let now = t.now();
        let (link, drain) = Link::open(&self.network, t.peer(), now);
        t.drain_outbox(drain);
        self.link = Some(link);
        self.tick(t);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let before = data.len();
        let step = link.receive(data, t.now());
        if before - data.len() > MUCH {
            t.give_way();
        }
        if step != Step::More {
            self.follow(t, step);
        }
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, outcome: Completion) -> Result {
        if let Some(link) = &self.link {
            let step = link.complete(outcome, t.now());
            self.follow(t, step);
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, which: Timer) -> Result {
        match which {
            Timer::Tick => self.tick(t),
            Timer::Flood => self.follow(t, Step::More),
            Timer::Page => {
                // Past the high mark `writable` comes when there is room again.
                let Some(link) = self.link.as_ref().filter(|_| t.is_writable()) else {
                    return Ok(());
                };
                if link.waits() {
                    t.set_timer(Timer::Page, WAIT);
                    return Ok(());
                }
                let step = link.page(t.now());
                self.follow(t, step);
            }
        }
        Ok(())
    }

    fn writable(&mut self, t: &mut Transport<Self>) -> Result {
        if t.is_paused() && self.link.is_some() {
            t.set_timer(Timer::Page, Duration::ZERO);
        }
        Ok(())
    }

    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        // What it was told before leaves before its outbox closes the connection.
        match self.link.take() {
            Some(link) => link.close("Connection closed"),
            None => t.close(),
        }
        Ok(())
    }

    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        if let Some(link) = &self.link {
            link.drain(t.now());
        }
        Ok(())
    }

    fn closed(&mut self, why: Closed) {
        if let Some(link) = self.link.take() {
            link.close(&reason(&why));
        }
    }
}

/// Why a connection ended, in the words of a `QUIT`.
fn reason(why: &Closed) -> String {
    match why {
        Closed::Peer | Closed::Local => "Connection closed".to_owned(),
        Closed::Aborted => "Killed by the server".to_owned(),
        Closed::Reset | Closed::Truncated => "Connection reset by peer".to_owned(),
        Closed::TimedOut(Deadline::Close) => "Write timeout".to_owned(),
        Closed::TimedOut(_) => "Connection timed out".to_owned(),
        // What failed is for the log: it may say what is nobody's business.
        _ => "Connection failed".to_owned(),
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}
