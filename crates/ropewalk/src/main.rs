//! The command `ropewalk`: every protocol as a server, and a lab of all of them.
//!
//! One file a subcommand: its arguments as a struct, and `run`. What they share stands in `options`
//! (what every server takes), `listen` (listening, saying so, and ending well) and `stream`. Here
//! are only the list of them and the exit status: 0 when all was done, 2 for bad arguments or a
//! bad configuration, 1 for what went wrong later. Standard output is for what was asked for;
//! everything else goes to standard error.

mod completions;
mod echo;
mod failure;
mod forward;
mod lab;
mod listen;
mod options;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use failure::{Failure, one_line};

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
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Command {
    Lab(lab::Lab),
    Echo(echo::EchoServer),
    Forward(forward::Forward),
    Completions(completions::Completions),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Lab(lab) => lab.run(),
            Self::Echo(echo) => echo.run(),
            Self::Forward(forward) => forward.run(),
            Self::Completions(completions) => completions.run(),
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
        Err(error) => Err(Failure::Usage(one_line(&error.to_string()))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.say(),
    }
}
