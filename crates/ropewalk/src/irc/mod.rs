//! `ropewalk irc`: a network of channels.
//!
//! The server is of `ropewalk-words-irc`; here are the arguments, the files that they name and SIGHUP
//! and an operator's `REHASH` read again (`files`), and who may log in (`accounts`).

mod accounts;
mod files;

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use ropewalk_core::{Metrics, ServerEndpoint, factory};
use ropewalk_words_irc::{
    server::{Admin, Counts, Gateway, HistoryLimits, Network, NetworkOptions, Oper},
    websocket::{Accept, AcceptOptions},
};

use self::{
    accounts::AccountArgs,
    files::{Files, Password},
};
use crate::{
    failure::Failure,
    options::Tls,
    plan::{Plan, ServerArgs, Service},
};

pub(crate) const IRC: Service = Service {
    name: "irc",
    files: 1,
};

/// The same over WebSocket, so that scripts can tell the listeners apart.
const WEBSOCKET: Service = Service {
    name: "irc-websocket",
    files: 1,
};

/// The arguments of `ropewalk irc`.
#[derive(Args)]
pub(crate) struct IrcServer {
    /// Where to listen: tcp:PORT (loopback; interface=* for all), tls:PORT, unix:PATH, fd:NUMBER,
    /// haproxy/tcp:PORT; may be repeated
    #[arg(long, value_name = "ENDPOINT", required = true)]
    listen: Vec<ServerEndpoint>,

    /// Where to listen for WebSocket, which browsers speak: the same endpoints; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    websocket: Vec<ServerEndpoint>,

    /// An origin whose pages may connect by WebSocket, such as https://chat.example.org; may be
    /// repeated [default: pages from anywhere]
    #[arg(long, value_name = "URL", requires = "websocket", value_parser = origin)]
    origin: Vec<String>,

    /// What the network is called
    #[arg(long, value_name = "NETWORK", default_value = "Ropewalk", value_parser = network_name)]
    name: String,

    /// The server's own name, from which its messages come: a host name with a dot in it
    #[arg(long, value_name = "HOST", default_value = "irc.local", value_parser = server_name)]
    server_name: String,

    /// A password that everybody must give to be let in, or its hash. Accounts of this machine can
    /// see the arguments of a program: --password-file keeps it from them
    #[arg(long, value_name = "PASSWORD", value_parser = Password::parse)]
    password: Option<Password>,

    /// A file with that password, or its hash, as its only line
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,

    /// An operator: who gives this name and the password of this hash to OPER; may be repeated
    #[arg(long, value_name = "NAME:HASH", value_parser = files::oper)]
    oper: Vec<Oper>,

    /// A file of operators, lines of NAME:HASH as `ropewalk user add --users` writes them
    #[arg(long, value_name = "FILE")]
    opers: Option<PathBuf>,

    /// The message of the day, text in UTF-8
    #[arg(long, value_name = "FILE")]
    motd: Option<PathBuf>,

    /// A file of those who are not let in, lines of a mask and a reason: *!*@192.0.2.* Spam
    #[arg(long, value_name = "FILE")]
    bans: Option<PathBuf>,

    /// What the server is, for WHOIS and LINKS
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Where to write to whoever runs it, for ADMIN
    #[arg(long, value_name = "ADDRESS")]
    admin_email: Option<String>,

    /// Messages of a channel that are kept, in memory, for those who ask what was said; 0 keeps none
    #[arg(long, value_name = "N", default_value_t = HistoryLimits::default().messages)]
    history: usize,

    /// Messages that one is told on joining a channel who does not ask
    #[arg(long, value_name = "N", default_value_t = 0)]
    playback: usize,

    /// A gateway that may say on whose behalf it connects (WEBIRC): its addresses, and the hash of its
    /// password; may be repeated
    #[arg(long, value_name = "ADDRESS,…=HASH", value_parser = files::gateway)]
    webirc: Vec<Gateway>,

    #[command(flatten)]
    accounts: AccountArgs,

    #[command(flatten)]
    tls: Tls,
}

impl ServerArgs for IrcServer {
    async fn plan(self, plan: &mut Plan) {
        let mut options = NetworkOptions::default();
        options.network = self.name;
        options.server = self.server_name;
        options.opers = self.oper;
        if let Some(description) = self.description {
            options.description = description;
        }
        options.admin = self
            .admin_email
            .map(|email| Admin::new(options.description.clone(), options.network.clone(), email));
        options.password = self.password.map(|password| password.0);
        options.history.messages = self.history;
        options.playback = self.playback;
        options.gateways = self.webirc;
        options.accounts = self.accounts.open(plan, options.case_mapping);
        let files = Files {
            options,
            password: self.password_file,
            opers: self.opers,
            motd: self.motd,
            bans: self.bans,
        };
        let options = files.read().unwrap_or_else(|wrong| {
            wrong.into_iter().for_each(|failure| plan.fault(failure));
            files.options.clone()
        });
        let network = Network::new(options);
        read_again(plan, &network, files);
        let counted = network.clone();
        plan.measure(move |metrics| measure(metrics, &counted));
        let tls = plan.tls(&self.tls);
        for endpoint in &self.listen {
            let options = plan.options(tls.as_ref());
            plan.stream(IRC, "--listen", endpoint, factory(network.clone()), options);
        }
        let mut accept = AcceptOptions::default();
        accept.origins = self.origin;
        let accept = Arc::new(Accept(accept));
        for endpoint in &self.websocket {
            let mut options = plan.options(tls.as_ref());
            options.layers.push(accept.clone());
            let handler = factory(network.clone());
            plan.stream(WEBSOCKET, "--websocket", endpoint, handler, options);
        }
    }
}

/// Lets SIGHUP and `REHASH` read the files again.
fn read_again(plan: &mut Plan, network: &Network, files: Files) {
    let files = Arc::new(files);
    let again = files.clone();
    network.on_rehash(move |network| match again.read() {
        Ok(options) => {
            network.reload(options);
            tracing::info!("REHASH: reloaded {WHAT}");
        }
        Err(wrong) => {
            let wrong = Failure::of(wrong);
            tracing::error!("REHASH: {}; {WHAT} of before are kept", wrong.text());
        }
    });
    let network = network.clone();
    plan.reload(WHAT, move || {
        network.reload(files.read().map_err(Failure::of)?);
        Ok(())
    });
}

const WHAT: &str = "the message of the day, operators and bans";

/// Counts what there is in a network, when somebody looks.
fn measure(metrics: &Metrics, network: &Network) {
    // Told apart by name, where a site has several.
    let name: &'static str = String::leak(network.name());
    let labels = [("network", name)];
    let gauge = |metric, help, of: fn(Counts) -> usize| {
        let network = network.clone();
        let count = move || i64::try_from(of(network.counts())).unwrap_or(i64::MAX);
        metrics.gauge_asked(metric, help, &labels, count);
    };
    gauge("ropewalk_irc_users", "Registered clients.", |it| it.users);
    gauge("ropewalk_irc_opers", "Operators among them.", |it| it.opers);
    gauge(
        "ropewalk_irc_unregistered",
        "Connections that have not registered.",
        |it| it.unregistered,
    );
    gauge("ropewalk_irc_channels", "Channels.", |it| it.channels);
    let counter = |metric, help, of: fn(Counts) -> u64| {
        let network = network.clone();
        metrics.counter_asked(metric, help, &labels, move || of(network.counts()));
    };
    counter(
        "ropewalk_irc_messages_total",
        "Messages taken from clients.",
        |it| it.messages,
    );
    counter(
        "ropewalk_irc_overflows_total",
        "Clients given up since they did not read.",
        |it| it.overflows,
    );
    counter(
        "ropewalk_irc_floods_total",
        "Clients given up since they sent too fast.",
        |it| it.floods,
    );
}

fn network_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    match !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("expected a name without spaces, of 64 bytes at most".into()),
    }
}

fn server_name(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        !label.is_empty() && label.bytes().all(plain) && !label.starts_with('-')
    };
    match text.len() <= 63 && text.contains('.') && text.split('.').all(is_label) {
        true => Ok(text.to_owned()),
        false => Err("expected a host name with a dot in it, such as irc.example.org".into()),
    }
}

/// As browsers name it: what else they are given no page has, and nobody could connect.
fn origin(text: &str) -> Result<String, String> {
    let (scheme, host) = text.split_once("://").unwrap_or_default();
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | '?' | '#');
    match !scheme.is_empty() && !host.is_empty() && host.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("expected an origin without a path, such as https://chat.example.org".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_such_as_browsers_send() {
        assert!(origin("https://chat.example.org").is_ok() && origin("http://[::1]:8080").is_ok());
        for bad in [
            "",
            "chat.example.org",
            "https://",
            "https://a.org/",
            "://a",
            "https://a b",
        ] {
            assert!(origin(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_such_as_clients_can_read() {
        assert!(network_name("ExampleNet").is_ok() && network_name("Größe").is_ok());
        assert!(server_name("irc.example.org").is_ok());
        for bad in ["", "a b", "a\u{7}"] {
            assert!(network_name(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "irc",
            "irc.",
            ".irc",
            "a b.c",
            "-a.b",
            "nick!user@host.x",
        ] {
            assert!(server_name(bad).is_err(), "{bad:?}");
        }
    }
}
