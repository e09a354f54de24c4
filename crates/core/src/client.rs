//! Protocols as clients: connect, start, ask.

use std::{fmt, sync::Arc};

use tokio::sync::watch;
use tracing::Instrument;

use crate::{
    ClientEndpoint, Closed, ConnectError, ConnectOptions, Connection, Handle, Protocol, Reply,
    Result, Route, driver::Driver, registry::Entry, work::NoAnswer,
};

impl ClientEndpoint {
    /// Connects.
    ///
    /// Dropping the future gives up connecting.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        self.connect_with(&ConnectOptions::default()).await
    }

    /// Connects with options.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn connect_with(&self, options: &ConnectOptions) -> Result<Connection, ConnectError> {
        let route = Route::new(options);
        let Some(cancel) = &options.cancel else {
            return route.connect(self).await;
        };
        match cancel.run_until_cancelled(route.connect(self)).await {
            Some(result) => result,
            None => Err(ConnectError::Cancelled {
                endpoint: self.to_string(),
            }),
        }
    }

    /// Connects, and runs a protocol on the connection in a task of its own.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn start<P: Protocol>(&self, protocol: P) -> Result<Client<P>, ConnectError> {
        Ok(Client::start(self.connect().await?, protocol))
    }
}

/// A protocol that runs as a client. Cheap to clone; when the last clone is
/// dropped, the protocol is told to say goodbye ([`Protocol::draining`]).
pub struct Client<P: Protocol>(Arc<Inner<P>>);

struct Inner<P: Protocol> {
    handle: Handle<P::Message>,
    closed: watch::Receiver<Option<Closed>>,
    entry: Arc<Entry>,
}

impl<P: Protocol> Client<P> {
    /// Runs a protocol on a connection that is there already.
    pub fn start(connection: Connection, protocol: P) -> Self {
        let entry = connection.live.entry.clone();
        let span = tracing::debug_span!("client", id = %entry.id, peer = %connection.peer());
        let mut driver = Driver::new(protocol, connection);
        let handle = driver.handle();
        let (over, closed) = watch::channel(None);
        let run = async move {
            let ended = driver.await;
            if let Closed::Failed(error) = &ended.why {
                tracing::info!(%error, "connection failed");
            }
            over.send_replace(Some(ended.why));
            if let Some((next, connection)) = ended.next
                && let Err(error) = next(connection).await
            {
                tracing::info!(error, "connection failed after it was handed over");
            }
        };
        let task = tokio::spawn(run.instrument(span));
        entry.set_task(task.abort_handle());
        Self(Arc::new(Inner {
            handle,
            closed,
            entry,
        }))
    }

    /// Sends a message that carries a [`Reply`], and waits for the answer.
    ///
    /// # Errors
    /// Why the connection ended, if it did before there was an answer.
    pub async fn ask<T: Send>(
        &self,
        make: impl FnOnce(Reply<T>) -> P::Message,
    ) -> Result<T, Closed> {
        let (reply, answer) = Reply::new();
        if self.0.handle.send(make(reply)).await.is_err() {
            return Err(self.closed().await);
        }
        match answer.await {
            Ok(answer) => Ok(answer),
            // It was dropped with the connection, or by a protocol that lives.
            Err(_) if self.0.handle.is_closed() => Err(self.closed().await),
            Err(_) => Err(NoAnswer("the protocol dropped the question").into()),
        }
    }

    /// Sends a message, and waits for no answer.
    ///
    /// # Errors
    /// Why the connection ended, if it has.
    pub async fn tell(&self, message: P::Message) -> Result<(), Closed> {
        match self.0.handle.send(message).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.closed().await),
        }
    }

    /// Asks the connection to say goodbye now; [`closed`](Self::closed) waits
    /// for the end.
    pub fn close(&self) {
        self.0.entry.ask_to_drain();
    }

    /// Ends the connection at once, without a goodbye.
    pub fn abort(&self) {
        self.0.entry.kill();
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        let closed = &self.0.closed;
        self.0.handle.is_closed() || closed.borrow().is_some() || closed.has_changed().is_err()
    }

    /// Waits until the connection is over; says why.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.0.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(Closed::Aborted),
            // The task is gone without a word: the runtime ended.
            Err(_) => Closed::Aborted,
        }
    }
}

impl<P: Protocol> Clone for Client<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Protocol> fmt::Debug for Client<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", self.0.entry.peer())
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Drop for Inner<P> {
    fn drop(&mut self) {
        self.entry.ask_to_drain();
    }
}
