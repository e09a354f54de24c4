//! `ropewalk completions`: a script for a shell, on standard output.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{Cli, failure::Failure};

/// Print completions for a shell, as for: source <(ropewalk completions bash)
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ropewalk", &mut script);
        io::stdout()
            .write_all(&script)
            .map_err(|error| Failure::run(format!("standard output: {error}")))
    }
}
