//! One server on several threads: each has a socket of its own on the same
//! port, and a runtime of its own that accepts and serves.
//!
//! The kernel gives each connection to one of the sockets (SO_REUSEPORT), and
//! from there on it stays on that thread: nothing is handed from core to core,
//! and no task is stolen. Limits, lists, drain and metrics are those of the one
//! server.

use std::{convert::Infallible, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::{Bound, ListenError, Listener, Schemes, ServerEndpoint};

/// A thread and its runtime, until this is dropped; then its tasks are too.
pub(crate) struct Shard {
    pub(crate) runtime: Handle,
    _alive: oneshot::Sender<Infallible>,
}

impl Shard {
    fn start(number: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, over) = oneshot::channel();
        let thread = thread::Builder::new().name(format!("shard-{number}"));
        thread.spawn(move || {
            // An error is what it waits for: nothing can be sent.
            let _ = runtime.block_on(over);
            runtime.shutdown_background();
        })?;
        Ok(Self {
            runtime: handle,
            _alive: alive,
        })
    }

    /// Listens, with a socket that the shard's own runtime watches.
    async fn listen(
        &self,
        endpoint: &ServerEndpoint,
        schemes: &Schemes,
    ) -> Result<Bound, ListenError> {
        let (own, schemes) = (endpoint.clone(), schemes.clone());
        let task = self
            .runtime
            .spawn(async move { schemes.listen(&own).await });
        match task.await {
            Ok(bound) => bound,
            Err(error) => Err(ListenError::new(endpoint.to_string(), error.into())),
        }
    }
}

/// So many threads that listen on the same port. What connections of it pass
/// through stands in the first one's.
pub(crate) async fn listen(
    endpoint: &ServerEndpoint,
    schemes: &Schemes,
    count: usize,
) -> Result<(Bound, Vec<(Shard, Option<Box<dyn Listener>>)>), ListenError> {
    let mut first = endpoint.clone();
    let Some(tcp) = first.tcp_mut() else {
        let why = "only TCP sockets can share a port; serve it with no shards";
        return Err(ListenError::unsupported(endpoint, why));
    };
    tcp.reuse_port = true;
    let mut socket = tcp.clone();
    let start = |number| {
        Shard::start(number).map_err(|error| ListenError::new(endpoint.to_string(), error))
    };
    let shard = start(0)?;
    let bound = shard.listen(&first, schemes).await?;
    // Any port is any one, and the same for all.
    if let Some(local) = bound.listener.local().inet() {
        socket.port = local.port();
    }
    let socket = ServerEndpoint::tcp(socket);
    let mut shards = vec![(shard, None)];
    for number in 1..count {
        let shard = start(number)?;
        let listener = shard.listen(&socket, schemes).await?.listener;
        shards.push((shard, Some(listener)));
    }
    Ok((bound, shards))
}
