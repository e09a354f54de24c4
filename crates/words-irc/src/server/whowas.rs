//! Who was there: nicks that were given up, the latest first (`WHOWAS`).

use std::collections::{HashMap, VecDeque};

use super::{client::Client, settings::Settings};
use crate::proto::casemap::Folded;

/// Names that were in use, bounded.
pub(crate) struct Whowas {
    /// The oldest first.
    gone: VecDeque<Gone>,
    /// How many there are of each nick, so that one that never was is found out at once.
    count: HashMap<Folded, usize>,
    limit: usize,
}

/// Somebody who was there.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    folded: Folded,
    pub(crate) nick: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) host: Box<str>,
    pub(crate) real_name: Box<str>,
    /// In seconds since 1970.
    pub(crate) at: u64,
}

impl Whowas {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            gone: VecDeque::new(),
            count: HashMap::new(),
            limit,
        }
    }

    /// Notes that a client gives up its nick.
    pub(crate) fn add(&mut self, client: &Client, at: u64, settings: &Settings) {
        let folded = settings.fold(&client.nick);
        *self.count.entry(folded.clone()).or_default() += 1;
        self.gone.push_back(Gone {
            folded,
            nick: client.nick.clone(),
            user: client.user.clone(),
            host: client.host.clone(),
            real_name: client.real_name.clone(),
            at,
        });
        while self.gone.len() > self.limit
            && let Some(oldest) = self.gone.pop_front()
        {
            if let Some(count) = self.count.get_mut(&oldest.folded) {
                *count -= 1;
                if *count == 0 {
                    self.count.remove(&oldest.folded);
                }
            }
        }
    }

    /// Who had a nick, the latest first.
    pub(crate) fn of(&self, nick: &Folded, most: usize) -> Vec<Gone> {
        let count = self.count.get(nick).copied().unwrap_or_default();
        let had = self.gone.iter().rev().filter(|gone| gone.folded == *nick);
        had.take(count.min(most)).cloned().collect()
    }
}
