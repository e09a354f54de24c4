//! A test of a bot, with a server that says what the test tells it to. Time is
//! virtual: the hour that the bot waits is over at once.
#![allow(clippy::print_stdout, reason = "it says how the test went")]

use std::time::Duration;

use ropewalk_core::{Result, testing::run};
use ropewalk_words_irc::{client::Client, testing::ScriptedServer};
use tokio::time::{Instant, sleep};

/// Whoever says `!tea` is reminded an hour later.
async fn tea_bot(mut irc: Client) -> Result {
    while let Some(event) = irc.next().await {
        if event.text() == Some("!tea") {
            sleep(Duration::from_secs(3600)).await;
            irc.reply(&event, format!("{}: tea", event.nick())).await?;
        }
    }
    Ok(())
}

fn main() -> Result {
    let begun = std::time::Instant::now();
    run(async {
        let server = ScriptedServer::listen().await?;
        let connecting = server.client("teabot").connect_to(server.endpoint());
        let (bot, mut script) = tokio::join!(connecting, server.welcome("teabot"));
        let bot = tokio::spawn(tea_bot(bot?));

        let asked = Instant::now();
        script.send(":ada!ada@host PRIVMSG #rope :!tea").await?;
        script.expect("PRIVMSG #rope :ada: tea").await?;
        assert_eq!(asked.elapsed().as_secs(), 3600);

        bot.abort();
        script.until_closed().await
    })?;
    assert!(begun.elapsed() < Duration::from_secs(60));
    println!("an hour passed, and the tea was ready");
    Ok(())
}
