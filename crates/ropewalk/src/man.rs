//! `ropewalk man`: the manual, a page for the command and one for each subcommand, in roff.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man as Page;

use crate::{Cli, failure::Failure};

/// Print a page of the manual, as for: man -l <(ropewalk man echo)
#[derive(Args)]
pub(crate) struct Man {
    /// The subcommand [default: the command itself]
    #[arg(value_name = "SUBCOMMAND")]
    of: Vec<String>,

    /// Write all pages to this folder, as ropewalk.1, ropewalk-echo.1 and so on
    #[arg(long, value_name = "DIR", conflicts_with = "of")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut pages = Vec::new();
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        collect(&command, &mut pages);
        if let Some(dir) = self.dir {
            let unwritten = |error: io::Error| Failure::run(format!("{}: {error}", dir.display()));
            fs::create_dir_all(&dir).map_err(unwritten)?;
            for (name, page) in pages {
                fs::write(dir.join(name + ".1"), page).map_err(unwritten)?;
            }
            return Ok(());
        }
        let name = [&["ropewalk".to_owned()][..], &self.of].concat().join("-");
        let Some((_, page)) = pages.iter().find(|(it, _)| *it == name) else {
            let known: Vec<_> = pages
                .iter()
                .filter_map(|(it, _)| it.strip_prefix("ropewalk-"))
                .collect();
            let why = format!("unknown, expected one of {}", known.join(", "));
            return Err(Failure::usage("SUBCOMMAND", self.of.join(" "), why));
        };
        io::stdout()
            .write_all(page)
            .map_err(|error| Failure::run(format!("standard output: {error}")))
    }
}

/// The page of a command and those of its subcommands, each by its name.
fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) {
    // `display_name` is what `build` makes of the whole way to it: ropewalk-user-add.
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    Page::new(command.clone())
        .render(&mut page)
        .expect("a vector takes all");
    pages.push((name.to_owned(), page));
    for subcommand in command.get_subcommands() {
        collect(subcommand, pages);
    }
}
