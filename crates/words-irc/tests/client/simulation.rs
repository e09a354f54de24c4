//! Clients of our own server over a network that breaks, from a seed.

use std::time::Duration;

use ropewalk_core::{
    ConnectOptions, ServerEndpoint, ServerOptions, factory, random, testing::sim::simulate,
};
use ropewalk_words_irc::{
    client::{Client, Handle},
    server::{Network, NetworkOptions},
};
use tokio::time::sleep;

const NICKS: [&str; 3] = ["ada", "bob", "eve"];

/// After whatever happened, all are back under their own nicks, and what each
/// knows of the channel is what the server does.
#[test]
fn whatever_breaks_all_know_the_same_in_the_end() {
    simulate(10, async |net| {
        net.host("server").start(|host| async move {
            let mut options = ServerOptions::default();
            options.schemes = host.schemes();
            let network = Network::new(NetworkOptions::default());
            let endpoint: ServerEndpoint = "sim:6667".parse()?;
            let _server = endpoint.listen_with(factory(network), options).await?;
            std::future::pending().await
        });
        let mut clients = Vec::new();
        for nick in NICKS {
            let mut connect = ConnectOptions::default();
            connect.schemes = net.host(nick).schemes();
            let client = Client::builder(nick)
                .connect_options(connect)
                .channel("#rope")
                .start("sim:server:6667".parse()?)?;
            clients.push(client);
        }
        let handles: Vec<Handle> = clients.iter().map(Client::handle).collect();
        let reading: Vec<_> = clients
            .into_iter()
            .map(|mut client| tokio::spawn(async move { while client.next().await.is_some() {} }))
            .collect();
        for _ in 0..20 {
            let of = |n: usize| usize::try_from(random() % n as u64).unwrap_or(0);
            let (who, other) = (of(3), NICKS[of(3)]);
            let irc = &handles[who];
            // What cannot be said now is not said.
            let _ = match of(7) {
                0 => irc.send("MODE", &["#rope", "+o", other]).await.is_ok(),
                1 => irc.send("KICK", &["#rope", other]).await.is_ok(),
                2 => irc.send("TOPIC", &["#rope", other]).await.is_ok(),
                3 => irc.send("JOIN", &["#rope"]).await.is_ok(),
                4 => irc.privmsg("#rope", "hello").await.is_ok(),
                5 => {
                    net.partition("server", NICKS[who]);
                    true
                }
                _ => {
                    net.repair("server", NICKS[who]);
                    true
                }
            };
            sleep(Duration::from_secs(random() % 60)).await;
        }
        for nick in NICKS {
            net.repair("server", nick);
        }
        // The dead are found, the living come back, and nicks are regained.
        sleep(Duration::from_secs(1200)).await;
        for (irc, nick) in handles.iter().zip(NICKS) {
            assert!(irc.is_online(), "{nick}");
            assert_eq!(irc.nick(), nick);
            irc.join("#rope").await?;
        }
        sleep(Duration::from_secs(60)).await;
        let mut all = Vec::new();
        for irc in &handles {
            let mut named: Vec<_> = irc.names("#rope").await?;
            named.sort_by(|one, other| one.nick.cmp(&other.nick));
            let named: Vec<_> = named.into_iter().map(|it| (it.nick, it.ranks)).collect();
            let known = irc.with(|state| {
                state.check();
                let channel = state.channel("#rope").expect("it has joined");
                let members = channel.members();
                let members = members.map(|it| (it.nick.clone(), it.ranks.clone()));
                (members.collect::<Vec<_>>(), channel.topic.clone())
            });
            assert_eq!(known.0, named, "what it knows is what the server says");
            assert_eq!(named.len(), 3);
            all.push(known);
        }
        assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
        for irc in &handles {
            irc.quit("");
        }
        for reader in reading {
            reader.await?;
        }
        Ok(())
    });
}
