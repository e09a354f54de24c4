//! Who is asking: credentials, what judges them, and the mechanisms by which
//! they come over the wire. Twisted's `cred`, and SASL.
//!
//! This crate knows no protocol and touches no socket. A mail, chat, web or SSH
//! server makes [`Credentials`] of what its peer shows, gives them to a
//! [`Portal`], and gets an [`Account`] or is [`Refused`].
//!
#![cfg_attr(feature = "checkers", doc = "```")]
#![cfg_attr(not(feature = "checkers"), doc = "```ignore")]
//! use ropewalk_cred::*;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("users");
//! # let quick = NewHash::Argon2id(Argon2Cost::default().memory_kib(64));
//! // An operator adds a user (`ropewalk user add`) …
//! let mut editor = UsersEditor::open_or_create(&path)?;
//! # /*
//! editor.add("alice", b"correct horse", NewHash::default())?;
//! # */
//! # editor.add("alice", b"correct horse", quick)?;
//! editor.save()?;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! // … and a server lets her in.
//! let portal = Portal::new().checker(UsersFile::open(&path, UsersOptions::default())?);
//! let peer = Some("192.0.2.7".parse()?);
//! let account = portal.login(&Credentials::password("alice", "correct horse"), peer).await?;
//! assert_eq!(account.name, "alice");
//! let refused = portal.login(&Credentials::password("alice", "battery"), peer).await.unwrap_err();
//! assert_eq!(refused.to_string(), "the credentials are not valid");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is here
//!
//! - [`Credentials`]: a password, a public key whose signature was verified, a
//!   client certificate, a bearer token, a SCRAM proof, or nothing.
//! - [`Checker`]: judges them. [`Memory`], [`UsersFile`], [`AllowAnonymous`], or
//!   your own: a database, a directory.
//! - [`Portal`]: asks the checkers, makes who fails wait ([`Backoff`]), and lets
//!   a [`Realm`] say whether one may act as another.
//! - [`UsersFile`] reads what Ropewalk, htpasswd and Dovecot write
//!   ([`PasswordHash`]); [`UsersEditor`] changes it.
//! - [`sasl`]: the mechanisms, for servers and for clients.
//!
//! # What it holds to
//!
//! - A refusal does not say whether the user exists, nor does the time it takes,
//!   nor SCRAM's salt.
//! - Hashing runs on blocking threads, a bounded number at a time ([`HashPool`]).
//! - Secrets are wiped when dropped, compared in constant time, and not printed
//!   by `Debug` ([`Secret`]).
//! - Nothing a peer sends panics or grows without a limit: messages end at
//!   [64 KiB](sasl::LONGEST_MESSAGE), names at [`LONGEST_NAME`], passwords at
//!   [`LONGEST_PASSWORD`].
//!
//! # Coming from Twisted
//!
//! | Twisted | here |
//! | --- | --- |
//! | `Portal(realm, checkers).login(credentials, mind, *interfaces)` | [`Portal::login`] |
//! | `ICredentialsChecker.requestAvatarId` | [`Checker::check`] |
//! | `IRealm.requestAvatar` | [`Realm::admit`]; what an account has, the protocol looks up by its name |
//! | `InMemoryUsernamePasswordDatabaseDontUse` | [`Memory`] |
//! | `FilePasswordDB` | [`UsersFile`] |
//! | `AllowAnonymousAccess` | [`AllowAnonymous`] |
//! | `UnauthorizedLogin`, `UnhandledCredentials` | [`Refused::Denied`], [`Refused::NotTaken`] |
//!
//! # Features
//!
//! `checkers` (default) is what a server needs. A client does without: it then
//! builds [`sasl`] alone, and neither tokio nor argon2.
#![forbid(unsafe_code)]
// Without the checkers the tour names what is not built.
#![cfg_attr(not(feature = "checkers"), allow(rustdoc::broken_intra_doc_links))]

mod account;
#[cfg(feature = "checkers")]
mod backoff;
mod certificate;
#[cfg(feature = "checkers")]
mod checker;
#[cfg(feature = "checkers")]
mod checkers;
mod credentials;
#[cfg(feature = "checkers")]
mod hash;
#[cfg(feature = "checkers")]
mod pool;
#[cfg(feature = "checkers")]
mod portal;
mod prepare;
mod random;
pub mod sasl;
mod secret;
#[cfg(feature = "checkers")]
mod sessions;

pub use account::{Account, Refused};
#[cfg(feature = "checkers")]
pub use backoff::{Backoff, BackoffOptions};
pub use certificate::{Certificate, CertificateName, Fingerprint, NoFingerprint};
#[cfg(feature = "checkers")]
pub use checker::{BoxFuture, Checker};
#[cfg(feature = "checkers")]
pub use checkers::{
    AllowAnonymous, BadLine, EditError, Memory, NewHash, UsersEditor, UsersError, UsersFile,
    UsersOptions,
};
#[cfg(feature = "postgres")]
pub use checkers::{PostgresError, PostgresOptions, PostgresUsers};
pub use credentials::{
    Anonymous, CramMd5, Credentials, Kind, Password, PublicKey, ScramProof, Token,
};
#[cfg(feature = "checkers")]
pub use hash::{Argon2Cost, CostError, HashError, PasswordHash};
#[cfg(feature = "checkers")]
pub use pool::{HashLimits, HashPool};
#[cfg(feature = "checkers")]
pub use portal::{OnlyOneself, Portal, Realm};
pub use prepare::{LONGEST_NAME, LONGEST_PASSWORD, prepare_name, prepare_password};
pub use random::Random;
pub use secret::Secret;
#[cfg(feature = "checkers")]
pub use sessions::{Session, SessionLimits, Sessions};
