//! `ropewalk serve`: a site, which is any set of services with one configuration.
//!
//! ```toml
//! max-connections = 2000            # common options: for all services
//! tls-cert = "/etc/site.pem"        # of services that name none themselves
//!
//! [[service]]
//! kind = "web"                      # a subcommand that serves …
//! listen = ["tcp:80:interface=*", "tls:443:interface=*"]
//! path = "/srv/www"                 # … and its options, without the dashes
//! ```
//!
//! All services start together, and are announced once all of them listen; they drain together.
//! A relative path is, as on the command line, relative to the folder that the command runs in.

mod kinds;
mod table;

use std::{fs, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use kinds::{KINDS, Kind};
use table::{Fault, Table, nearest};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    failure::{Failure, Usage},
    listen::{self, say},
    options::{Common, Tls},
    plan::{self, Plan},
};

/// The arguments of `ropewalk serve`.
#[derive(Args)]
pub(crate) struct Serve {
    /// The configuration: common options at the top, and a table `[[service]]` for each service, with
    /// its kind (a subcommand that serves) and its options as keys
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Look at the configuration and the files that it names, say what is wrong with them or that
    /// they are ok, and serve nothing
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    common: Common,
}

/// What may stand at the top of a configuration.
#[derive(Args, Default)]
struct Top {
    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    tls: Tls,
}

/// The command that the options at the top are parsed by.
fn options() -> Command {
    Top::augment_args(Command::new("site"))
}

/// The key of the array of services, and the one that names the kind of each.
const SERVICE: &str = "service";
const KIND: &str = "kind";

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let name = self.config.display().to_string();
        let text = fs::read_to_string(&self.config).map_err(|error| {
            Failure::usage(
                "--config",
                &name,
                format!("{error}, expected a file in TOML"),
            )
        })?;
        let file = File {
            name: &name,
            text: &text,
        };
        let (document, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            let fault = |error: toml::de::Error| Fault {
                at: error.span().map_or(0, |span| span.start),
                why: format!("not TOML: {}", error.message().replace('\n', ", ")),
            };
            return Err(file.failure(errors.into_iter().map(fault)));
        }
        let mut site = Site::read(document.get_ref());
        let common = self.common.or(site.top.common.clone());
        listen::run(&common.clone(), async {
            let json = common.json;
            let mut plan = Plan::new(common);
            if self.check {
                plan.only_check();
            }
            site.plan(&mut plan).await?;
            if !site.faults.is_empty() {
                return Err(file.failure(site.faults));
            }
            match self.check {
                true => {
                    say(if json { "{\"event\":\"ok\"}\n" } else { "ok\n" });
                    Ok(())
                }
                false => plan.serve().await,
            }
        })
    }
}

/// A configuration, read.
struct Site<'a> {
    top: Top,
    top_table: Table<'a>,
    services: Vec<Service<'a>>,
    faults: Vec<Fault>,
}

struct Service<'a> {
    kind: &'static Kind,
    table: Table<'a>,
    matches: ArgMatches,
}

impl<'a> Site<'a> {
    fn read(document: &'a DeTable<'a>) -> Self {
        let top_table = Table {
            at: 0,
            entries: document,
        };
        let mut site = Self {
            top: Top::default(),
            top_table,
            services: Vec::new(),
            faults: Vec::new(),
        };
        match top_table.arguments(options(), &[SERVICE], of_a_service) {
            Ok(matches) => match Top::from_arg_matches(&matches) {
                Ok(top) => site.top = top,
                Err(error) => site.fault(0, error.to_string()),
            },
            Err(faults) => site.faults.extend(faults),
        }
        match top_table.get(SERVICE).map(|it| (it, it.get_ref())) {
            Some((_, DeValue::Array(services))) if !services.is_empty() => {
                for service in services.iter() {
                    site.service(service);
                }
            }
            Some((found, _)) => site.fault(
                found.span().start,
                "service: expected a table [[service]] for each service".into(),
            ),
            None => site.fault(
                0,
                "no service, expected a table [[service]] for each".into(),
            ),
        }
        site
    }

    fn fault(&mut self, at: usize, why: String) {
        self.faults.push(Fault { at, why });
    }

    fn service(&mut self, found: &'a Spanned<DeValue<'a>>) {
        let at = found.span().start;
        let Some(entries) = found.get_ref().as_table() else {
            return self.fault(at, "service: expected a table [[service]]".into());
        };
        let table = Table { at, entries };
        let Some(kind) = table.get(KIND) else {
            return self.fault(at, format!("expected {KIND} in this table: {}", known()));
        };
        let name = kind.get_ref().as_str().unwrap_or_default();
        let Some(kind) = KINDS.iter().find(|it| it.name == name) else {
            let near = nearest(name, KINDS.iter().map(|it| it.name)).unwrap_or_default();
            let why = format!(
                "{KIND} \"{name}\": unknown, the nearest known one is \"{near}\"; {}",
                known()
            );
            return self.fault(kind.span().start, why);
        };
        match table.arguments(kind.command(), &[KIND], of_all_services) {
            Ok(matches) => self.services.push(Service {
                kind,
                table,
                matches,
            }),
            Err(faults) => self.faults.extend(faults),
        }
    }

    /// Adds all services to the plan, and what is wrong with them to the faults.
    async fn plan(&mut self, plan: &mut Plan) -> Result<(), Failure> {
        plan.inherit_tls(self.top.tls.clone());
        for service in &mut self.services {
            plan.next_service();
            let planned = service.kind.plan(&mut service.matches, plan).await;
            planned.map_err(Failure::run)?;
        }
        for plan::Fault { origin, failure } in plan.check() {
            // The first service is number 1.
            let service = origin.checked_sub(1).and_then(|n| self.services.get(n));
            let tables = [service.map(|it| it.table), Some(self.top_table)];
            let tables: Vec<_> = tables.into_iter().flatten().collect();
            match failure {
                Failure::Usage(usage) => self.faults.push(placed(&tables, usage)),
                Failure::Files(lines) => {
                    let at = tables[0].at;
                    self.faults
                        .extend(lines.into_iter().map(|why| Fault { at, why }));
                }
                failure @ Failure::Run(_) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// What is wrong with an option, where it stands in the first of these tables that has it.
fn placed(tables: &[Table<'_>], usage: Usage) -> Fault {
    let key = usage.option.unwrap_or_default().trim_start_matches('-');
    let value = usage.value.as_deref();
    let found = tables.iter().find_map(|table| table.find(key, value));
    Fault {
        at: found.unwrap_or(tables[0].at),
        why: usage.to_string().trim_start_matches('-').to_owned(),
    }
}

fn known() -> String {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    format!("expected one of {}", names.join(", "))
}

/// Where a key belongs that is not one of a service.
fn of_all_services(key: &str) -> Option<String> {
    let common = Common::augment_args(Command::new("site"));
    let is_common = common
        .get_arguments()
        .any(|arg| arg.get_long() == Some(key));
    is_common.then(|| {
        format!("{key} is for all services, expected it at the top, before the first [[service]]")
    })
}

/// Where a key belongs that is not one of all services.
fn of_a_service(key: &str) -> Option<String> {
    let has_it = |kind: &&Kind| {
        kind.command()
            .get_arguments()
            .any(|arg| arg.get_long() == Some(key))
    };
    (key == KIND || KINDS.iter().any(|kind| has_it(&kind)))
        .then(|| format!("{key} is for one service, expected it below a [[service]]"))
}

/// The file, for the lines that say what is wrong with it.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// All that is wrong, by line.
    fn failure(&self, faults: impl IntoIterator<Item = Fault>) -> Failure {
        let mut lines: Vec<_> = faults
            .into_iter()
            .map(|fault| (self.line(fault.at), fault.why))
            .collect();
        lines.sort();
        lines.dedup();
        let shown = |(line, why)| format!("{}:{line}: {why}", self.name);
        Failure::Files(lines.into_iter().map(shown).collect())
    }
}
