//! InspIRCd 3: most capabilities, labels among them. It leaves SASL to
//! services, which are not here.

use std::time::Duration;

use ropewalk_core::{BackOff, ConnectOptions, testing::run_in_real_time};
use ropewalk_words_irc::client::Kind;

use crate::{
    process::Server,
    talk::{client, joined, talk, until},
};

fn start(modules: &[&str]) -> Server {
    Server::start(
        "inspircd",
        &["--nofork", "--nolog", "--nopid", "--runasroot", "--config"],
        |address, folder| {
            let modules: String = modules
                .iter()
                .map(|module| format!("<module name=\"{module}\">\n"))
                .collect();
            format!(
                "<server name=\"irc.inspircd.test\" description=\"x\" network=\"Test\" id=\"1TE\">\n\
                 <admin name=\"a\" nick=\"a\" email=\"a@b.test\">\n\
                 <bind address=\"{}\" port=\"{}\" type=\"clients\">\n\
                 <connect name=\"main\" allow=\"*\" timeout=\"60\" fakelag=\"no\" localmax=\"100\" \
                 globalmax=\"100\" resolvehostnames=\"no\" useident=\"no\" commandrate=\"100000\" \
                 threshold=\"10000\">\n\
                 <performance clonesonconnect=\"no\">\n\
                 <path configdir=\"{folder}\" datadir=\"{folder}\" logdir=\"{folder}\" \
                 runtimedir=\"{folder}\">\n\
                 <options defaultmodes=\"not\">\n<security hideserver=\"\">\n{modules}",
                address.ip(),
                address.port()
            )
        },
    )
}

const MODERN: &[&str] = &[
    "cap",
    "ircv3",
    "ircv3_accounttag",
    "ircv3_batch",
    "ircv3_capnotify",
    "ircv3_chghost",
    "ircv3_ctctags",
    "ircv3_echomessage",
    "ircv3_invitenotify",
    "ircv3_labeledresponse",
    "ircv3_msgid",
    "ircv3_servertime",
    "namesx",
    "services_account",
];

#[test]
#[ignore = "needs inspircd; cargo xtask test runs it where it is installed"]
fn two_talk_with_every_capability() {
    let server = start(MODERN);
    run_in_real_time(async {
        let connect = ConnectOptions::default();
        talk(&server.endpoint(), &connect).await;
        let ada = client("ada", &connect).connect_to(server.endpoint());
        let ada = ada.await.unwrap();
        let has = |name: &str| ada.with(|state| state.has_capability(name));
        assert!(has("labeled-response") && has("echo-message") && has("server-time"));
        let answer = ada.request("VERSION", &[]).await.unwrap();
        assert!(answer.messages().any(|it| it.command == "351"));
        ada.quit("").await;
    });
}

#[test]
#[ignore = "needs inspircd; cargo xtask test runs it where it is installed"]
fn two_talk_with_no_capability_at_all() {
    let server = start(&[]);
    run_in_real_time(talk(&server.endpoint(), &ConnectOptions::default()));
}

#[test]
#[ignore = "needs inspircd; cargo xtask test runs it where it is installed"]
fn a_server_that_comes_back_has_its_client_back() {
    let mut server = start(MODERN);
    run_in_real_time(async {
        let mut back_off = BackOff::default();
        back_off.initial = Duration::from_millis(10);
        let connecting = client("ada", &ConnectOptions::default())
            .channel("#rope")
            .back_off(back_off)
            .connect_to(server.endpoint());
        let mut ada = connecting.await.unwrap();
        joined(&mut ada, "#rope").await;
        server.restart();
        until(&mut ada, "the return", |it| {
            matches!(it.kind, Kind::Registered { .. })
        })
        .await;
        joined(&mut ada, "#rope").await;
        ada.quit("").await;
    });
}
