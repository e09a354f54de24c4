//! The fields of `systemd`, which names a socket that the service manager passed on.

use std::fmt;

use super::error::ParseError;
use super::fields::{Fields, Shape};
use super::grammar::Escaped;

/// One of the sockets that were passed on (sd_listen_fds(3)): by name, by number, or by number
/// among those of one name, since a unit may give several sockets the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SystemdListen {
    pub(crate) name: Option<String>,
    /// From 0 on.
    pub(crate) index: Option<u16>,
}

impl SystemdListen {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ParseError> {
        let name = fields.optional("name").map(|name| name.text.to_owned());
        let index = fields.optional("index").map(|index| index.port(0));
        let index = index.transpose()?;
        if name.is_none() && index.is_none() {
            return Err(fields.missing("name", "name=NAME or index=NUMBER"));
        }
        Ok(Self { name, index })
    }
}

impl fmt::Display for SystemdListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            let text = Escaped {
                text: name,
                positional: false,
                jump: false,
            };
            write!(f, ":name={text}")?;
        }
        match self.index {
            Some(index) => write!(f, ":index={index}"),
            None => Ok(()),
        }
    }
}

pub(super) const SYSTEMD: Shape = Shape {
    form: "systemd:",
    slots: &[],
    keywords: &["name", "index"],
    flags: &[],
};
