//! SOCKS5 as a client speaks it (RFC 1928), with a user's name and password (RFC 1929).
//!
//! CONNECT alone: no BIND, no UDP, no GSSAPI.

use super::{Destination, Login, Opening};
use crate::schemes::ProxyRefusal;

/// A client's side of the conversation.
pub(crate) struct Socks5 {
    destination: Destination,
    port: u16,
    login: Option<Login>,
    state: State,
    output: Vec<u8>,
    read: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The method that the proxy chooses.
    Method,
    /// What it says to the password.
    Verdict,
    /// What it says to the request.
    Reply,
    Over,
}

impl Socks5 {
    /// Asks for a host and port. A name, a user and a password of more than 255 bytes are cut off by
    /// nobody: the caller has refused them.
    pub(crate) fn new(destination: Destination, port: u16, login: Option<Login>) -> Self {
        let output = match login {
            None => vec![VERSION, 1, NO_AUTHENTICATION],
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD],
        };
        Self {
            destination,
            port,
            login,
            state: State::Method,
            output,
            read: Vec::new(),
        }
    }

    fn method(&mut self, chosen: u8) -> Result<(), ProxyRefusal> {
        match (chosen, &self.login) {
            (NO_AUTHENTICATION, _) => self.request(),
            (USERNAME_PASSWORD, Some(login)) => {
                self.output.push(AUTHENTICATION_VERSION);
                self.output.extend(counted(login.user.as_bytes()));
                self.output.extend(counted(login.password.as_bytes()));
                self.state = State::Verdict;
            }
            (NO_ACCEPTABLE_METHOD, None) => return Err(ProxyRefusal::PasswordNeeded),
            (NO_ACCEPTABLE_METHOD, Some(_)) => {
                return Err(ProxyRefusal::Malformed("it takes no password"));
            }
            _ => {
                return Err(ProxyRefusal::Malformed(
                    "it chose a method that was not offered",
                ));
            }
        }
        Ok(())
    }

    fn request(&mut self) {
        self.output.extend([VERSION, CONNECT, 0]);
        match &self.destination {
            Destination::Address(std::net::IpAddr::V4(v4)) => {
                self.output.push(IPV4);
                self.output.extend(v4.octets());
            }
            Destination::Address(std::net::IpAddr::V6(v6)) => {
                self.output.push(IPV6);
                self.output.extend(v6.octets());
            }
            Destination::Name(name) => {
                self.output.push(NAME);
                self.output.extend(counted(name.as_bytes()));
            }
        }
        self.output.extend(self.port.to_be_bytes());
        self.state = State::Reply;
    }

    /// Looks at what was read after each byte, so that it is refused as early wherever segments
    /// end.
    fn take(&mut self, byte: u8) -> Result<(), ProxyRefusal> {
        self.read.push(byte);
        match (self.state, self.read.as_slice()) {
            (State::Method | State::Reply, [version, ..]) if *version != VERSION => {
                return Err(ProxyRefusal::Malformed("it does not speak SOCKS5"));
            }
            (State::Method, [_, chosen]) => {
                let chosen = *chosen;
                self.read.clear();
                self.method(chosen)?;
            }
            (State::Verdict, [version, ..]) if *version != AUTHENTICATION_VERSION => {
                return Err(ProxyRefusal::Malformed(
                    "an unknown version of its password check",
                ));
            }
            (State::Verdict, [_, 0]) => {
                self.read.clear();
                self.request();
            }
            (State::Verdict, [_, _]) => return Err(ProxyRefusal::PasswordRefused),
            (State::Reply, [_, reply]) => refused(*reply)?,
            (State::Reply, [_, _, _, kind]) if !matches!(*kind, IPV4 | IPV6 | NAME) => {
                return Err(ProxyRefusal::Malformed("an unknown kind of address"));
            }
            (State::Reply, _) if self.wants() == 0 => self.state = State::Over,
            _ => {}
        }
        Ok(())
    }
}

impl Opening for Socks5 {
    type Error = ProxyRefusal;

    fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn wants(&self) -> usize {
        let length = match (self.state, self.read.get(3), self.read.get(4)) {
            (State::Over, _, _) => return 0,
            (State::Method | State::Verdict, _, _) => 2,
            (State::Reply, Some(&IPV4), _) => 4 + 4 + 2,
            (State::Reply, Some(&IPV6), _) => 4 + 16 + 2,
            (State::Reply, _, Some(name)) => 4 + 1 + usize::from(*name) + 2,
            // A reply with a name of no bytes is the shortest.
            (State::Reply, _, None) => 4 + 1 + 2,
        };
        length - self.read.len()
    }

    fn received(&mut self, bytes: &[u8]) -> Result<(), ProxyRefusal> {
        bytes.iter().try_for_each(|byte| self.take(*byte))
    }
}

/// RFC 1928, section 6.
fn refused(reply: u8) -> Result<(), ProxyRefusal> {
    Err(match reply {
        0 => return Ok(()),
        1 => ProxyRefusal::Failed,
        2 => ProxyRefusal::NotAllowed,
        3 => ProxyRefusal::NetworkUnreachable,
        4 => ProxyRefusal::HostUnreachable,
        5 => ProxyRefusal::ConnectionRefused,
        6 => ProxyRefusal::TimedOut,
        7 => ProxyRefusal::CommandNotSupported,
        8 => ProxyRefusal::AddressNotSupported,
        other => ProxyRefusal::Other(other),
    })
}

/// A text behind its length.
fn counted(text: &[u8]) -> impl Iterator<Item = u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    std::iter::once(length).chain(text.iter().copied().take(length.into()))
}

const VERSION: u8 = 5;
const AUTHENTICATION_VERSION: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
