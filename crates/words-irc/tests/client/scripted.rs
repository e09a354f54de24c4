//! Whole sessions against a script, in virtual time.

use std::time::Duration;

use ropewalk_core::testing::run;
use ropewalk_words_irc::{
    client::{Ended, Error, Kind, Pace, RegistrationError, SendError},
    testing::ScriptedServer,
};
use tokio::time::Instant;

use crate::talk::{joined, until};

#[test]
fn a_bot_is_let_in_and_answers() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let connecting = server
            .client("bot")
            .channel("#a")
            .connect_to(server.endpoint());
        let (bot, mut script) = tokio::join!(connecting, server.welcome("bot"));
        let mut bot = bot.unwrap();
        script.expect("JOIN #a").await.unwrap();
        script.send(":bot!b@h JOIN #a").await.unwrap();
        script
            .send(":irc.test 353 bot = #a :bot ada")
            .await
            .unwrap();
        script.send(":irc.test 366 bot #a :End").await.unwrap();
        joined(&mut bot, "#a").await;
        script.send(":ada!a@h PRIVMSG bot :hello").await.unwrap();
        let hello = until(&mut bot, "a text", |it| it.text().is_some()).await;
        bot.reply(&hello, "hello, you").await.unwrap();
        script.expect("PRIVMSG ada :hello, you").await.unwrap();
        script
            .send(":ada!a@h NOTICE bot :no answer, please")
            .await
            .unwrap();
        let notice = until(&mut bot, "a notice", |it| it.text().is_some()).await;
        bot.reply(&notice, "never").await.unwrap();
        let ((), last) = tokio::join!(bot.quit("bye"), async {
            let last = script.line().await.unwrap();
            script.close().await;
            last
        });
        assert_eq!(last, "QUIT bye");
    });
}

#[test]
fn a_connection_that_is_lost_comes_back() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let connecting = server
            .client("bot")
            .channel("#a")
            .connect_to(server.endpoint());
        let (bot, mut script) = tokio::join!(connecting, server.welcome("bot"));
        let mut bot = bot.unwrap();
        script.expect("JOIN #a").await.unwrap();
        script.close().await;
        let lost = until(&mut bot, "the end", |it| {
            matches!(it.kind, Kind::Disconnected { .. })
        })
        .await;
        let Kind::Disconnected {
            again_in: Some(wait),
            ..
        } = lost.kind
        else {
            panic!()
        };
        assert!(wait <= Duration::from_secs(1));
        let unsaid = bot.privmsg("#a", "is anybody there?").await;
        assert_eq!(unsaid, Err(SendError::NotConnected));
        let mut script = server.welcome("bot").await;
        script.expect("JOIN #a").await.unwrap();
        // A server that falls silent is asked, and left.
        let begun = Instant::now();
        let gone = until(
            &mut bot,
            "silence",
            |it| matches!(&it.kind, Kind::Disconnected { why, .. } if why.contains("not answered")),
        );
        gone.await;
        assert_eq!(begun.elapsed().as_secs(), 90);
        drop(bot);
    });
}

#[test]
fn the_first_attempt_says_what_is_wrong() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let connecting = server
            .client("bot")
            .password("wrong")
            .connect_to(server.endpoint());
        let refuse = async {
            let mut script = server.accept().await;
            script.until("USER").await.unwrap();
            script
                .send(":irc.test 464 * :Password incorrect")
                .await
                .unwrap();
            script.until_closed().await.unwrap();
        };
        let (refused, ()) = tokio::join!(connecting, refuse);
        match refused {
            Err(Error::Ended(Ended::Registration(RegistrationError::Password(text)))) => {
                assert_eq!(&*text, "Password incorrect");
            }
            other => panic!("{other:?}"),
        }

        let connecting = server.client("bot").connect_to(server.endpoint());
        let close = async { server.accept().await.close().await };
        let (lost, ()) = tokio::join!(connecting, close);
        assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
        let nowhere = server.client("bot").connect("mem:nobody").await;
        assert!(matches!(nowhere, Err(Error::Connect(_))), "{nowhere:?}");
        let nothing = server.client("bot").connect("no endpoint").await;
        assert!(matches!(nothing, Err(Error::Endpoint(_))), "{nothing:?}");
    });
}

#[test]
fn a_password_that_is_refused_later_is_the_end() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let mut bot = server.client("bot").start(server.endpoint()).unwrap();
        let mut script = server.accept().await;
        script.until("USER").await.unwrap();
        script.send("465 * :You are banned").await.unwrap();
        let end = until(&mut bot, "the end", |it| {
            matches!(it.kind, Kind::Disconnected { .. })
        })
        .await;
        assert!(matches!(
            end.kind,
            Kind::Disconnected { again_in: None, .. }
        ));
        assert_eq!(bot.next().await, None);
        assert_eq!(bot.next().await, None);
    });
}

/// Who does not take events holds the server back, and loses none.
#[test]
fn events_wait_for_who_reads_them() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let connecting = server
            .client("bot")
            .waiting_events(50)
            .connect_to(server.endpoint());
        let (bot, mut script) = tokio::join!(connecting, server.welcome("bot"));
        let mut bot = bot.unwrap();
        let flood = tokio::spawn(async move {
            for n in 0..20_000 {
                script
                    .send(&format!(":ada!a@h PRIVMSG bot :{n}"))
                    .await
                    .unwrap();
            }
            script
        });
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert!(!flood.is_finished(), "there is no room for all of it");
        for n in 0..20_000 {
            let event = until(&mut bot, "a text", |it| it.text().is_some()).await;
            assert_eq!(event.text(), Some(n.to_string().as_str()));
        }
        let script = flood.await.unwrap();
        drop(bot);
        script.close().await;
    });
}

#[test]
fn a_burst_and_then_the_pace() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let connecting = server
            .client("bot")
            .pace(Pace::new(2, Duration::from_secs(3)))
            .options(|options| options.limits.unsent = 100)
            .connect_to(server.endpoint());
        let (bot, mut script) = tokio::join!(connecting, server.welcome("bot"));
        let bot = bot.unwrap();
        let begun = Instant::now();
        let say = async {
            // Of all these, few may wait: the others do so here.
            for n in 0..20 {
                bot.privmsg("ada", n.to_string()).await.unwrap();
            }
        };
        let read = async {
            for n in 0..20 {
                script.expect(&format!("PRIVMSG ada :{n}")).await.unwrap();
            }
        };
        tokio::join!(say, read);
        assert_eq!(begun.elapsed().as_secs(), 18 * 3);
        drop(bot);
        script.until_closed().await.unwrap();
    });
}

#[test]
fn lines_and_tags_without_end_are_skipped() {
    run(async {
        let server = ScriptedServer::listen().await.unwrap();
        let connecting = server.client("bot").connect_to(server.endpoint());
        let (bot, mut script) = tokio::join!(connecting, server.welcome("bot"));
        let mut bot = bot.unwrap();
        let long = "x".repeat(1 << 20);
        let write = async {
            script
                .send(&format!("@a={long} :ada!a@h PRIVMSG bot :x"))
                .await
                .unwrap();
            script.send(&long).await.unwrap();
            script
                .send_raw(b":ada!a@h PRIVMSG bot :\xff\0\r\n:ada!a@h PRIVMSG bot :\xff fine\r\n")
                .await
                .unwrap();
            script
        };
        let read = async {
            for _ in 0..3 {
                until(&mut bot, "a refusal", |it| {
                    matches!(it.kind, Kind::Unreadable { .. })
                })
                .await;
            }
            let text = until(&mut bot, "a text", |it| it.text().is_some()).await;
            assert_eq!(text.text(), Some("\u{fffd} fine"));
        };
        let (script, ()) = tokio::join!(write, read);
        drop(bot);
        script.close().await;
    });
}

#[cfg(feature = "websocket")]
#[test]
fn over_websocket_all_is_the_same() {
    use ropewalk_core::{Connection, ServerEndpoint};
    use ropewalk_words_irc::{client::Client, websocket};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    run(async {
        let schemes = ropewalk_core::Schemes::new();
        let serve = |connection: Connection| async move {
            let options = websocket::AcceptOptions::default();
            let mut connection = websocket::accept(connection, &options).await?;
            let mut said = Vec::new();
            let mut buffer = [0; 1000];
            let mut welcomed = false;
            loop {
                let n = connection.read(&mut buffer).await?;
                if n == 0 {
                    return Ok(());
                }
                said.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&said).into_owned();
                if !welcomed && text.contains("USER bot 0 * bot\r\n") {
                    welcomed = true;
                    connection
                        .write_all(b":s 001 bot :hi\r\n:s 422 bot :none\r\n")
                        .await?;
                    connection.flush().await?;
                }
                if text.contains("QUIT") {
                    connection.write_all(b"ERROR :bye\r\n").await?;
                    return Ok(connection.shutdown().await?);
                }
            }
        };
        let endpoint: ServerEndpoint = "mem:websocket".parse()?;
        let server = endpoint.listen_with(serve, schemes.clone()).await?;
        let mut connect = ropewalk_core::ConnectOptions::default();
        connect.schemes = schemes;
        let bot = Client::builder("bot")
            .connect_options(connect)
            .websocket(websocket::ConnectOptions::new("irc.test"))
            .connect("mem:websocket")
            .await?;
        bot.quit("").await;
        server.drain(Duration::ZERO, Duration::from_secs(10)).await;
        Ok::<(), ropewalk_core::Error>(())
    })
    .unwrap();
}
