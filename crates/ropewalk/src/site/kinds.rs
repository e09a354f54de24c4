//! The kinds of services that a site can have: the subcommands that serve.

use std::{future::Future, pin::Pin};

use clap::{ArgMatches, Command, Error};

use crate::{
    dns::DnsServer,
    forward::Forward,
    irc::IrcServer,
    plan::{Plan, ServerArgs},
    small::{Chargen, Daytime, Discard, Echo, SmallServer, Time},
    web::WebServer,
};

/// All of them. A server that has a subcommand has a line here.
pub(super) const KINDS: &[Kind] = &[
    Kind::of::<SmallServer<Chargen>>("chargen"),
    Kind::of::<SmallServer<Daytime>>("daytime"),
    Kind::of::<SmallServer<Discard>>("discard"),
    Kind::of::<DnsServer>("dns"),
    Kind::of::<SmallServer<Echo>>("echo"),
    Kind::of::<Forward>("forward"),
    Kind::of::<IrcServer>("irc"),
    Kind::of::<SmallServer<Time>>("time"),
    Kind::of::<WebServer>("web"),
];

/// A subcommand that serves, by its name.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Adds its arguments to a command.
    arguments: fn(Command) -> Command,
    plan: for<'a> fn(&'a mut ArgMatches, &'a mut Plan) -> Planning<'a>,
}

type Planning<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

impl Kind {
    const fn of<A: ServerArgs>(name: &'static str) -> Self {
        Self {
            name,
            arguments: A::augment_args,
            plan: |matches, plan| {
                Box::pin(async move {
                    A::from_arg_matches_mut(matches)?.plan(plan).await;
                    Ok(())
                })
            },
        }
    }

    /// The command that its options are parsed by.
    pub(super) fn command(&self) -> Command {
        (self.arguments)(Command::new(self.name))
    }

    /// Adds a service of this kind to the plan.
    ///
    /// # Errors
    /// If `matches` is not of [`command`](Self::command).
    pub(super) async fn plan(
        &self,
        matches: &mut ArgMatches,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        (self.plan)(matches, plan).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_server_of_the_command_line_is_a_kind_with_the_same_options() {
        let longs = |command: &Command| -> BTreeSet<String> {
            let longs = command.get_arguments().filter_map(|arg| arg.get_long());
            longs.map(str::to_owned).collect()
        };
        let command = Cli::command();
        let servers: Vec<_> = command
            .get_subcommands()
            .filter(|it| !matches!(it.get_name(), "lab" | "serve"))
            .filter(|it| longs(it).contains("max-connections"))
            .collect();
        let names: BTreeSet<_> = servers.iter().map(|it| it.get_name()).collect();
        assert_eq!(names, KINDS.iter().map(|kind| kind.name).collect());
        assert!(KINDS.is_sorted_by(|a, b| a.name < b.name));
        let common = longs(&super::super::options());
        for kind in KINDS {
            let server = servers.iter().find(|it| it.get_name() == kind.name);
            let own = longs(&kind.command());
            let all: BTreeSet<_> = own.union(&common).cloned().collect();
            assert_eq!(longs(server.unwrap()), all, "{}", kind.name);
        }
    }
}
