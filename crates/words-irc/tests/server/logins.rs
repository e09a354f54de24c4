//! Logging in as programs do: SCRAM with both proofs, and by a certificate over
//! TLS.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use ropewalk_core::{
    Connection, Schemes, Server, ServerEndpoint, ServerOptions, factory,
    testing::run,
    tls::{ClientCertificates, TestCa, TlsServer},
};
use ropewalk_cred::sasl::{Binding, Channel, ClientOptions, Login, Mechanisms};
use ropewalk_words_irc::server::Network;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::live::Stage;

/// What a client is told of one login: the server's lines, and whether the
/// server has proven itself.
async fn log_in(stage: &mut Stage, name: &str, user: &str, password: &str) -> (Vec<String>, bool) {
    let login = Login::password(user, password);
    let offered = Mechanisms::parse("SCRAM-SHA-256");
    let mut client = offered
        .choose(&login, &Channel::clear(), &ClientOptions::default())
        .unwrap();
    let mut lines = Vec::new();
    let mut say = format!("AUTHENTICATE {}", client.mechanism());
    let mut message = client.initial();
    loop {
        stage.client(name).receive(format!("{say}\r\n"));
        let told = stage.answered(name).await;
        let line = told.trim().to_owned();
        let challenge = line
            .strip_prefix(&format!("{name} AUTHENTICATE "))
            .map(str::to_owned);
        lines.push(told);
        let Some(challenge) = challenge else { break };
        let next = match (message.take(), &*challenge) {
            (Some(initial), _) => initial,
            (None, challenge) => {
                let challenge = STANDARD.decode(challenge).unwrap();
                client.respond(&challenge).unwrap()
            }
        };
        say = format!("AUTHENTICATE {}", STANDARD.encode(&next));
        if next.is_empty() {
            say = "AUTHENTICATE +".to_owned();
        }
    }
    (lines, client.finish(None).is_ok())
}

#[test]
fn scram_proves_both_sides_and_tells_nobody_who_there_is() {
    run(async {
        let mut stage = Stage::new();
        stage.play("local ada bob").await;
        stage.play("enter ada").await;
        let told = stage.play("ada REGISTER * * sesame").await;
        assert!(told.contains("REGISTER SUCCESS ada"), "{told}");
        let (lines, proven) = log_in(&mut stage, "bob", "ada", "sesame").await;
        let last = lines.last().unwrap();
        assert!(last.contains(" 900 ") && last.contains(" 903 "), "{last}");
        assert!(proven, "the server has shown that it knows the password");
        // A name that there is not goes the same way as a wrong password.
        let mut ways = Vec::new();
        for user in ["ada", "nobody"] {
            let (lines, proven) = log_in(&mut stage, "bob", user, "wrong").await;
            assert!(lines.last().unwrap().contains(" 904 "), "{lines:?}");
            assert!(!proven);
            ways.push(lines.iter().map(String::len).collect::<Vec<_>>());
        }
        assert_eq!(ways[0], ways[1]);
    });
}

/// A client on a connection, line by line, and the listener that it came to.
struct Person(
    BufReader<Connection>,
    #[expect(dead_code, reason = "it ends what it serves when dropped")] Server,
);

impl Person {
    async fn say(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.0.write_all(line.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The first line that has `what` in it.
    async fn hear(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line).await.unwrap();
            assert!(read > 0, "the connection ended before {what:?}");
            if line.contains(what) {
                return line;
            }
        }
    }

    async fn ask(&mut self, line: &str, what: &str) -> String {
        self.say(line).await;
        self.hear(what).await
    }
}

async fn enter(
    schemes: &Schemes,
    network: &Network,
    ca: &TestCa,
    own: Option<&(String, String)>,
) -> Person {
    let endpoint = format!("mem:irc{}", ropewalk_core::random());
    let (chain, key) = ca.issue(&["localhost"]).unwrap();
    let tls = TlsServer::from_pem(chain.as_bytes(), key.as_bytes())
        .unwrap()
        .client_certificates(ca.pem().as_bytes(), ClientCertificates::Optional)
        .unwrap();
    let mut options = ServerOptions::default();
    options.schemes = schemes.clone();
    options.layers.push(Arc::new(tls));
    let server: ServerEndpoint = endpoint.parse().unwrap();
    let server = server
        .listen_with(factory(network.clone()), options)
        .await
        .unwrap();
    let mut client = ca.client().unwrap();
    if let Some((chain, key)) = own {
        client = client
            .certificate(chain.as_bytes(), key.as_bytes())
            .unwrap();
    }
    let plain = schemes.connect(&endpoint.parse().unwrap()).await.unwrap();
    let name = "localhost".to_owned().try_into().unwrap();
    let connection = plain
        .wrap(|stream| client.connect(stream, name))
        .await
        .unwrap();
    Person(BufReader::new(connection), server)
}

#[test]
fn a_certificate_logs_in_over_tls() {
    run(async {
        let (schemes, ca) = (Schemes::new(), TestCa::new().unwrap());
        let mut stage = Stage::new();
        let network = stage.network();
        let own = ca.issue(&["ada.example.com"]).unwrap();
        let mut ada = enter(&schemes, &network, &ca, Some(&own)).await;
        let list = ada.ask("CAP LS 302", "sasl=").await;
        assert!(
            list.contains("EXTERNAL") && list.contains("PLAIN"),
            "{list}"
        );
        assert!(list.contains("SCRAM-SHA-256-PLUS"), "{list}");
        ada.say("NICK ada\r\nUSER ada 0 * :Ada\r\nCAP END").await;
        ada.hear(" 001 ").await;
        // Nobody's certificate yet.
        ada.ask("AUTHENTICATE EXTERNAL", "AUTHENTICATE +").await;
        ada.ask("AUTHENTICATE +", " 904 ").await;
        ada.ask("REGISTER * * sesame", " 900 ").await;
        ada.ask("NS CERT ADD", "logs you in now").await;
        ada.say("QUIT").await;
        ada.hear("ERROR").await;

        let mut ada = enter(&schemes, &network, &ca, Some(&own)).await;
        ada.ask("AUTHENTICATE EXTERNAL", "AUTHENTICATE +").await;
        let told = ada.ask("AUTHENTICATE +", " 900 ").await;
        assert!(
            told.contains(" ada :You are now logged in as ada"),
            "{told}"
        );
        ada.hear(" 903 ").await;

        // Who shows none, and who shows another, is not.
        let other = ca.issue(&["ada.example.com"]).unwrap();
        let mut eve = enter(&schemes, &network, &ca, Some(&other)).await;
        eve.ask("AUTHENTICATE EXTERNAL", "AUTHENTICATE +").await;
        eve.ask("AUTHENTICATE +", " 904 ").await;
        let mut eve = enter(&schemes, &network, &ca, None).await;
        let told = eve.ask("AUTHENTICATE EXTERNAL", " 908 ").await;
        assert!(!told.contains("EXTERNAL"), "{told}");
    });
}

/// SCRAM tied to the TLS connection, so that nobody sits between.
#[test]
fn scram_is_bound_to_the_channel() {
    run(async {
        let (schemes, ca) = (Schemes::new(), TestCa::new().unwrap());
        let mut stage = Stage::new();
        let network = stage.network();
        let mut ada = enter(&schemes, &network, &ca, None).await;
        ada.say("NICK ada\r\nUSER ada 0 * :Ada").await;
        ada.ask("REGISTER * * sesame", " 900 ").await;
        let tls = ada.0.get_ref().peer().tls.clone().unwrap();
        let exported = tls.exporter.unwrap();
        for (binding, numeric) in [(exported, " 903 "), ([7; 32], " 904 ")] {
            let channel = Channel::encrypted().with_binding(Binding::tls_exporter(&binding));
            let login = Login::password("ada", "sesame");
            let mut client = Mechanisms::parse("SCRAM-SHA-256-PLUS")
                .choose(&login, &channel, &ClientOptions::default())
                .unwrap();
            let mechanism = format!("AUTHENTICATE {}", client.mechanism());
            ada.ask(&mechanism, "AUTHENTICATE +").await;
            let mut next = client.initial().unwrap();
            let told = loop {
                let piece = match next.is_empty() {
                    true => "+".to_owned(),
                    false => STANDARD.encode(&next),
                };
                let told = ada.ask(&format!("AUTHENTICATE {piece}"), "").await;
                let Some(challenge) = told.strip_prefix("AUTHENTICATE ") else {
                    break told;
                };
                next = client
                    .respond(&STANDARD.decode(challenge.trim()).unwrap())
                    .unwrap();
            };
            if numeric == " 903 " {
                ada.hear(numeric).await;
            } else {
                assert!(told.contains(numeric), "{told}");
            }
        }
    });
}
