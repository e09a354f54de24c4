//! The server: a network of channels on any number of endpoints.
//!
//! | module | subject |
//! | --- | --- |
//! | `network` | the value that a program holds; [`Network`] |
//! | `connection` | a client on a connection of its own |
//! | `link` | lines, time and outcomes into the network; whatever carries them |
//! | `state` | who is there, which channels, who is told what; no I/O |
//! | `turn` | what one client does, and what it is answered |
//! | `commands` | a file for each group, and the table of all |
//! | `fanout` | many messages to one channel as one shared piece |
//! | `event` | what others are told, as each may see it |
//! | `passwords` | the network's own, operators', gateways' |
//! | `pages` | long answers, a page at a time |
//! | [`accounts`] | who may log in, and how one comes to have an account |
//! | [`registered`] | accounts, channels and bans, and the file that keeps them |
//! | `records` | registered channels and clients that follow what is kept |
//! | `history`, `monitor` | what was said; who watches whom |
//! | `services` | `NickServ` and `ChanServ` |
//! | `hooks` | what happened, for history and the like |
//!
//! A command is a function in a file under `commands` and a line in its table; a capability is a
//! line in `capabilities`; a token of `ISUPPORT` is a line in `settings`.
//!
//! It does not know other servers.

pub mod accounts;
mod capabilities;
mod channel;
mod client;
mod clock;
mod commands;
mod connection;
mod event;
mod fanout;
mod history;
mod hooks;
mod link;
mod monitor;
mod network;
mod options;
mod pages;
mod passwords;
mod records;
pub mod registered;
mod services;
mod settings;
mod slab;
mod state;
mod turn;
mod whowas;
mod work;

pub use self::{
    commands::webirc::Gateway,
    connection::{Connection, Timer},
    history::HistoryLimits,
    network::{Counts, Network},
    options::{Admin, Flood, NetworkLimits, NetworkOptions, Oper, ServerBan},
    work::Completion,
};
