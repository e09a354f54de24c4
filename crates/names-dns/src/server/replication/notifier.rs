//! Telling others that a zone has changed (RFC 1996).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use ropewalk_core::{
    BackOff, ConnectOptions, Result as CoreResult,
    service::{Life, Service},
};
use tokio::{sync::oneshot, time::sleep};

use super::{
    Transfers,
    exchange::{Remote, Timeouts, notify},
};
use crate::{
    proto::Name,
    zone::{Entry, Zone},
};

/// Whom a [`Notifier`] tells, and how often.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotifierOptions {
    /// Whom to tell, of every zone. Default nobody.
    pub remotes: Vec<Remote>,
    /// How connections and sockets are made.
    pub connect: ConnectOptions,
    /// How long to wait for each answer: by default 5 s for a connection and 5
    /// s for the answer.
    pub timeouts: Timeouts,
    /// The waits between attempts. Default from 5 s to 5 minutes, 8 attempts:
    /// a secondary that was away looks by itself when it comes back.
    pub back_off: BackOff,
    /// Others that are told at a time. Default 64.
    pub at_a_time: usize,
}

impl Default for NotifierOptions {
    fn default() -> Self {
        let timeouts = Timeouts {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            ..Timeouts::default()
        };
        let mut back_off = BackOff::default();
        back_off.initial = Duration::from_secs(5);
        back_off.maximum = Duration::from_secs(300);
        back_off.attempts = Some(8);
        Self {
            remotes: Vec::new(),
            connect: ConnectOptions::default(),
            timeouts,
            back_off,
            at_a_time: 64,
        }
    }
}

/// A service that tells others of each zone that [`Transfers`] publishes. What
/// is told is repeated until it is answered; a newer version is told in the
/// place of an older one.
#[derive(Debug)]
pub struct Notifier {
    transfers: Transfers,
    options: Arc<NotifierOptions>,
}

impl Notifier {
    /// A notifier that has told nobody yet.
    pub fn new(transfers: Transfers, options: NotifierOptions) -> Self {
        Self {
            transfers,
            options: Arc::new(options),
        }
    }
}

/// A zone, and the number of a remote.
type Told = (Name, usize);

impl Service for Notifier {
    fn name(&self) -> String {
        "notify".into()
    }

    async fn run(&self, life: Life) -> CoreResult {
        life.ready();
        let mut telling: FuturesUnordered<BoxFuture<'_, (Told, u64)>> = FuturesUnordered::new();
        // What is told, by a number of its own (the same version may be told again), and what gives
        // it up; what waits for others to be told.
        let mut current: BTreeMap<Told, (u64, oneshot::Sender<()>)> = BTreeMap::new();
        let mut number = 0_u64;
        let mut waiting: BTreeMap<Told, Arc<Zone>> = BTreeMap::new();
        let mut stopping = std::pin::pin!(life.stopping());
        loop {
            while telling.len() < self.options.at_a_time.max(1)
                && let Some((told, zone)) = waiting.pop_first()
            {
                number += 1;
                let this = number;
                let (give_up, given_up) = oneshot::channel();
                // The one before, if any, gives up when its sender is dropped here.
                current.insert(told.clone(), (this, give_up));
                let tell = self.tell(told.1, zone);
                telling.push(
                    async move {
                        tokio::select! {
                            biased;
                            _ = given_up => {}
                            () = tell => {}
                        }
                        (told, this)
                    }
                    .boxed(),
                );
            }
            tokio::select! {
                biased;
                _ = &mut stopping => return Ok(()),
                Some((told, this)) = telling.next(), if !telling.is_empty() => {
                    if current.get(&told).is_some_and(|(now, _)| *now == this) {
                        current.remove(&told);
                    }
                }
                zones = self.transfers.published() => {
                    let map = self.transfers.zones().current();
                    for name in zones {
                        let Some(zone) = map.entry(name.as_ref()).and_then(Entry::zone) else {
                            continue;
                        };
                        for remote in 0..self.options.remotes.len() {
                            waiting.insert((name.clone(), remote), zone.clone());
                        }
                    }
                }
            }
        }
    }
}

impl Notifier {
    /// Tells one remote of a zone until it has heard.
    async fn tell(&self, remote: usize, zone: Arc<Zone>) {
        let NotifierOptions {
            remotes,
            connect,
            timeouts,
            back_off,
            ..
        } = &*self.options;
        let remote = &remotes[remote];
        let (name, serial) = (zone.origin(), zone.serial());
        let mut retry = back_off.start();
        loop {
            let error = match notify(remote, &zone, connect, timeouts).await {
                Ok(()) => {
                    tracing::info!(zone = %name, serial, %remote, "told of a new version");
                    return;
                }
                Err(error) => error,
            };
            match retry.after(Duration::ZERO) {
                Some(wait) => {
                    tracing::debug!(zone = %name, serial, %remote, %error, "a NOTIFY was not heard");
                    sleep(wait).await;
                }
                None => {
                    tracing::warn!(zone = %name, serial, %remote, %error, "a NOTIFY was never heard");
                    return;
                }
            }
        }
    }
}
