//! A bot: `irc_bot ENDPOINT CHANNEL` greets whoever says `!hello`.

use std::process::ExitCode;

use ropewalk_core::{Result, run};
use ropewalk_words_irc::client::Client;

async fn bot() -> Result {
    let [endpoint, channel] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: irc_bot ENDPOINT CHANNEL".into());
    };
    let mut irc = Client::builder("ropebot")
        .channel(channel)
        .connect(endpoint)
        .await?;
    while let Some(event) = irc.next().await {
        if event.text() == Some("!hello") {
            irc.reply(&event, format!("hello, {}", event.nick()))
                .await?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    run(bot())
}
