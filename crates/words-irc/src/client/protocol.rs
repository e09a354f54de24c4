//! The session on a connection.

use std::{sync::Arc, time::Duration};

use ropewalk_core::{Address, Input, Protocol, Result, Transport, wall_clock};
use ropewalk_cred::sasl;
use tokio::sync::oneshot;

use super::shared::Shared;
use crate::proto::client::{Ended, Link};

/// Drives the session with what comes over one connection.
pub(super) struct Irc {
    pub(super) shared: Arc<Shared>,
    /// Told once the server has taken the client in.
    pub(super) welcome: Option<oneshot::Sender<()>>,
    pub(super) can_upgrade: bool,
}

pub(super) struct Wake;

impl Protocol for Irc {
    type Message = Wake;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let link = self.link(t);
        let now = t.now();
        self.shared
            .lock()
            .session
            .connected(now, wall_clock(), link);
        self.wait(t);
        self.turn(t);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let now = t.now();
        let mut inner = self.shared.lock();
        loop {
            let longest = inner.session.longest_line();
            match data.line(longest) {
                Ok(Some(line)) => inner.session.receive(now, line),
                Ok(None) => break,
                Err(_) => inner.session.too_long(now),
            }
            // As soon as the program has enough to read, the rest waits.
            if self.shared.pass_on(&mut inner) || inner.session.ended().is_some() {
                break;
            }
        }
        drop(inner);
        self.turn(t);
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, _: Wake) -> Result {
        self.wait(t);
        self.turn(t);
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        self.turn(t);
        Ok(())
    }
}

impl Irc {
    /// Has the next wake-up come as a message.
    fn wait(&self, t: &mut Transport<Self>) {
        let shared = self.shared.clone();
        t.defer(async move {
            shared.wake.notified().await;
            Wake
        });
    }

    /// Does all that there is to do.
    fn turn(&mut self, t: &mut Transport<Self>) {
        let now = t.now();
        let mut out = Vec::new();
        let mut inner = self.shared.lock();
        if t.is_paused() {
            // The silence is ours.
            inner.session.hold(now);
        }
        inner.session.poll(now);
        inner.session.transmit(now, &mut out);
        let full = self.shared.pass_on(&mut inner);
        let deadline = inner.session.next_deadline(now);
        let ended = inner.session.ended().is_some();
        let is_dead = matches!(inner.session.ended(), Some(Ended::TimedOut(_)));
        let online = inner.session.is_online();
        drop(inner);
        if !out.is_empty() {
            t.write(out);
            self.shared.room.notify_waiters();
        }
        if online && let Some(welcome) = self.welcome.take() {
            // Who waits for it may have given up.
            let _ = welcome.send(());
        }
        if is_dead {
            // Nobody reads what is left to say.
            return t.abort();
        }
        if ended {
            return t.close();
        }
        match full {
            true => t.pause(),
            false if t.is_paused() => t.resume(),
            false => {}
        }
        match deadline {
            Some(at) => {
                // A deadline of this very moment has its own turn.
                let after = at.saturating_duration_since(now);
                t.set_timer((), after.max(Duration::from_millis(1)));
            }
            None => t.cancel_timer(()),
        }
    }

    fn link(&self, t: &Transport<Self>) -> Link {
        let mut link = Link {
            can_upgrade: self.can_upgrade,
            ..Link::default()
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = &t.peer().tls {
            link.is_tls = true;
            link.channel = sasl::Channel::encrypted();
            if let Some(exporter) = &tls.exporter {
                let binding = sasl::Binding::tls_exporter(exporter);
                link.channel = link.channel.with_binding(binding);
            }
        }
        // What never leaves the machine is read by nobody on the way.
        if !link.is_tls && matches!(t.peer().address, Address::Memory(_) | Address::Unix(_)) {
            link.channel = sasl::Channel::encrypted();
        }
        link
    }
}
