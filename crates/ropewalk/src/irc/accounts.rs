//! Who may log in to an IRC server, and where what is registered is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use ropewalk_words_irc::{
    proto::casemap::CaseMapping,
    server::{
        accounts::{AccountOptions, Accounts},
        registered::{Disk, Folder, Store, StoreError},
    },
};

use crate::{failure::Failure, options::Users, plan::Plan};

/// The arguments about accounts.
#[derive(Args)]
#[command(next_help_heading = "Accounts")]
pub(super) struct AccountArgs {
    /// The folder of what is registered, accounts and channels, made if there is none; without it
    /// nobody can register either
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(flatten)]
    users: Users,

    /// Let nobody register an account; those that there are log in
    #[arg(long)]
    no_registration: bool,

    /// Take passwords of accounts also where others may read along, without TLS
    #[arg(long)]
    allow_passwords_without_tls: bool,
}

impl AccountArgs {
    /// Opens what the arguments name; none if there are to be no accounts. What is wrong is noted.
    pub(super) fn open(&self, plan: &mut Plan, mapping: CaseMapping) -> Option<Arc<Accounts>> {
        let users = self.users.open(plan);
        if self.data.is_none() && users.is_none() {
            return None;
        }
        let store = match &self.data {
            None => Store::in_memory(mapping),
            Some(path) => match open(path, plan, mapping) {
                Ok(store) => store,
                Err(failure) => {
                    plan.fault(failure);
                    return None;
                }
            },
        };
        let mut options = AccountOptions::default();
        options.registration = self.data.is_some() && !self.no_registration;
        options.allow_passwords_without_tls = self.allow_passwords_without_tls;
        let (keep, last) = (store.clone(), store.clone());
        plan.beside(keep.keep(), async move {
            let saved = last.saved().await;
            saved.map_err(|error| Failure::run(format!("--data: {error}")))
        });
        let accounts = Accounts::new(store, options);
        Some(Arc::new(match users {
            Some(users) => accounts.users_file(users),
            None => accounts,
        }))
    }
}

fn open(path: &Path, plan: &Plan, mapping: CaseMapping) -> Result<Arc<Store>, Failure> {
    let fault = |why: String| Failure::usage("--data", path.display(), why);
    // Made now it would be root's.
    if plan.becomes_another() && !path.is_dir() {
        let why = "there is none, expected a folder of the account that --user names";
        return Err(fault(why.into()));
    }
    let opened = match plan.is_only_checked() {
        true => Store::open(Untouched(path.to_owned()), mapping),
        false => match Folder::open(path) {
            Ok(folder) => Store::open(folder, mapping),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(fault(
                    "another server has it, expected a folder of its own for each".into(),
                ));
            }
            Err(error) => Err(StoreError::Disk(error)),
        },
    };
    opened.map_err(|error| match error {
        StoreError::Disk(error) => fault(format!("{error}, expected a folder to write in")),
        error => Failure::Files(vec![format!("{}/{error}", path.display())]),
    })
}

/// A folder that is read, and never written: for those who only want to know what is wrong.
#[derive(Debug)]
struct Untouched(PathBuf);

impl Disk for Untouched {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
}
