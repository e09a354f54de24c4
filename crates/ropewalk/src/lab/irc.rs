//! The lab's IRC: a network with the demo account, and a channel to find each other in.

use ropewalk_core::factory;
use ropewalk_cred::Secret;
use ropewalk_words_irc::{
    proto::casemap::CaseMapping,
    server::{
        Network, NetworkOptions,
        accounts::{AccountOptions, Accounts},
        registered::{Channel, Store, Topic},
    },
};

use super::{IRC_PORT, IRC_TLS_PORT, LAB, Opening, PASSWORD, USER};
use crate::{failure::Failure, irc::IRC};

/// Where the table's line leads.
const CHANNEL: &str = "#lab";

impl Opening<'_> {
    /// Opens IRC in the clear and over TLS, one network.
    pub(super) async fn irc(&mut self) -> Result<(), Failure> {
        let network = network().await?;
        let endpoint = self.endpoint("tcp", IRC_PORT)?;
        let options = self.servers.options();
        let handler = factory(network.clone());
        let address = self
            .servers
            .stream(IRC, LAB, &endpoint, handler, options)
            .await?;
        self.table.row("irc", "tcp", &address, |at| {
            format!("irssi -c {} -p {} -n guest", at.ip(), at.port())
        });

        let endpoint = self.endpoint("tls", IRC_TLS_PORT)?;
        let options = self.tls_options();
        let address = self
            .servers
            .stream(IRC, LAB, &endpoint, factory(network), options)
            .await?;
        let ca = self.table.ca();
        self.table.row("irc", "tls", &address, |at| {
            format!(
                "(printf 'NICK guest\\nUSER guest 0 * :Guest\\nJOIN {CHANNEL}\\n'; cat; echo QUIT) | openssl s_client \
                 -quiet -verify_quiet -verify_return_error -verify_ip {} -CAfile {ca} -connect {at}",
                at.ip()
            )
        });
        Ok(())
    }
}

/// A network in memory, where the demo account can log in as mail and the like have it, on loopback
/// also without TLS.
async fn network() -> Result<Network, Failure> {
    let mut options = NetworkOptions::default();
    options.network = "Lab".into();
    options.server = "irc.lab.test".into();
    options.motd = vec![
        "This is the lab of Ropewalk, and gone when it ends.".into(),
        format!("/join {CHANNEL} to find whoever else is here."),
        format!(
            "Log in by SASL as {USER} with the password {PASSWORD}, or register with NickServ."
        ),
    ];
    let store = Store::in_memory(CaseMapping::Ascii);
    let mut allowed = AccountOptions::default();
    allowed.allow_passwords_without_tls = true;
    let accounts = Accounts::new(store.clone(), allowed);
    let password = Secret::from(PASSWORD);
    let registered = accounts.register(USER, None, &password, None).await;
    registered.map_err(Failure::run)?;
    let now = ropewalk_core::wall_clock();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let mut channel = Channel::default();
    channel.name = CHANNEL.into();
    channel.founder = USER.into();
    channel.created = now.as_secs();
    channel.registered = now.as_secs();
    channel.modes = "nt".into();
    channel.topic = Some(Topic {
        text: "Welcome to the lab. Whatever you say here is read by nobody else.".into(),
        by: "irc.lab.test".into(),
        at: now.as_secs(),
    });
    store.change(|registered| registered.add_channel(channel));
    options.accounts = Some(std::sync::Arc::new(accounts));
    Ok(Network::new(options))
}
