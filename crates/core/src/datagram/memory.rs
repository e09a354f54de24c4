//! `mem:` datagrams, within one process and in virtual time.
//!
//! A datagram is delivered at once, or lost where nobody is or the receiver's
//! queue is full, as on a network that is never slow. Names are apart from
//! those of `mem:` streams: one name may serve both.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{DatagramSocket, Datagrams, UnsentDatagrams};
use crate::Address;

/// Datagrams that wait to be received; as many as a socket's buffer holds, if
/// they are short.
const QUEUE: usize = 1024;

type Sender = mpsc::Sender<(Bytes, Address)>;

/// Who receives datagrams under which name.
#[derive(Default)]
pub(crate) struct Mailboxes(Mutex<State>);

#[derive(Default)]
struct State {
    names: HashMap<Arc<str>, Sender>,
    /// How many clients there were, whose names are made of that.
    clients: u64,
}

impl Mailboxes {
    pub(crate) fn listen(self: &Arc<Self>, name: &str) -> io::Result<Memory> {
        self.open(name.into(), None)
    }

    /// A client has a name of its own, so that it can be answered.
    pub(crate) fn connect(self: &Arc<Self>, name: &str) -> io::Result<Memory> {
        let number = {
            let mut state = self.lock();
            state.clients += 1;
            state.clients
        };
        self.open(format!("{name}#{number}").into(), Some(name.into()))
    }

    fn open(self: &Arc<Self>, name: Arc<str>, peer: Option<Arc<str>>) -> io::Result<Memory> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut state = self.lock();
        if state.names.contains_key(&name) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        state.names.insert(name.clone(), sender);
        Ok(Memory {
            name,
            peer,
            receiver,
            mailboxes: self.clone(),
        })
    }

    fn sender(&self, name: &str) -> Option<Sender> {
        self.lock().names.get(name).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Memory {
    name: Arc<str>,
    peer: Option<Arc<str>>,
    receiver: mpsc::Receiver<(Bytes, Address)>,
    mailboxes: Arc<Mailboxes>,
}

impl Memory {
    fn send(&self, data: &[u8], to: Option<&Address>) -> io::Result<()> {
        let ((Some(Address::Memory(name)), _) | (None, Some(name))) = (to, &self.peer) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let sent = self.mailboxes.sender(name).map(|sender| {
            let from = Address::Memory(self.name.clone());
            sender.try_send((Bytes::copy_from_slice(data), from))
        });
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(io::ErrorKind::WouldBlock.into()),
            // Who is connected hears of it, as with UDP; others do not.
            Some(Err(TrySendError::Closed(_))) | None if to.is_none() => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Some(Err(TrySendError::Closed(_))) | None => Ok(()),
        }
    }
}

impl DatagramSocket for Memory {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Datagrams,
    ) -> Poll<io::Result<()>> {
        let mut any = false;
        while batch.room() > 0 {
            let Poll::Ready(Some((data, from))) = self.receiver.poll_recv(cx) else {
                break;
            };
            any = true;
            // A connected socket hears its peer alone.
            let is_peer = |peer: &Arc<str>| from == Address::Memory(peer.clone());
            if self.peer.as_ref().is_none_or(is_peer) {
                batch.push(&data, from);
            }
        }
        match any {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        unsent: &mut UnsentDatagrams,
    ) -> Poll<io::Result<()>> {
        while let Some((data, to)) = unsent.front() {
            self.send(data, to)?;
            unsent.sent(1);
        }
        Poll::Ready(Ok(()))
    }

    fn local(&self) -> Address {
        Address::Memory(self.name.clone())
    }

    fn peer(&self) -> Option<Address> {
        self.peer.clone().map(Address::Memory)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.mailboxes.lock().names.remove(&self.name);
    }
}
