//! Questions by datagrams, from ports that cannot be foreseen.
//!
//! A question that is asked alone has a socket of its own, and so a port that the system draws. Of
//! many at a time up to [`per_port`](super::ResolverOptions::per_port) have one together. No port
//! lives longer than those questions. The ids on one socket differ, so a forgery can meet one
//! question at most.
//!
//! What a forger has to guess for one question, before the answer is there (RFC 5452, section 8):
//! - the id: 16 bits, drawn anew for each;
//! - the port: on Linux one of 28,232 (`net.ipv4.ip_local_port_range`), 14.8 bits. That others share
//!   it takes nothing off, since a forgery is for one question and its port is as unknown as before.
//!   What sharing does take is time: who finds ports by probing has as long as the last of a port's
//!   questions, not the first. Sockets are connected, so a probe from elsewhere is told nothing;
//! - the case: a bit for each letter of the name (0x20), 14 for `www.example.org.`, none for `1.`;
//! - with a server that has cookies: 64 bits more, and then nothing else matters.
//!
//! So 30.8 bits at the least: half a thousand million datagrams for one chance in four, within the
//! tenth of a second that an answer takes. A name of few letters has no more than that; a wrong case
//! or cookie is answered by asking over a stream, which nobody forges blindly.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use ropewalk_core::{
    ClientEndpoint, DatagramOptions, DatagramProtocol, DatagramServer, DatagramTransport,
    Datagrams, Handle, Result as CoreResult, Schemes, Undelivered,
};
use tokio::sync::oneshot;

use super::Counters;
use crate::proto::exchange::{
    Trouble,
    pending::{Arrival, Pending},
};

type Asker = oneshot::Sender<Result<Vec<u8>, Trouble>>;

/// The ports from which one server is asked.
pub(super) struct Ports {
    endpoint: ClientEndpoint,
    options: DatagramOptions,
    /// Questions that go from one port in all.
    per_port: usize,
    counters: Counters,
    /// Those that may be given more questions.
    open: Mutex<Vec<Arc<Port>>>,
}

struct Port {
    /// Ends the socket when dropped.
    _server: DatagramServer<Ask>,
    handle: Handle<Ask>,
    given: AtomicUsize,
    out: AtomicUsize,
}

impl Ports {
    pub(super) fn new(
        endpoint: ClientEndpoint,
        schemes: Schemes,
        per_port: usize,
        counters: Counters,
    ) -> Self {
        let per_port = per_port.max(1);
        let mut options = DatagramOptions::from(schemes);
        options.inbox = per_port;
        Self {
            endpoint,
            options,
            per_port,
            counters,
            open: Mutex::default(),
        }
    }

    /// Sends a query, and waits for the answer for as long as the caller does.
    pub(super) async fn ask(&self, query: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        let lease = self.lease().await?;
        let (reply, answer) = oneshot::channel();
        let gone = || Trouble::Ended("the socket is closed".to_owned());
        let ask = Ask { query, reply };
        lease.port.handle.send(ask).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn lease(&self) -> Result<Lease<'_>, Trouble> {
        if let Some(port) = self.share() {
            return Ok(Lease { ports: self, port });
        }
        let asking = Asking {
            pending: Pending::new(),
            counters: self.counters.clone(),
        };
        let started = self
            .endpoint
            .start_datagrams_with(asking, self.options.clone());
        let server = started
            .await
            .map_err(|error| Trouble::Unreachable(error.to_string()))?;
        let port = Arc::new(Port {
            handle: server.handle(),
            _server: server,
            given: AtomicUsize::new(1),
            out: AtomicUsize::new(1),
        });
        if self.per_port > 1 {
            self.lock().push(port.clone());
        }
        Ok(Lease { ports: self, port })
    }

    /// A port that others use just now, if there is one.
    fn share(&self) -> Option<Arc<Port>> {
        let mut open = self.lock();
        let port = open.last()?.clone();
        port.out.fetch_add(1, Relaxed);
        if port.given.fetch_add(1, Relaxed) + 1 >= self.per_port || port.handle.is_closed() {
            open.pop();
        }
        Some(port)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Port>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is out from a port; the last one closes it.
struct Lease<'a> {
    ports: &'a Ports,
    port: Arc<Port>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut open = self.ports.lock();
        // Under the lock, so that nobody takes a share of it meanwhile.
        if self.port.out.fetch_sub(1, Relaxed) == 1 {
            open.retain(|port| !Arc::ptr_eq(port, &self.port));
        }
    }
}

struct Ask {
    query: Vec<u8>,
    reply: Asker,
}

/// The questions of one socket.
struct Asking {
    pending: Pending<Asker>,
    counters: Counters,
}

impl DatagramProtocol for Asking {
    type Message = Ask;
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> CoreResult {
        for (data, from) in batch {
            // A connected socket hears its peer alone; this does not rest on that.
            if t.peer().is_some_and(|peer| peer != from) {
                self.counters.strays.increment();
                continue;
            }
            let (asker, answer) = match self.pending.arrived(data) {
                Arrival::Answer(asker) => (asker, Ok(data.to_vec())),
                Arrival::WrongCase(asker) => (asker, Err(Trouble::WrongCase)),
                Arrival::Stray => {
                    self.counters.strays.increment();
                    continue;
                }
            };
            // Who gave up meanwhile wants nothing.
            let _ = asker.send(answer);
        }
        Ok(())
    }

    fn message(&mut self, t: &mut DatagramTransport<Self>, ask: Ask) -> CoreResult {
        let Ask { mut query, reply } = ask;
        match self
            .pending
            .add(&mut query, reply, &mut ropewalk_core::random)
        {
            Ok(_) => {
                self.counters.sent.increment();
                t.send_to_peer(query);
            }
            Err(reply) => {
                let _ = reply.send(Err(Trouble::Ended("too many questions".to_owned())));
            }
        }
        Ok(())
    }

    fn undelivered(&mut self, _: &mut DatagramTransport<Self>, error: &Undelivered) -> CoreResult {
        for asker in self.pending.drain() {
            let _ = asker.send(Err(Trouble::Unreachable(error.to_string())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_core::testing::DatagramRig;

    use super::*;

    fn ask() -> (Ask, oneshot::Receiver<Result<Vec<u8>, Trouble>>) {
        let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x03wWw\x07eXaMpLe\0\0\x01\0\x01");
        let (reply, answer) = oneshot::channel();
        (Ask { query, reply }, answer)
    }

    fn rig() -> DatagramRig<Asking> {
        let asking = Asking {
            pending: Pending::new(),
            counters: Counters::default(),
        };
        DatagramRig::connected(asking, "192.0.2.53:53")
    }

    #[test]
    fn an_answer_from_elsewhere_is_not_heard() {
        let mut rig = rig();
        let (ask, mut answer) = ask();
        rig.message(ask);
        let mut reply = rig.sent()[0].0.clone();
        reply[2] |= 0x80;
        for from in ["192.0.2.54:53", "192.0.2.53:54"] {
            rig.receive(&reply, from);
            assert!(answer.try_recv().is_err());
        }
        assert_eq!(rig.protocol().counters.strays.value(), 2);
        rig.receive(&reply, "192.0.2.53:53");
        assert_eq!(answer.try_recv().unwrap(), Ok(reply));
    }

    /// Ports are drawn by the system; here a forger has even found the port, and all else is to
    /// be guessed.
    #[test]
    fn forgeries_by_the_many_guess_neither_id_nor_case() {
        let forgeries = match std::env::var_os("ROPEWALK_DEEP") {
            Some(_) => 1_000_000_u64,
            None => 20_000,
        };
        let mut rig = rig();
        let (ask, mut answer) = ask();
        rig.message(ask);
        let good = rig.sent()[0].0.clone();
        let mut forged = good.clone();
        forged[2] |= 0x80;
        for n in 0..forgeries {
            // Every id but the right one; and with the right one every case but the right one.
            let id = u16::from_be_bytes([good[0], good[1]]);
            let guess = id.wrapping_add(1 + u16::try_from(n % 65_535).unwrap());
            forged[..2].copy_from_slice(&guess.to_be_bytes());
            rig.receive(&forged, "192.0.2.53:53");
        }
        assert!(answer.try_recv().is_err(), "no forgery was believed");
        forged[..2].copy_from_slice(&good[..2]);
        forged[13] ^= 0x20;
        rig.receive(&forged, "192.0.2.53:53");
        assert_eq!(answer.try_recv().unwrap(), Err(Trouble::WrongCase));
    }
}
