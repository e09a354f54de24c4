//! The command `ropewalk`: every protocol as a server, and a lab of all of them.
//!
//! One module a subcommand: its arguments as a struct, and `run`; a server has `plan` instead, which
//! says what is to listen, so that it can be one of many in a site. What they share stands in
//! `options` (what every server takes), `plan` (what is to listen, and what is wrong with it) and
//! `listen` (listening, saying so, and ending well). Here are only the list of them and the exit
//! status: 0 when all was done, 2 for bad arguments or a bad configuration, 1 for what went wrong
//! later. Standard output is for what was asked for;
//! everything else goes to standard error.

#![allow(
    rustdoc::bare_urls,
    rustdoc::broken_intra_doc_links,
    reason = "comments of arguments are their help texts, which know no links"
)]

mod completions;
mod dns;
mod failure;
mod forward;
mod irc;
mod lab;
mod listen;
mod man;
mod metrics;
mod options;
mod plan;
mod site;
mod small;
mod user;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use failure::{Failure, one_line};
use plan::Alone;
use small::SmallServer;

/// Servers, forwards and a lab for network protocols.
#[derive(Parser)]
#[command(name = "ropewalk", version, propagate_version = true)]
// Without a subcommand there is one line, as for every other bad use.
#[command(arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Lab(lab::Lab),
    /// Run a site: any set of services with one configuration
    Serve(site::Serve),
    /// Serve a folder over HTTP
    Web(Alone<web::WebServer>),
    /// Serve DNS: zones of files or of other servers, or what other servers say
    ///
    /// Zones are answered over UDP, TCP and TLS, and sent to other servers that may have them. SIGHUP
    /// reads zone files again: one that is broken is told of, with line and column, and the zone of
    /// before is kept.
    Dns(Alone<dns::DnsServer>),
    /// Forward connections from any endpoint to any endpoint
    ///
    /// TLS may be on or off on either side. `--listen stdio:` forwards standard input and output,
    /// and ends with the connection. In a drain, transfers go on until its time is over.
    Forward(Alone<forward::Forward>),
    /// Serve a network of IRC channels
    ///
    /// SIGHUP reads certificates, users, the message of the day, operators and bans again. In a drain,
    /// everybody is told that the server ends.
    Irc(Alone<irc::IrcServer>),
    /// Send every byte back (RFC 862)
    Echo(Alone<SmallServer<small::Echo>>),
    /// Throw every byte away (RFC 863)
    Discard(Alone<SmallServer<small::Discard>>),
    /// Send characters without end (RFC 864)
    ///
    /// Over UDP each datagram is answered by one of at most 512 characters, and never by more than
    /// it brought: its sender may be forged.
    Chargen(Alone<SmallServer<small::Chargen>>),
    /// Tell the date and time of day, in GMT (RFC 867)
    Daytime(Alone<SmallServer<small::Daytime>>),
    /// Tell the seconds since 1900, in 32 bits (RFC 868)
    ///
    /// They run over in 2036, and go on from 0.
    Time(Alone<SmallServer<small::Time>>),
    /// Change who may log in: a users file, with argon2id hashes
    User(user::User),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Lab(lab) => lab.run(),
            Self::Serve(serve) => serve.run(),
            Self::Web(web) => web.run(),
            Self::Dns(dns) => dns.run(),
            Self::Forward(forward) => forward.run(),
            Self::Irc(irc) => irc.run(),
            Self::Echo(echo) => echo.run(),
            Self::Discard(discard) => discard.run(),
            Self::Chargen(chargen) => chargen.run(),
            Self::Daytime(daytime) => daytime.run(),
            Self::Time(time) => time.run(),
            Self::User(user) => user.run(),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => cli.command.run(),
        // Help and version, as asked for.
        Err(asked) if !asked.use_stderr() => {
            // A reader who has seen enough, as `| head` has, is no failure.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(Failure::arguments(one_line(&error.to_string()))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.say(),
    }
}
