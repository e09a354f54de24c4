//! ngIRCd: few capabilities, no labels, nicks of nine bytes.

use std::time::Duration;

use ropewalk_core::{BackOff, ConnectOptions, testing::run_in_real_time};
use ropewalk_words_irc::client::Kind;

use crate::{
    process::Server,
    talk::{client, joined, talk, until},
};

fn start() -> Server {
    Server::start("ngircd", &["--nodaemon", "--config"], |address, _| {
        format!(
            "[Global]\n Name = irc.ngircd.test\n Listen = {}\n Ports = {}\n\
             [Limits]\n MaxConnectionsIP = 0\n MaxPenaltyTime = 0\n\
             [Options]\n DNS = no\n Ident = no\n PAM = no\n",
            address.ip(),
            address.port()
        )
    })
}

#[test]
#[ignore = "needs ngircd; cargo xtask test runs it where it is installed"]
fn two_talk() {
    let server = start();
    run_in_real_time(talk(&server.endpoint(), &ConnectOptions::default()));
}

#[test]
#[ignore = "needs ngircd; cargo xtask test runs it where it is installed"]
fn a_server_that_comes_back_has_its_client_back() {
    let mut server = start();
    run_in_real_time(async {
        let mut back_off = BackOff::default();
        back_off.initial = Duration::from_millis(10);
        let connecting = client("averylongnick", &ConnectOptions::default())
            .or_nick("ada")
            .channel("#rope")
            .channel_with_key("#key", "sesame")
            .back_off(back_off)
            .connect_to(server.endpoint());
        let mut ada = connecting.await.unwrap();
        assert_eq!(ada.nick(), "ada", "the first one is too long here");
        joined(&mut ada, "#rope").await;
        server.restart();
        until(&mut ada, "the end", |it| {
            matches!(
                it.kind,
                Kind::Disconnected {
                    again_in: Some(_),
                    ..
                }
            )
        })
        .await;
        until(&mut ada, "the return", |it| {
            matches!(it.kind, Kind::Registered { .. })
        })
        .await;
        joined(&mut ada, "#rope").await;
        ada.ping().await.unwrap();
        ada.quit("").await;
    });
}
