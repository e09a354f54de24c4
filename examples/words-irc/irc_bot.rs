//! A bot: `irc_bot ENDPOINT` greets whoever says `!hello` in `#rope`.

use ropewalk_core::run;
use ropewalk_words_irc::client::Client;

fn main() -> std::process::ExitCode {
    run(async {
        let endpoint = std::env::args().nth(1).ok_or("usage: irc_bot ENDPOINT")?;
        let bot = Client::builder("ropebot").channel("#rope");
        let mut irc = bot.connect(&endpoint).await?;
        while let Some(event) = irc.next().await {
            if event.text() == Some("!hello") {
                let hello = format!("hello, {}", event.nick());
                irc.reply(&event, hello).await?;
            }
        }
        Ok(())
    })
}
