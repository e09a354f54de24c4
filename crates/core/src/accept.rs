//! The accept loop of one listener, and each connection's way from there to
//! its handler.
//!
//! It takes a connection when there is room for it, and leaves it in the
//! backlog otherwise. It never waits for what a peer says: handshakes run in
//! the connection's own task.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    task::coop::consume_budget,
    time::{sleep, timeout},
};
use tracing::Instrument;

use crate::{
    Address, Connection, ConnectionState, Error, Handler, Layer, Listener, Result,
    allowance::may_warn,
    jumps::proxy::Headers,
    registry::{Entry, Registry, Room},
    schemes::Accepted,
    tally::{AcceptError, Handshake, Refusal},
};

/// The first back-off after an accept that failed for lack of something.
const BACK_OFF: Duration = Duration::from_millis(10);

/// The longest back-off: what is lacking comes back when a connection ends,
/// and a peer in the backlog should not wait much longer than that.
const BACK_OFF_MOST: Duration = Duration::from_secs(1);

/// Errors in a row that may be those of a connection or the listener's own,
/// until they are taken for the latter: a listener that was shut down by
/// somebody else says of every accept what it would say of a bad connection.
const IN_A_ROW: u32 = 64;

/// What serves a connection, and what it passes through first.
pub(crate) struct Service<H> {
    pub(crate) handler: H,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
}

impl<H: Handler> Service<H> {
    /// The connection comes in a box that is gone when it is served: what an
    /// `async fn` is given stays in its task to the end, beside whatever it is
    /// moved to.
    async fn serve(self: Arc<Self>, conn: Box<Connection>, ending: Ending) {
        let result = self.serve_wrapped(conn).await;
        ending.entry.set_end_of_handler(&result);
        if let Err(error) = result {
            // With its peer: the span that names it is for those who debug.
            let (id, peer) = (ending.entry.id, ending.entry.peer());
            tracing::info!(error, %id, %peer, "connection failed");
        }
    }

    async fn serve_wrapped(&self, mut conn: Box<Connection>) -> Result {
        if !self.layers.is_empty() {
            conn = Box::pin(self.wrap(unbox(conn))).await?;
        }
        self.handler.serve(unbox(conn)).await
    }

    async fn wrap(&self, mut conn: Connection) -> Result<Box<Connection>> {
        let entry = conn.live.entry.clone();
        let registry = conn.live.registry.clone();
        let deadline = conn.live.limits.handshake;
        let draining = conn.draining();
        let wrapped = async {
            for layer in &self.layers {
                conn = layer.wrap(conn).await?;
            }
            Ok(conn)
        };
        let (result, how) = tokio::select! {
            biased;
            result = timeout(deadline, wrapped) => match result {
                Ok(Ok(conn)) => (Ok(conn), Handshake::OK),
                Ok(Err(error)) => {
                    let how = Handshake::of_error(&error);
                    (Err(error), how)
                }
                Err(_) => (Err(Error::from(HandshakeError::TimedOut)), Handshake::TIMED_OUT),
            },
            // Nobody waits for one who has not even said hello.
            () = draining => (Err(HandshakeError::Draining.into()), Handshake::DRAINING),
        };
        if let Some(registry) = registry
            && self.negotiates()
        {
            registry.handshake(how);
        }
        match &result {
            Ok(_) => entry.set_state(ConnectionState::Open),
            Err(_) => entry.set_handshake_failed(),
        }
        result.map(Box::new)
    }

    fn negotiates(&self) -> bool {
        self.layers.iter().any(|layer| layer.negotiates())
    }
}

/// Counts how a connection ended, whatever became of its task. The registry
/// cannot: a handler's connection has left it before its result is known.
struct Ending {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.registry.ended(&self.entry);
    }
}

#[expect(clippy::boxed_local, reason = "that it is one is the point")]
/// Frees the box at once; `*boxed` would keep it to the end of its scope.
fn unbox<T>(boxed: Box<T>) -> T {
    *boxed
}

/// Why a connection did not come through its layers.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the handshake did not end in time")]
    TimedOut,
    #[error("the server drained during the handshake")]
    Draining,
}

/// The accept loop of one listener.
pub(crate) struct Accepting<H> {
    listener: Box<dyn Listener>,
    registry: Arc<Registry>,
    service: Arc<Service<H>>,
    /// Set where proxies speak for their clients.
    headers: Option<Arc<Headers>>,
    warned: Option<Instant>,
    /// When it was last said that a peer was refused.
    refused: Option<Instant>,
}

impl<H: Handler> Accepting<H> {
    pub(crate) fn new(
        listener: Box<dyn Listener>,
        registry: Arc<Registry>,
        service: Arc<Service<H>>,
        headers: Option<Arc<Headers>>,
    ) -> Self {
        Self {
            listener,
            registry,
            service,
            headers,
            warned: None,
            refused: None,
        }
    }

    pub(crate) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut back_off = BACK_OFF;
        let mut in_a_row = 0;
        loop {
            let event = tokio::select! {
                biased;
                _ = &mut stopped => break,
                event = self.next() => event,
            };
            match event {
                Some((Ok(accepted), room)) => {
                    back_off = BACK_OFF;
                    in_a_row = 0;
                    self.admit(accepted, room);
                }
                None => return,
                Some((Err(error), _)) if in_a_row < IN_A_ROW && is_of_one_connection(&error) => {
                    in_a_row += u32::from(may_be_of_the_listener(&error));
                    self.registry.accept_failed(AcceptError::Connection);
                    tracing::debug!(%error, "a connection ended before it was accepted");
                    // A thousand of them in the backlog are no reason to wait,
                    // and none to keep other tasks waiting.
                    consume_budget().await;
                }
                // No descriptors, no buffers: they come back when connections
                // end. Trying at once again would spin.
                Some((Err(error), room)) => {
                    // For another listener, which may lack nothing.
                    drop(room);
                    self.registry.accept_failed(AcceptError::System);
                    if may_warn(&mut self.warned) {
                        tracing::warn!(%error, "cannot accept; trying again shortly");
                    }
                    tokio::select! {
                        _ = &mut stopped => break,
                        () = sleep(back_off) => {}
                    }
                    back_off = (back_off * 2).min(BACK_OFF_MOST);
                }
            }
        }
        let listener = std::mem::replace(&mut self.listener, Box::new(Ended));
        let mut turned_away = 0;
        for accepted in listener.finish() {
            match self.registry.try_room() {
                Some(room) => self.admit(accepted, room),
                None => {
                    self.registry.refused(Refusal::Full);
                    turned_away += 1;
                }
            }
        }
        if turned_away > 0 {
            tracing::warn!(
                connections = turned_away,
                "turned away: they waited for room, and the server drains"
            );
        }
    }

    /// The next connection, and room for it.
    ///
    /// Room is held only while a connection may be there to take it: else
    /// listeners that share an allowance and have nothing to do would hold
    /// what others need.
    async fn next(&mut self) -> Option<(io::Result<Accepted>, Room)> {
        loop {
            let room = match self.registry.try_room() {
                Some(room) => room,
                None => {
                    if let Some(limit) = self.registry.may_warn_of_waiting() {
                        tracing::warn!(limit, "as many connections as allowed; further ones wait");
                    }
                    self.registry.room().await
                }
            };
            let accepted = poll_fn(|cx| Poll::Ready(self.listener.poll_accept(cx))).await;
            match accepted {
                Poll::Ready(accepted) => return accepted.map(|accepted| (accepted, room)),
                Poll::Pending => drop(room),
            }
            until_woken().await;
        }
    }

    fn admit(&mut self, accepted: Accepted, room: Room) {
        let Accepted {
            stream,
            peer,
            local,
        } = accepted;
        // A proxy's clients are counted, once it has named them.
        let headers = self.headers.as_ref();
        let counted = !headers.is_some_and(|headers| headers.speaks_for_others(&peer));
        let Some(live) = self.registry.admit(room, peer.clone(), local, counted) else {
            let why = "this peer has as many connections as it may";
            if self.registry.is_closed() {
                return;
            } else if may_warn(&mut self.refused) {
                tracing::info!(%peer, "refused: {why}; said at most once a minute");
            } else {
                // A peer that comes again and again would fill the log.
                tracing::debug!(%peer, "refused: {why}");
            }
            return;
        };
        let entry = live.entry.clone();
        if !self.service.negotiates() {
            entry.set_state(ConnectionState::Open);
        }
        let span = tracing::debug_span!("connection", id = %entry.id, %peer);
        let conn = Box::new(Connection {
            stream,
            prefix: crate::Input::default(),
            peer,
            live,
            idle: None,
        });
        let ending = Ending {
            registry: self.registry.clone(),
            entry: entry.clone(),
        };
        let serving = self.service.clone().serve(conn, ending);
        let task = tokio::spawn(serving.instrument(span));
        entry.set_task(task.abort_handle());
        if self.registry.is_closed() {
            // The server was dropped before it could know of this task.
            task.abort();
        }
    }
}

/// Waits for whatever wakes this task next.
async fn until_woken() {
    let mut polled = false;
    poll_fn(|_| match std::mem::replace(&mut polled, true) {
        false => Poll::Pending,
        true => Poll::Ready(()),
    })
    .await;
}

/// Whether an error of accept is about the connection that was to be accepted,
/// and says nothing about the next one (see accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::NotConnected
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::TimedOut
            | Kind::PermissionDenied
            | Kind::InvalidInput
    )
}

/// Whether such an error may as well be about the listener: that it listens no
/// more, or that this process may not accept at all.
fn may_be_of_the_listener(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::InvalidInput | Kind::PermissionDenied)
}

/// In the place of a listener that has ended.
struct Ended;

impl Listener for Ended {
    fn poll_accept(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<io::Result<Accepted>>> {
        Poll::Ready(None)
    }

    fn local(&self) -> Address {
        Address::Other("ended".into())
    }
}
