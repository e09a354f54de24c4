//! Who may: by network or by key.

use std::{fmt, net::IpAddr, str::FromStr};

use ropewalk_core::{Address, endpoint::Network};

use crate::proto::{Name, NameError, NameRef};

/// A list of whom something is allowed to. Each entry admits by itself; an
/// empty list admits nobody.
///
/// ```
/// use ropewalk_names_dns::server::replication::{Access, Grant};
///
/// let access: Access = ["192.0.2.0/24", "transfer.example"]
///     .into_iter()
///     .map(str::parse::<Grant>)
///     .collect::<Result<_, _>>()?;
/// let near: std::net::SocketAddr = "192.0.2.7:53".parse()?;
/// let far: std::net::SocketAddr = "198.51.100.7:53".parse()?;
/// assert!(access.admits(&near.into(), None));
/// assert!(!access.admits(&far.into(), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access(Vec<Grant>);

/// One entry of an [`Access`] list: a network (`192.0.2.0/24`, `::1`), or the
/// name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// Whoever comes from this network. Over UDP addresses can be forged.
    Network(Network),
    /// Whoever signs with the key of this name.
    Key(Name),
}

impl Access {
    /// Nobody.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Whether nobody is admitted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Adds an entry.
    pub fn add(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// Whether somebody is admitted who comes from there and has signed with
    /// this key. What comes from no address of the Internet, such as a Unix
    /// socket, is admitted by a key alone.
    pub fn admits(&self, from: &Address, key: Option<&Name>) -> bool {
        let from: Option<IpAddr> = from.inet().map(|address| address.ip());
        self.0.iter().any(|grant| match grant {
            Grant::Network(network) => from.is_some_and(|from| network.contains(from)),
            Grant::Key(name) => key == Some(name),
        })
    }
}

impl FromIterator<Grant> for Access {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl FromStr for Grant {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        // What looks like an address is none by a slip of the pen, and no key.
        if text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok() {
            return Err(NameError::Empty);
        }
        Name::from_text(text.as_bytes(), Some(NameRef::ROOT)).map(Self::Key)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Key(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn each_entry_admits_by_itself() {
        let access: Access = ["10.0.0.0/8", "::1", "Key.Example"]
            .map(|text| text.parse::<Grant>().unwrap())
            .into_iter()
            .collect();
        let from = |text: &str| Address::from(text.parse::<SocketAddr>().unwrap());
        let key = |name: &str| Name::from_text(name.as_bytes(), None).unwrap();
        assert!(access.admits(&from("10.1.2.3:5"), None));
        assert!(access.admits(&from("[::1]:5"), None));
        assert!(!access.admits(&from("11.1.2.3:5"), None));
        assert!(access.admits(&from("11.1.2.3:5"), Some(&key("kEY.example."))));
        assert!(!access.admits(&from("11.1.2.3:5"), Some(&key("other.example."))));
        assert!(!Access::nobody().admits(&from("127.0.0.1:5"), None));
        for bad in ["10.0.0.1/8", "::1/200", "", "a..b", "fe80::"] {
            assert!(bad.parse::<Grant>().is_err() || bad == "fe80::", "{bad}");
        }
    }
}
