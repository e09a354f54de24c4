//! `WEBIRC`: a gateway says on whose behalf it connects
//! (<https://ircv3.net/specs/extensions/webirc>).
//!
//! It is believed from the addresses that an operator names, and with the
//! password that goes with them; whoever else sends it is gone. A proxy that
//! speaks PROXY is the endpoint's business (`haproxy/…`).

use std::{net::IpAddr, sync::Arc};

use ropewalk_cred::PasswordHash;

use super::authenticate::peer;
use crate::{
    proto::message::Message,
    server::{passwords::check, turn::Turn},
};

/// A gateway that may say on whose behalf it connects.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gateway {
    /// Where it connects from.
    pub addresses: Vec<IpAddr>,
    /// What fits the password that it gives.
    pub password: Arc<PasswordHash>,
}

impl Gateway {
    /// One that connects from these addresses.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>, password: PasswordHash) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            password: Arc::new(password),
        }
    }
}

/// `WEBIRC <password> <gateway> <host> <address> [<options>]`
pub(crate) fn webirc(turn: &mut Turn<'_>, message: &Message<'_>) {
    let [password, _, host, address, ..] = message.params[..] else {
        return turn.needs_params("WEBIRC");
    };
    // Who has begun to register is somebody already.
    let first = turn
        .net
        .registering(turn.id)
        .is_some_and(|it| !it.nick && !it.user && !it.gateway);
    let from = peer(turn.me());
    let gateways = &turn.net.settings.options.gateways;
    let believed: Vec<_> = gateways
        .iter()
        .filter(|it| from.is_some_and(|from| it.addresses.contains(&from)))
        .map(|it| it.password.clone())
        .collect();
    // Some write an IPv6 address so that it can be a parameter in the middle.
    let address = address
        .strip_prefix("0::")
        .map_or(address.to_owned(), |rest| format!("::{rest}"));
    let (Ok(address), true, false) = (address.parse::<IpAddr>(), first, believed.is_empty()) else {
        tracing::warn!(peer = &*turn.me().address, "WEBIRC from who may not say so");
        return turn.net.remove(turn.id, "WEBIRC is not for you");
    };
    let options = message.param(4).unwrap_or_default();
    let secure = options
        .split(' ')
        .any(|option| option.split('=').next() == Some("secure"));
    let host = is_host(host).then(|| host.to_owned());
    check(turn, None, believed, password, move |turn, fits| {
        if !fits.unwrap_or(false) {
            tracing::warn!(peer = &*turn.me().address, "WEBIRC with a wrong password");
            return turn.net.remove(turn.id, "WEBIRC is not for you");
        }
        let address = crate::server::link::shown(address);
        let me = turn.me_mut();
        me.host = host.unwrap_or_else(|| address.clone()).into();
        me.address = address.into();
        // The whole way must be, the gateway's own part with it.
        me.secure &= secure;
        #[cfg(feature = "tls")]
        {
            me.tls = None;
        }
        me.renew_source();
        if let Some(registering) = turn.net.registering(turn.id) {
            registering.gateway = true;
        }
    });
}

/// Whether a text can be a host in `nick!user@host`.
fn is_host(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'_' | b'/');
    text.len() <= 63
        && text.bytes().all(fits)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}
