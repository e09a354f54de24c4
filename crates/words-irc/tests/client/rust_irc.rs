//! The `irc` crate, which most Rust bots stand on, as a client of our server;
//! ours sees what it does.

use std::time::Duration;

use futures_util::StreamExt as _;
use irc::client::prelude::{Client as Theirs, Command, Config, Response};
use ropewalk_core::{ClientEndpoint, ConnectOptions, ServerEndpoint, factory};
use ropewalk_words_irc::{
    client::{Event, Kind},
    server::{Network, NetworkOptions},
};

use crate::talk::{client, joined, until};

#[tokio::test]
async fn registers_talks_and_goes() {
    let endpoint: ServerEndpoint = "tcp:0".parse().unwrap();
    let network = Network::new(NetworkOptions::default());
    let server = endpoint.listen(factory(network)).await.unwrap();
    let port = server.local_address().inet().unwrap().port();
    let here: ClientEndpoint = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let ada = client("ada", &ConnectOptions::default()).channel("#rope");
    let mut ada = ada.connect_to(here).await.unwrap();
    joined(&mut ada, "#rope").await;
    ada.set_topic("#rope", "strands").await.unwrap();

    let mut rusty = Theirs::from_config(Config {
        nickname: Some("rusty".into()),
        server: Some("127.0.0.1".into()),
        port: Some(port),
        channels: vec!["#rope".into()],
        ..Config::default()
    })
    .await
    .unwrap();
    rusty.identify().unwrap();
    let mut stream = rusty.stream().unwrap();
    let mut topic = None;
    let theirs = async {
        while let Some(message) = stream.next().await {
            match message.unwrap().command {
                Command::Response(Response::RPL_TOPIC, parameters) => {
                    topic = parameters.last().cloned();
                }
                Command::Response(Response::RPL_ENDOFNAMES, _) => {
                    rusty
                        .send_privmsg("#rope", "hello from the irc crate")
                        .unwrap();
                }
                Command::PRIVMSG(to, text) => {
                    assert_eq!((&*to, &*text), ("rusty", "hello, rusty"));
                    return;
                }
                _ => {}
            }
        }
        panic!("the connection ended before an answer came");
    };
    let ours = async {
        let said = |it: &Event| it.text() == Some("hello from the irc crate");
        until(&mut ada, "their greeting", said).await;
        ada.privmsg("rusty", "hello, rusty").await.unwrap();
    };
    tokio::join!(theirs, ours);
    assert_eq!(topic.as_deref(), Some("strands"));
    let names = rusty.list_users("#rope").unwrap();
    let mut names: Vec<_> = names
        .iter()
        .map(|it| it.get_nickname().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["ada", "rusty"]);
    rusty.send_quit("done").unwrap();
    // Its stream is also what sends.
    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
    let quits = |it: &Event| matches!(it.kind, Kind::Quit { .. }) && it.nick() == "rusty";
    tokio::join!(rest, until(&mut ada, "their QUIT", quits));
    server.drain(Duration::ZERO, Duration::from_secs(10)).await;
}
