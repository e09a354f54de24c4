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
//! # In a protocol
//!
//! A server, in ten lines; `read` and `write` are the protocol's, which knows how
//! its bytes are dressed (base64, `334 `, `+ `) and which code each
//! [`Failure`](sasl::Failure) has.
//!
#![cfg_attr(feature = "checkers", doc = "```")]
#![cfg_attr(not(feature = "checkers"), doc = "```ignore")]
//! use ropewalk_cred::{sasl::*, *};
//! use std::net::IpAddr;
//!
//! # trait Wire { async fn read(&mut self) -> Vec<u8>; async fn write(&mut self, bytes: &[u8]); }
//! /// After `AUTH name [initial]`; `channel` says what TLS below is.
//! async fn server(wire: &mut impl Wire, portal: &Portal, channel: &Channel, peer: Option<IpAddr>,
//!                 name: &str, initial: Option<&[u8]>) -> Result<Account, Box<dyn std::error::Error>> {
//!     let options = ServerOptions::default();
//!     let offered = Mechanisms::offered(&portal.takes(), channel, &options);   // `AUTH` and this in EHLO
//!     let mut server = offered.start(name, channel, &options)?;
//!     let mut step = server.step(initial);
//!     loop {
//!         step = match step {
//!             Step::Challenge(bytes) => { wire.write(&bytes).await; server.step(Some(&wire.read().await)) }
//!             Step::Ask(question) => server.answered(portal.answer(&question, peer).await),
//!             Step::Success { account, data } => { wire.write(&data.unwrap_or_default()).await; return Ok(account) }
//!             Step::Failure(failure) => return Err(failure.into()),
//!         }
//!     }
//! }
//!
//! /// A client, which has read the server's list.
//! async fn client(wire: &mut impl Wire, list: &str, channel: &Channel) -> Result<(), ClientError> {
//!     let login = Login::password("alice", "correct horse");
//!     let mut client = Mechanisms::parse(list).choose(&login, channel, &ClientOptions::default())?;
//!     wire.write(client.mechanism().name().as_bytes()).await;
//!     wire.write(&client.initial().unwrap_or_default()).await;
//!     # let mut challenges = 1;
//!     while challenges > 0 {
//!         let response = client.respond(&wire.read().await)?;               // an error: cancel, `*`
//!         wire.write(&response).await;
//!         # challenges -= 1;
//!     }
//!     // With SCRAM the server has yet to prove itself: this is where a false one is found out.
//!     let data = wire.read().await;
//!     client.finish(Some(&data))
//! }
//! # use tokio::sync::mpsc::*;
//! # struct Pipe(UnboundedSender<Vec<u8>>, UnboundedReceiver<Vec<u8>>);
//! # impl Wire for Pipe {
//! #     async fn read(&mut self) -> Vec<u8> { self.1.recv().await.unwrap_or_default() }
//! #     async fn write(&mut self, bytes: &[u8]) { let _ = self.0.send(bytes.to_vec()); }
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # let ((a, b), (c, d)) = (unbounded_channel(), unbounded_channel());
//! # let (mut ours, mut theirs) = (Pipe(a, d), Pipe(c, b));
//! # let portal = Portal::new().checker(Memory::new().user("alice", "correct horse"));
//! # let channel = Channel::encrypted();
//! # let serve = async {
//! #     let name = String::from_utf8(theirs.read().await).unwrap();
//! #     let initial = theirs.read().await;
//! #     server(&mut theirs, &portal, &channel, None, &name, Some(&initial)).await.unwrap().name
//! # };
//! # let (name, known) = tokio::join!(serve, client(&mut ours, "PLAIN SCRAM-SHA-256", &channel));
//! # assert_eq!(name, "alice"); known.unwrap();
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is here
//!
//! - [`Credentials`]: a password, a public key whose signature was verified, a
//!   client certificate, a bearer token, a SCRAM proof, or nothing.
//! - [`Checker`]: judges them. [`Memory`], [`UsersFile`], [`AllowAnonymous`], or
//!   your own: a database, a directory. [`checker`] makes one of a string.
//! - [`Portal`]: asks the checkers in their order, of which the first that knows
//!   the user decides, makes who fails wait ([`Backoff`]), and lets a [`Realm`] say
//!   whether one may act as another.
//! - [`Sessions`]: who is in, how to reach them, and what to do when they leave.
//! - [`UsersFile`] reads what Ropewalk, htpasswd and Dovecot write
//!   ([`PasswordHash`]); [`UsersEditor`] changes it.
//! - [`sasl`]: the mechanisms, for servers and for clients.
//! - [`Random`]: where nonces and salts come from, so that a simulation replays.
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
//! | `Portal(realm, checkers).login(credentials, mind, *interfaces)` | [`Portal::login`], then [`Sessions::enter`] with the mind |
//! | the `logout` that it returns | dropping the [`Session`]; [`Session::on_logout`] |
//! | `credentialInterfaces`: one checker for an interface | [`Checker::takes`]: any number for a kind, in their order |
//! | `ICredentialsChecker.requestAvatarId` | [`Checker::check`] |
//! | `IRealm.requestAvatar` | [`Realm::admit`]; what an account has, the protocol looks up by its name |
//! | `InMemoryUsernamePasswordDatabaseDontUse` | [`Memory`] |
//! | `FilePasswordDB` | [`UsersFile`]; names and passwords are text and bytes at once (#10209, #11854, #12558) |
//! | `AllowAnonymousAccess`, `Anonymous` | [`AllowAnonymous`], [`Anonymous`] |
//! | `SSHPrivateKey`, `ISSHPrivateKey` | [`PublicKey`], whose signature the protocol has verified |
//! | `CramMD5Credentials` | [`CramMd5`], only where an option asks for it |
//! | `DigestedCredentials` | HTTP's own; needs passwords in the clear, or MD5 |
//! | `strcred.makeChecker("file:…")` | [`checker`] |
//! | `UnauthorizedLogin`, `UnhandledCredentials` | [`Refused::Denied`], [`Refused::NotTaken`] |
//!
//! # Features
//!
//! `checkers` (default) is what a server needs. A client does without: it then
//! builds [`sasl`] alone, and neither tokio nor argon2. `postgres` adds
//! `PostgresUsers`, for accounts in a database.
//!
//! There is no checker for PAM. Its library is C, calls back into the program,
//! wants to run as root to read shadow passwords, and costs what its modules
//! like, so that neither the cost of unknown users nor a deadline could be
//! promised. A host's own accounts are for SSH's keys and for a users file.
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
    AllowAnonymous, BadLine, CheckerError, EditError, ListedUser, Memory, NewHash, UsersEditor,
    UsersError, UsersFile, UsersOptions, checker,
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
