//! One conversation, which every server should let two clients have.

use std::time::Duration;

use ropewalk_core::{ClientEndpoint, ConnectOptions};
use ropewalk_words_irc::client::{Builder, Client, Event, Kind, Pace, RequestError};
use tokio::time::timeout;

/// A client in a hurry.
pub(crate) fn client(nick: &str, connect: &ConnectOptions) -> Builder {
    Client::builder(nick)
        .connect_options(connect.clone())
        .pace(Pace::UNPACED)
}

/// Reads up to an event.
pub(crate) async fn until(
    client: &mut Client,
    what: &str,
    is_it: impl Fn(&Event) -> bool,
) -> Event {
    let found = async {
        loop {
            let event = client.next().await;
            let event = event.unwrap_or_else(|| panic!("the end came before {what}"));
            if is_it(&event) {
                return event;
            }
        }
    };
    let found = timeout(Duration::from_secs(600), found).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(crate) async fn joined(client: &mut Client, name: &str) {
    let what = |it: &Event| matches!(&it.kind, Kind::Joined { channel } if &**channel == name);
    until(client, name, what).await;
}

pub(crate) async fn talk(endpoint: &ClientEndpoint, connect: &ConnectOptions) {
    let mut ada = client("ada", connect)
        .user("ada", "Ada Lovelace")
        .channel("#rope")
        .connect_to(endpoint.clone())
        .await
        .unwrap();
    joined(&mut ada, "#rope").await;
    assert!(ada.with(|state| state.has_rank("#rope", "ada", 'o')));

    // The nick is taken, and so another is.
    let mut bob = client("ada", connect)
        .or_nick("bob")
        .connect_to(endpoint.clone())
        .await
        .unwrap();
    assert_eq!(bob.nick(), "bob");
    bob.join("#rope").await.unwrap();
    until(&mut ada, "bob", |it| {
        matches!(it.kind, Kind::Join { .. }) && it.nick() == "bob"
    })
    .await;

    bob.privmsg("#rope", "hello, ada").await.unwrap();
    let is_text = |it: &Event| it.text().is_some() && it.nick() == "bob";
    let hello = until(&mut ada, "a greeting", is_text).await;
    assert_eq!(
        (hello.text(), hello.answer_to()),
        (Some("hello, ada"), Some("#rope"))
    );
    ada.reply(&hello, "hello, bob").await.unwrap();
    let answer = until(&mut bob, "an answer", |it| {
        it.text().is_some() && it.nick() == "ada"
    })
    .await;
    assert_eq!(answer.text(), Some("hello, bob"));

    // Nothing is cut off a long text.
    let long = "äöü ".repeat(400);
    bob.privmsg("ada", long.trim()).await.unwrap();
    let mut words = 0;
    while words < 400 {
        let piece = until(&mut ada, "a piece", is_text).await;
        assert!(piece.is_private());
        for word in piece.text().unwrap().split(' ') {
            assert_eq!(word, "äöü");
            words += 1;
        }
    }

    let mut names = bob.names("#rope").await.unwrap();
    names.sort_by(|one, other| one.nick.cmp(&other.nick));
    let names: Vec<_> = names
        .iter()
        .map(|it| (&*it.nick, it.ranks.contains('o')))
        .collect();
    assert_eq!(names, [("ada", true), ("bob", false)]);
    let whois = bob.whois("ada").await.unwrap().unwrap();
    assert_eq!((&*whois.nick, &*whois.realname), ("ada", "Ada Lovelace"));
    assert!(whois.channels.iter().any(|it| it.ends_with("#rope")));
    assert_eq!(bob.whois("nobody").await.unwrap(), None);
    let list = bob.list().await.unwrap();
    assert!(
        list.iter()
            .any(|it| &*it.channel == "#rope" && it.members == 2),
        "{list:?}"
    );
    let who = bob.who("#rope").await.unwrap();
    assert_eq!(who.len(), 2, "{who:?}");
    assert!(bob.ping().await.unwrap() < Duration::from_secs(30));

    ada.mode("#rope", "+v", &["bob"]).await.unwrap();
    until(&mut bob, "a voice", |it| {
        matches!(&it.kind, Kind::Mode { changes, .. } if changes.iter().any(|it| it.letter == 'v'))
    })
    .await;
    assert!(bob.with(|state| state.has_rank("#rope", "bob", 'v')));
    ada.set_topic("#rope", "about ropes").await.unwrap();
    until(&mut bob, "a topic", |it| {
        matches!(it.kind, Kind::Topic { .. })
    })
    .await;
    assert_eq!(&*bob.channel("#rope").unwrap().topic, "about ropes");
    ada.mode("#rope", "+b", &["eve!*@*"]).await.unwrap();
    let bans = ada.bans("#rope").await.unwrap();
    assert_eq!(
        bans.iter().map(|it| &*it.mask).collect::<Vec<_>>(),
        ["eve!*@*"]
    );

    ada.join("#key").await.unwrap();
    ada.mode("#key", "+k", &["sesame"]).await.unwrap();
    // So that it holds before anybody tries.
    ada.ping().await.unwrap();
    match bob.join("#key").await {
        Err(RequestError::Refused { code, .. }) => assert_eq!(&*code, "475"),
        other => panic!("{other:?}"),
    }
    bob.join_with_key("#key", "sesame").await.unwrap();

    match bob.change_nick("ada").await {
        Err(RequestError::Refused { code, .. }) => assert_eq!(&*code, "433"),
        other => panic!("{other:?}"),
    }
    bob.change_nick("bobby").await.unwrap();
    assert_eq!(bob.nick(), "bobby");
    until(&mut ada, "another nick", |it| {
        matches!(it.kind, Kind::Nick { .. })
    })
    .await;
    assert!(ada.with(|state| state.member("#rope", "bobby").is_some()));

    ada.kick("#rope", "bobby", "enough").await.unwrap();
    until(&mut bob, "a kick", |it| {
        matches!(it.kind, Kind::Kick { .. })
    })
    .await;
    assert!(bob.channel("#rope").is_none() && bob.channel("#key").is_some());
    ada.with(|state| state.check());

    bob.quit("good night").await;
    let quit = until(&mut ada, "a quit", |it| {
        matches!(it.kind, Kind::Quit { .. })
    })
    .await;
    assert_eq!(quit.nick(), "bobby");
    assert!(ada.with(|state| state.user("bobby").is_none()));
    ada.quit("").await;
}
