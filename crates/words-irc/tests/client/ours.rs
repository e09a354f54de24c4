//! Our own server, in memory and in virtual time.

use std::time::Duration;

use ropewalk_core::{
    ClientEndpoint, ConnectOptions, Schemes, Server, ServerEndpoint, ServerOptions, factory,
    testing::run,
};
use ropewalk_words_irc::server::{Network, NetworkOptions};

use crate::talk::talk;

/// A network in memory, and how to get there.
pub(crate) async fn start() -> (Server, ClientEndpoint, ConnectOptions) {
    let schemes = Schemes::new();
    let mut options = ServerOptions::default();
    options.schemes = schemes.clone();
    let network = Network::new(NetworkOptions::default());
    let endpoint: ServerEndpoint = "mem:irc".parse().unwrap();
    let server = endpoint
        .listen_with(factory(network), options)
        .await
        .unwrap();
    let mut connect = ConnectOptions::default();
    connect.schemes = schemes;
    (server, "mem:irc".parse().unwrap(), connect)
}

#[test]
fn two_talk() {
    run(async {
        let (server, endpoint, connect) = start().await;
        talk(&endpoint, &connect).await;
        server.drain(Duration::ZERO, Duration::from_secs(10)).await;
    });
}
