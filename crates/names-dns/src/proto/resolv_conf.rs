//! The resolver's configuration file (resolv.conf(5)).

use std::{net::IpAddr, time::Duration};

use hickory_proto::rr::Name;

/// What a resolv.conf says. What it does not say has the defaults that are documented there.
///
/// ```
/// use ropewalk_names_dns::client::ResolvConf;
///
/// let conf = ResolvConf::parse("nameserver 192.0.2.53\nsearch example.org\noptions ndots:2 rotate");
/// assert_eq!(conf.servers, ["192.0.2.53".parse::<std::net::IpAddr>()?]);
/// assert!(conf.ndots == 2 && conf.rotate);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvConf {
    /// `nameserver`: whom to ask, at most [`MAX_SERVERS`](Self::MAX_SERVERS). None in the file
    /// means this machine.
    pub servers: Vec<IpAddr>,
    /// `search` or `domain`, the last that stands there: what is put behind short names.
    pub search: Vec<Name>,
    /// `options ndots:N`: a name with so many dots is asked for as it is first. Default 1; at most
    /// 15.
    pub ndots: usize,
    /// `options timeout:N`: the wait for one server. Default 5 s; at most 30 s.
    pub timeout: Duration,
    /// `options attempts:N`: rounds over the servers. Default 2; at most 5.
    pub attempts: u32,
    /// `options rotate`: another server first each time.
    pub rotate: bool,
    /// `options edns0`. What we ask has EDNS anyway; a server that does not know it is asked again.
    pub edns0: bool,
    /// `options trust-ad`: the AD bit is asked for, and believed.
    pub trust_ad: bool,
    /// `options use-vc`: by TCP alone.
    pub use_vc: bool,
    /// `options no-aaaa`: no look-ups of IPv6 addresses.
    pub no_aaaa: bool,
    /// `options no-tld-query`: a name without a dot is not asked for as it is.
    pub no_tld_query: bool,
    /// Lines and options that were passed over, with their line's number.
    pub unknown: Vec<(usize, String)>,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            edns0: false,
            trust_ad: false,
            use_vc: false,
            no_aaaa: false,
            no_tld_query: false,
            unknown: Vec::new(),
        }
    }
}

impl ResolvConf {
    /// Servers that are read; the system's own resolver takes three.
    pub const MAX_SERVERS: usize = 8;

    /// Domains that are searched.
    pub const MAX_SEARCH: usize = 32;

    /// Reads a file's text. What makes no sense is passed over and told in
    /// [`unknown`](Self::unknown): a slip in this file must not take the network away.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default();
            let mut complain = |what: &str| conf.unknown.push((number + 1, what.to_owned()));
            match keyword {
                "nameserver" => {
                    // A zone is taken off: such an address is nearly always of the only link.
                    let text = words.next().unwrap_or_default();
                    let address = text.split('%').next().unwrap_or_default().parse();
                    match address {
                        Ok(address) if conf.servers.len() < Self::MAX_SERVERS => {
                            if !conf.servers.contains(&address) {
                                conf.servers.push(address);
                            }
                        }
                        _ => complain(line),
                    }
                }
                "search" | "domain" => {
                    conf.search.clear();
                    let most = match keyword {
                        "domain" => 1,
                        _ => Self::MAX_SEARCH,
                    };
                    for word in words.take(most) {
                        match Name::from_ascii(word) {
                            Ok(mut name) => {
                                name.set_fqdn(true);
                                conf.search.push(name);
                            }
                            Err(_) => complain(word),
                        }
                    }
                }
                "options" => {
                    for word in words {
                        if !conf.option(word) {
                            conf.unknown.push((number + 1, word.to_owned()));
                        }
                    }
                }
                _ => complain(line),
            }
        }
        conf
    }

    fn option(&mut self, word: &str) -> bool {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u32>();
        match (name, number) {
            ("ndots", Ok(n)) => self.ndots = n.min(15) as usize,
            ("timeout", Ok(n)) => self.timeout = Duration::from_secs(n.clamp(1, 30).into()),
            ("attempts", Ok(n)) => self.attempts = n.clamp(1, 5),
            ("rotate", _) => self.rotate = true,
            ("edns0", _) => self.edns0 = true,
            ("trust-ad", _) => self.trust_ad = true,
            ("use-vc", _) => self.use_vc = true,
            ("no-aaaa", _) => self.no_aaaa = true,
            ("no-tld-query", _) => self.no_tld_query = true,
            // What these ask for is always so here: questions do not wait for each other, and a file
            // is read again when it changes, or is not read at all.
            ("single-request" | "single-request-reopen" | "no-reload" | "inet6", _) => {}
            _ => return false,
        }
        true
    }

    /// The names to ask for, in order, for one that somebody typed: as it is, and with each of the
    /// domains behind it. A name that ends in a dot is asked for as it is.
    pub fn candidates(&self, name: &Name) -> Vec<Name> {
        let mut whole = name.clone();
        whole.set_fqdn(true);
        if name.is_fqdn() {
            return vec![whole];
        }
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        let searched = self
            .search
            .iter()
            .filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut candidates: Vec<Name> = searched.collect();
        if dots >= self.ndots {
            candidates.insert(0, whole);
        } else if !(self.no_tld_query && dots == 0 && !candidates.is_empty()) {
            candidates.push(whole);
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_everything() {
        let text = "; generated\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver bad\n\
                    domain one.example\nsearch a.example b.example.\nsortlist 10.0.0.0\n\
                    options ndots:99 timeout:0 attempts:3 rotate edns0 trust-ad debug use-vc\n";
        let conf = ResolvConf::parse(text);
        assert_eq!(conf.servers.len(), 2);
        let search: Vec<String> = conf.search.iter().map(ToString::to_string).collect();
        assert_eq!(search, ["a.example.", "b.example."]);
        assert_eq!((conf.ndots, conf.attempts), (15, 3));
        assert_eq!(conf.timeout, Duration::from_secs(1));
        assert!(conf.rotate && conf.edns0 && conf.trust_ad && conf.use_vc);
        let lines: Vec<usize> = conf.unknown.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 7, 8]);
    }

    #[test]
    fn no_text_panics() {
        for text in [
            "options",
            "nameserver",
            "search",
            "options :",
            "options ndots:-1",
            "\0",
        ] {
            let _ = ResolvConf::parse(text);
        }
    }

    #[test]
    fn names_are_searched_by_their_dots() {
        let conf = ResolvConf::parse("search a.example b.example\noptions ndots:1");
        let names = |text: &str| -> Vec<String> {
            let name = Name::from_ascii(text).unwrap();
            conf.candidates(&name)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(names("www"), ["www.a.example.", "www.b.example.", "www."]);
        assert_eq!(
            names("www.x"),
            ["www.x.", "www.x.a.example.", "www.x.b.example."]
        );
        assert_eq!(names("www."), ["www."]);
    }
}
