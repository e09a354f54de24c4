//! A log of a channel: `irc_logger ENDPOINT CHANNEL` prints a line for all that
//! happens there, until it is interrupted.
#![allow(clippy::print_stdout, reason = "that is where the log goes")]

use std::process::ExitCode;

use ropewalk_core::{Result, Signals, run, wall_clock};
use ropewalk_words_irc::{
    client::{Client, CtcpOptions, Kind},
    proto::{format::strip, timestamp::Timestamp},
};

async fn log() -> Result {
    let [endpoint, channel] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: irc_logger ENDPOINT CHANNEL".into());
    };
    let mut irc = Client::builder("ropelog")
        .channel(channel)
        .ctcp(CtcpOptions::silent())
        .bot()
        .connect(endpoint)
        .await?;
    let (handle, signals) = (irc.handle(), Signals::new()?);
    tokio::spawn(async move {
        signals.first().await;
        handle.quit("the log is full");
    });
    while let Some(event) = irc.next().await {
        let nick = event.nick();
        let line = match &event.kind {
            Kind::Privmsg { text, .. } => format!("<{nick}> {}", strip(text)),
            Kind::Notice { text, .. } => format!("-{nick}- {}", strip(text)),
            Kind::Action { text, .. } => format!("* {nick} {}", strip(text)),
            Kind::Join { .. } => format!("{nick} joins"),
            Kind::Part { .. } | Kind::Quit { .. } => format!("{nick} leaves"),
            Kind::Kick { nick: kicked, .. } => format!("{nick} kicks {kicked}"),
            Kind::Nick { nick: new } => format!("{nick} is {new}"),
            Kind::Topic { topic, .. } => format!("{nick} sets the topic: {}", strip(topic)),
            Kind::Disconnected { why, .. } => format!("disconnected: {why}"),
            _ => continue,
        };
        // The server's time, where it tells it: a line may have been on its way.
        let time = event
            .time()
            .unwrap_or_else(|| Timestamp::from(wall_clock()));
        println!("{time} {line}");
    }
    Ok(())
}

fn main() -> ExitCode {
    run(log())
}
