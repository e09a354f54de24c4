//! The simulated network: what it does to connections, what of it replays.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "sim/datagrams.rs"]
mod datagrams;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/hosts.rs"]
mod hosts;
#[path = "sim/links.rs"]
mod links;
#[path = "sim/replay.rs"]
mod replay;
#[path = "sim/reports.rs"]
mod reports;
#[path = "sim/simulation.rs"]
mod simulation;

use std::time::Duration;

use ropewalk_core::{
    Bound, ConnectError, Connection, Handler, Input, ListenError, Protocol, Result, Server,
    ServerEndpoint, Transport,
    testing::sim::{Host, Link, Network},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Default)]
struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

/// The same as a handler, by plain async.
async fn echo(mut conn: Connection) -> Result {
    let mut buffer = [0; 4096];
    loop {
        match conn.read(&mut buffer).await? {
            0 => return Ok(conn.shutdown().await?),
            n => conn.write_all(&buffer[..n]).await?,
        }
    }
}

async fn listen(host: &Host, endpoint: &str, handler: impl Handler) -> Result<Server, ListenError> {
    let endpoint: ServerEndpoint = endpoint.parse()?;
    endpoint.listen_with(handler, host.schemes()).await
}

/// Listens, and accepts nothing.
async fn bind(host: &Host, endpoint: &str) -> Result<Bound, ListenError> {
    host.schemes().listen(&endpoint.parse()?).await
}

async fn connect(host: &Host, endpoint: &str) -> Result<Connection, ConnectError> {
    host.schemes().connect(&endpoint.parse()?).await
}

/// A program that serves for ever, at `sim:7`.
fn serves<H: Handler>(host: &Host, make: impl Fn() -> H + Send + Sync + 'static) {
    host.start(move |host| {
        let handler = make();
        async move {
            let _server = listen(&host, "sim:7", handler).await?;
            std::future::pending().await
        }
    });
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Ways on which nothing is left to chance.
fn exact(net: &Network, latency: Duration) {
    net.links(|link: &mut Link| {
        link.latency = latency..=latency;
        link.segments = 1000..=1000;
    });
}
