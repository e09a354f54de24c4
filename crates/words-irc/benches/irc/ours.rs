//! Our server as a process: this program once more.

use std::{
    env,
    future::pending,
    io,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use ropewalk_bench_kit::runtime;
use ropewalk_core::{Limits, ServerEndpoint, ServerOptions, factory, raise_open_files};
use ropewalk_words_irc::server::{Network, NetworkOptions};

use crate::peers::MOTD;

/// The argument by which this program becomes the server.
pub(crate) const SERVE: &str = "--serve";

pub(crate) fn start(address: SocketAddr) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([SERVE, &address.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// Serves there until it is killed, with one thread, as the peers do. Its
/// limits are those of a user, but for what a benchmark is: a flood, and many
/// clients that say nothing.
pub(crate) fn serve(address: &str) -> io::Result<()> {
    let _ = raise_open_files();
    let mut options = NetworkOptions::default();
    options.server = "irc.bench.test".into();
    options.motd = MOTD.lines().map(Into::into).collect();
    options.flood.disabled = true;
    options.limits.send_queue = 1000 * 1024 * 1024;
    options.limits.registration = LONG;
    options.limits.ping = LONG;
    let network = Network::new(options);
    let mut limits = Limits::default();
    limits.connections = 100_000;
    let options = ServerOptions::from(limits);
    let endpoint: ServerEndpoint = format!("tcp:{address}").parse().map_err(io::Error::other)?;
    runtime().block_on(async {
        let server = endpoint.listen_with(factory(network), options).await;
        let _server = server.map_err(io::Error::other)?;
        pending().await
    })
}

/// Longer than any round.
const LONG: Duration = Duration::from_secs(36_000);
