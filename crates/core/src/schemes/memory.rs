//! `mem:`, endpoints within one process.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

use tokio::{io::duplex, sync::mpsc};

use super::{Accepted, Listener};
use crate::{Address, Peer};

/// Bytes that one side may be ahead of the other; as much as a socket holds.
const CAPACITY: usize = 64 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: usize = 1024;

/// The names that listeners have taken.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<String, mpsc::Sender<Accepted>>>);

impl Names {
    pub(super) fn listen(self: &Arc<Self>, name: &str) -> io::Result<Memory> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains_key(name) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        names.insert(name.to_owned(), sender);
        Ok(Memory {
            receiver,
            name: name.into(),
            names: Arc::downgrade(self),
        })
    }

    pub(super) async fn connect(&self, name: &str) -> io::Result<Accepted> {
        let sender = {
            let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            names.get(name).cloned()
        };
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (near, far) = duplex(CAPACITY);
        let address = Address::Memory(name.into());
        let accepted = Accepted::new(far, Peer::new(address.clone()), address.clone());
        let sender = sender.ok_or_else(refused)?;
        sender.send(accepted).await.map_err(|_| refused())?;
        Ok(Accepted::new(near, Peer::new(address.clone()), address))
    }
}

pub(super) struct Memory {
    receiver: mpsc::Receiver<Accepted>,
    name: Arc<str>,
    names: Weak<Names>,
}

impl Listener for Memory {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        self.receiver.poll_recv(cx).map(|accepted| accepted.map(Ok))
    }

    fn local(&self) -> Address {
        Address::Memory(self.name.clone())
    }

    fn finish(mut self: Box<Self>) -> Vec<Accepted> {
        self.receiver.close();
        std::iter::from_fn(|| self.receiver.try_recv().ok()).collect()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(names) = self.names.upgrade() {
            let mut names = names.0.lock().unwrap_or_else(PoisonError::into_inner);
            names.remove(&*self.name);
        }
    }
}
