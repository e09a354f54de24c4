//! The hosts file: addresses and names of this machine's neighbourhood (hosts(5)).

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use hickory_proto::rr::Name;

/// What a hosts file says.
///
/// ```
/// use ropewalk_names_dns::client::Hosts;
///
/// let hosts = Hosts::parse("127.0.0.1 localhost\n192.0.2.7 db.example db  # ours\n");
/// assert_eq!(hosts.addresses("DB"), ["192.0.2.7".parse::<std::net::IpAddr>()?]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    addresses: HashMap<String, Vec<IpAddr>>,
    names: HashMap<IpAddr, Vec<Name>>,
}

impl Hosts {
    /// Reads a file's text. A line that makes no sense is passed over, as everybody does.
    pub fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        // Lists of names to block have hundreds of thousands of them at one address.
        let mut seen = HashSet::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next() else {
                continue;
            };
            // A zone (`fe80::1%eth0`) says where, which an address in an answer cannot.
            let Ok(address) = address.parse::<IpAddr>() else {
                continue;
            };
            for word in words {
                let Ok(mut name) = Name::from_ascii(word) else {
                    continue;
                };
                name.set_fqdn(true);
                if !seen.insert((address, key(word))) {
                    continue;
                }
                hosts.addresses.entry(key(word)).or_default().push(address);
                hosts.names.entry(address).or_default().push(name);
            }
        }
        hosts
    }

    /// The addresses of a name, in the file's order; none if the file does not have it.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.addresses.get(&key(name)).map_or(&[], Vec::as_slice)
    }

    /// The names of an address, in the file's order.
    pub fn names(&self, address: IpAddr) -> &[Name] {
        self.names.get(&address).map_or(&[], Vec::as_slice)
    }
}

fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time goes with the length of the text; if it went with its square, this would not end.
    #[test]
    fn a_list_of_names_to_block_is_read() {
        let text: String = (0..200_000)
            .map(|n| format!("0.0.0.0 ad{n}.example AD{n}.example.\n"))
            .collect();
        let hosts = Hosts::parse(&text);
        assert_eq!(hosts.names(IpAddr::from([0; 4])).len(), 200_000);
        assert_eq!(hosts.addresses("ad7.example").len(), 1);
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let text = "# all\n\n::1 localhost ip6-localhost\nnonsense here\n127.0.0.1\tlocalhost\n\
                    192.0.2.1 a.example. a a #b\n192.0.2.1 c\n192.0.2.2";
        let hosts = Hosts::parse(text);
        let ips = |name: &str| -> Vec<String> {
            hosts
                .addresses(name)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(ips("localhost."), ["::1", "127.0.0.1"]);
        assert_eq!(ips("A.example"), ["192.0.2.1"]);
        assert!(ips("b").is_empty() && ips("here").is_empty());
        let names = hosts.names("192.0.2.1".parse().unwrap());
        assert_eq!(
            names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a.example.", "a.", "c."]
        );
    }
}
