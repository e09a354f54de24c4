//! From the first line to the welcome: capabilities, SASL, a nick.
//!
//! <https://modern.ircdocs.horse/#connection-registration>,
//! <https://ircv3.net/specs/extensions/capability-negotiation>,
//! <https://ircv3.net/specs/extensions/sasl-3.2>.

use std::collections::BTreeMap;

use ropewalk_cred::sasl::{Channel, Client, ClientError, Mechanisms};

use super::Options;
use crate::proto::{
    authenticate::{Incoming, Piece, pieces},
    capability::{self, Entry},
    numeric::Numeric,
};

/// Why registration came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// No nick was to be had; the server is asked for others in
    /// [`Options::nicks`].
    #[error("none of the nicks {tried:?} can be had: {text}")]
    Nick {
        /// Which were tried.
        tried: Vec<String>,
        /// What the server said of the last.
        text: Box<str>,
    },
    /// The server has no SASL; [`Options::allow_without_login`] goes on without.
    #[error("the server has no SASL to log in with")]
    NoSasl,
    /// No login can be made, or the server is not who it says it is.
    #[error("cannot log in: {0}")]
    Sasl(#[from] ClientError),
    /// The server refused the login.
    #[error("the login was refused: {text}")]
    LoginRefused {
        /// Why.
        numeric: Numeric,
        /// In the server's words.
        text: Box<str>,
    },
    /// The server's password is wrong, or missing.
    #[error("the server's password was refused: {0}")]
    Password(Box<str>),
    /// The client is not welcome.
    #[error("banned: {0}")]
    Banned(Box<str>),
    /// The server did not say welcome in time.
    #[error("the server did not let us in within {0:?}")]
    TimedOut(std::time::Duration),
    /// What the options hold cannot stand in a line; the program is at fault.
    #[error("the {0} cannot stand in a line")]
    Unsendable(&'static str),
}

impl RegistrationError {
    /// Whether another attempt can only fail in the same way, or do harm: what
    /// was refused is refused again, and may lock the account.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Nick { .. } | Self::TimedOut(_))
    }
}

/// The state of it.
#[derive(Debug)]
pub(super) struct Registration {
    channel: Channel,
    /// What the server has, while it still lists it.
    offered: BTreeMap<Box<str>, Box<str>>,
    /// Lists of capabilities that were asked for and not yet answered.
    asked: Vec<String>,
    sasl: Option<Sasl>,
    /// Nicks that were tried.
    pub(super) tried: Vec<String>,
    negotiating: bool,
    pub(super) done: bool,
    /// Whether SASL came to a good end.
    pub(super) logged_in: bool,
}

#[derive(Debug)]
struct Sasl {
    client: Client,
    login: usize,
    incoming: Incoming,
    /// Whether anything was told to the server yet.
    told: bool,
    /// Mechanisms that the server turned out not to have.
    without: Vec<String>,
}

/// What is to be done next.
pub(super) enum Next {
    /// Say this.
    Send(Vec<String>),
    /// Nothing.
    Wait,
    Fail(RegistrationError),
}

impl Registration {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            offered: BTreeMap::new(),
            asked: Vec::new(),
            sasl: None,
            tried: Vec::new(),
            negotiating: true,
            done: false,
            logged_in: false,
        }
    }

    pub(super) fn offers(&self, name: &str) -> bool {
        self.offered.contains_key(name)
    }

    /// A list of what the server has.
    pub(super) fn listed(&mut self, list: &str, most: usize) {
        for Entry { name, value, .. } in capability::parse(list) {
            if self.offered.len() < most || self.offered.contains_key(name) {
                let value = value.unwrap_or_default();
                self.offered.insert(name.into(), value.into());
            }
        }
    }

    pub(super) fn withdrawn(&mut self, list: &str) {
        for Entry { name, .. } in capability::parse(list) {
            self.offered.remove(name);
        }
    }

    /// The value of a capability.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.offered.get(name).map(|it| &**it)
    }

    /// All is listed: what is wanted of it is asked for.
    pub(super) fn ask(&mut self, options: &Options, have: impl Fn(&str) -> bool) -> Next {
        let wants_sasl = !options.logins.is_empty() && !self.done;
        if wants_sasl && !self.offers("sasl") && !options.allow_without_login {
            return Next::Fail(RegistrationError::NoSasl);
        }
        let names: Vec<&str> = options
            .capabilities
            .iter()
            .map(String::as_str)
            .filter(|name| *name != "sasl")
            .chain(wants_sasl.then_some("sasl"))
            .filter(|name| self.offers(name) && !have(name))
            .collect();
        let entry = |name| Entry {
            off: false,
            name,
            value: None,
        };
        // Far below the length of a line.
        let lists = capability::lists(names.into_iter().map(entry), 400);
        let lists: Vec<_> = lists.into_iter().filter(|list| !list.is_empty()).collect();
        self.asked.extend(lists.iter().cloned());
        let lines: Vec<_> = lists
            .iter()
            .map(|list| format!("CAP REQ :{list}"))
            .collect();
        match lines.is_empty() {
            true => self.end(),
            false => Next::Send(lines),
        }
    }

    /// A list was taken or refused.
    pub(super) fn answered(&mut self, list: &str, taken: bool, options: &Options) -> Next {
        let list = list.trim();
        let same = |it: &String| it.trim() == list;
        let Some(at) = self.asked.iter().position(same) else {
            // Some servers answer in parts, or in another order.
            let names: Vec<_> = capability::parse(list).map(|it| it.name).collect();
            for asked in &mut self.asked {
                let rest = asked.split(' ').filter(|it| !names.contains(it));
                *asked = rest.collect::<Vec<_>>().join(" ");
            }
            self.asked.retain(|it| !it.is_empty());
            return self.proceed(list, taken, options);
        };
        self.asked.swap_remove(at);
        if !taken && list.contains(' ') {
            // One of them was refused, and with it all: one by one then.
            let names: Vec<String> = list.split(' ').map(str::to_owned).collect();
            let lines = names
                .iter()
                .map(|name| format!("CAP REQ :{name}"))
                .collect();
            self.asked.extend(names);
            return Next::Send(lines);
        }
        self.proceed(list, taken, options)
    }

    fn proceed(&mut self, list: &str, taken: bool, options: &Options) -> Next {
        if !taken {
            // It is not asked for again with the next that comes.
            self.withdrawn(list);
        }
        if capability::parse(list).any(|it| it.name == "sasl") && !self.done {
            if taken {
                return self.log_in(0, Vec::new(), options);
            }
            if !options.allow_without_login {
                return Next::Fail(RegistrationError::NoSasl);
            }
        }
        self.end()
    }

    /// Says that capabilities are settled, once they are.
    fn end(&mut self) -> Next {
        if !self.negotiating || !self.asked.is_empty() || self.sasl.is_some() {
            return Next::Wait;
        }
        self.negotiating = false;
        match self.done {
            true => Next::Wait,
            false => Next::Send(vec!["CAP END".to_owned()]),
        }
    }

    /// Begins with one login of the list, or the first behind it that can be.
    fn log_in(&mut self, first: usize, without: Vec<String>, options: &Options) -> Next {
        let listed = self.value("sasl").filter(|it| !it.is_empty());
        // Servers before version 302 do not say.
        let listed = listed.unwrap_or("SCRAM-SHA-256,EXTERNAL,PLAIN");
        let mut error = None;
        for (n, login) in options.logins.iter().enumerate().skip(first) {
            let tried =
                |name: &&str| n == first && without.iter().any(|it| it.eq_ignore_ascii_case(name));
            let names: Vec<_> = listed.split(',').filter(|it| !tried(it)).collect();
            let mechanisms = Mechanisms::parse(&names.join(" "));
            match mechanisms.choose(login, &self.channel, &options.sasl) {
                Ok(client) => {
                    let name = client.mechanism().name();
                    self.sasl = Some(Sasl {
                        client,
                        login: n,
                        incoming: Incoming::new(),
                        told: false,
                        without: if n == first { without } else { Vec::new() },
                    });
                    return Next::Send(vec![format!("AUTHENTICATE {name}")]);
                }
                Err(why) => error = Some(why),
            }
        }
        self.sasl = None;
        match error {
            Some(error) if !options.allow_without_login => Next::Fail(error.into()),
            _ => self.end(),
        }
    }

    /// A parameter of `AUTHENTICATE`.
    pub(super) fn challenge(&mut self, piece: &str) -> Next {
        let Some(sasl) = &mut self.sasl else {
            return Next::Wait;
        };
        let abort = || Next::Send(vec!["AUTHENTICATE *".to_owned()]);
        let challenge = match sasl.incoming.piece(piece) {
            Ok(Piece::More) => return Next::Wait,
            Ok(Piece::Whole(challenge)) => challenge,
            Ok(Piece::Abort) | Err(_) => return abort(),
        };
        match sasl.client.respond(&challenge) {
            Ok(response) => {
                sasl.told = true;
                let lines = pieces(&response).map(|piece| format!("AUTHENTICATE {piece}"));
                Next::Send(lines.collect())
            }
            // It did not prove to be who it should be, or makes no sense.
            Err(error) => Next::Fail(error.into()),
        }
    }

    /// A numeric from 902 to 908.
    pub(super) fn outcome(&mut self, numeric: Numeric, params: &[&str], options: &Options) -> Next {
        let Some(sasl) = &mut self.sasl else {
            return Next::Wait;
        };
        match numeric {
            Numeric::RPL_SASLSUCCESS => {
                let finished = sasl.client.finish(None);
                self.sasl = None;
                match finished {
                    Ok(()) => {
                        self.logged_in = true;
                        self.end()
                    }
                    Err(error) => Next::Fail(error.into()),
                }
            }
            Numeric::ERR_SASLALREADY => {
                self.logged_in = true;
                self.sasl = None;
                self.end()
            }
            Numeric::RPL_SASLMECHS => {
                if let Some(mechanisms) = params.get(1) {
                    self.offered.insert("sasl".into(), (*mechanisms).into());
                }
                Next::Wait
            }
            _ => {
                let mut without = std::mem::take(&mut sasl.without);
                let (login, told) = (sasl.login, sasl.told);
                without.push(sasl.client.mechanism().name().to_owned());
                self.sasl = None;
                // Whoever was told nothing refused the mechanism, not us.
                let (next, without) = match told {
                    true => (login + 1, Vec::new()),
                    false => (login, without),
                };
                if next < options.logins.len() {
                    match self.log_in(next, without, options) {
                        // The refusal says more than that nothing else is left.
                        Next::Fail(_) => {}
                        next => return next,
                    }
                }
                if options.allow_without_login {
                    return self.end();
                }
                let text = params.last().copied().unwrap_or_default().into();
                Next::Fail(RegistrationError::LoginRefused { numeric, text })
            }
        }
    }

    /// The welcome came: nothing is negotiated any more.
    pub(super) fn finish(&mut self) {
        self.done = true;
        self.negotiating = false;
        self.sasl = None;
    }

    /// The next nick to try.
    pub(super) fn next_nick(&mut self, options: &Options) -> Option<String> {
        if self.tried.len() >= options.limits.nicks {
            return None;
        }
        let first = options.nicks.first().map_or("guest", String::as_str);
        let suffixed = ["_", "__"]
            .into_iter()
            .map(|suffix| format!("{first}{suffix}"));
        // Short enough for servers that have nine bytes for a nick.
        let short: &str = &first[..first.floor_char_boundary(7)];
        let numbered = (1..100).map(|n| format!("{short}{n}"));
        let tried = &self.tried;
        let nick = (options.nicks.iter().cloned())
            .chain(suffixed)
            .chain(numbered)
            .find(|nick| !tried.contains(nick))?;
        self.tried.push(nick.clone());
        Some(nick)
    }
}
