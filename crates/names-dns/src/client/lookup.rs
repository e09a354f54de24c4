//! The verbs: what is asked of a resolver, and what it says.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use futures_util::future::join;
use hickory_proto::{
    op::Message,
    rr::{IntoName, Name, RData, Record, RecordType, rdata},
};

use super::{Answer, Families, Kind, LookupError, Query, Resolver};
use crate::proto::{
    aliases::{End, follow},
    private,
    special::{self, Special},
    srv_order,
};

/// Records that were found, and how.
#[derive(Clone, Debug)]
pub struct Lookup {
    query: Query,
    records: Vec<Record>,
    aliases: Vec<Name>,
    message: Message,
    ttl: Duration,
    is_stale: bool,
}

impl Lookup {
    /// What was asked last: the end of the aliases, if there were any.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The records of the type that was asked for, of the name or of that which its aliases lead
    /// to. There is at least one.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Goes through what these records say.
    pub fn data(&self) -> impl Iterator<Item = &RData> {
        self.records.iter().map(|record| &record.data)
    }

    /// The aliases on the way, each leading to the next; the last one's are the records.
    pub fn aliases(&self) -> &[Name] {
        &self.aliases
    }

    /// For how long all of it holds.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// It had expired, and nothing newer was to be had (RFC 8767).
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The server says that it checked signatures, and they were good (the AD bit). Worth as much as
    /// the server and the way to it.
    pub fn is_authentic(&self) -> bool {
        self.message.metadata.authentic_data
    }

    /// The whole last answer.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in &self.records {
            writeln!(f, "{record}")?;
        }
        Ok(())
    }
}

/// A look-up of one type, with the data alone.
macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident: $variant:ident($data:ty);)*) => {
        impl Resolver {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// As [`lookup`](Self::lookup).
                pub async fn $verb(&self, name: impl IntoName) -> Result<Vec<$data>, LookupError> {
                    let found = self.lookup(name, RecordType::$variant).await?;
                    let data = found.records.into_iter().filter_map(|record| match record.data {
                        RData::$variant(data) => Some(data),
                        _ => None,
                    });
                    Ok(data.collect())
                }
            )*
        }
    };
}

verbs! {
    /// The texts of a name (TXT).
    txt: TXT(rdata::TXT);
    /// The servers of a zone (NS).
    ns: NS(rdata::NS);
    /// Who may issue certificates for a name (CAA, RFC 8659).
    caa: CAA(rdata::CAA);
    /// What certificates a service has (TLSA, RFC 6698), by a name such as `_25._tcp.mx.example`.
    tlsa: TLSA(rdata::TLSA);
    /// How a service is reached (SVCB, RFC 9460); see [`https`](Self::https) for the web.
    svcb: SVCB(rdata::SVCB);
    /// How a web site is reached (HTTPS, RFC 9460).
    https: HTTPS(rdata::HTTPS);
    /// The keys of SSH servers (SSHFP, RFC 4255).
    sshfp: SSHFP(rdata::SSHFP);
    /// Rules to rewrite names by (NAPTR, RFC 3403).
    naptr: NAPTR(rdata::NAPTR);
    /// What a name is an alias for (CNAME), not followed further.
    cname: CNAME(rdata::CNAME);
    /// The names of a name below `in-addr.arpa` or `ip6.arpa` (PTR); see
    /// [`reverse`](Self::reverse) for addresses.
    ptr: PTR(rdata::PTR);
    /// What a machine is (HINFO).
    hinfo: HINFO(rdata::HINFO);
    /// Certificates (CERT, RFC 4398).
    cert: CERT(rdata::CERT);
    /// Keys of OpenPGP (RFC 7929).
    openpgpkey: OPENPGPKEY(rdata::OPENPGPKEY);
}

impl Resolver {
    /// Looks up the records of one type, along aliases, by what the files say or the servers. A name
    /// without a final dot is searched for as the options or resolv.conf have it.
    ///
    /// # Errors
    /// [`LookupError`] says whether there is nothing, or nobody knows.
    pub async fn lookup(
        &self,
        name: impl IntoName,
        record_type: RecordType,
    ) -> Result<Lookup, LookupError> {
        let name = read(name)?;
        self.inner.look().await;
        let mut nothing = None;
        for candidate in self.inner.candidates(&name) {
            match self.lookup_whole(&candidate, record_type).await {
                // That the name is there tells more than that others are not.
                Err(error @ LookupError::NoRecords { .. }) => nothing = Some(error),
                Err(error @ LookupError::NoName { .. }) => {
                    nothing = nothing.or(Some(error));
                }
                result => return result,
            }
        }
        Err(nothing.unwrap_or_else(|| no_name(&Query::new(&name, record_type))))
    }

    /// The addresses of a host, those to be tried first at the front: families in turn, beginning
    /// with IPv6 (RFC 8305, section 4). An address as text is itself.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup). If one family fails and the other has addresses, these are the
    /// answer.
    pub async fn lookup_ip(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        self.inner.look().await;
        if let Some(hosts) = self.inner.hosts() {
            let known = hosts.addresses(host).to_vec();
            let known = interleaved(known, self.inner.options.families);
            if !known.is_empty() {
                return Ok(known);
            }
        }
        let name = read(host)?;
        let mut nothing = None;
        for candidate in self.inner.candidates(&name) {
            match self.addresses(&candidate).await {
                Ok(addresses) => return Ok(addresses),
                Err(error) if error.is_negative() => {
                    nothing = match (&nothing, &error) {
                        (Some(_), LookupError::NoName { .. }) => nothing,
                        _ => Some(error),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        Err(nothing.unwrap_or_else(|| no_name(&Query::new(&name, RecordType::A))))
    }

    /// The IPv4 addresses of a host.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn ipv4(&self, name: impl IntoName) -> Result<Vec<Ipv4Addr>, LookupError> {
        let found = self.lookup(name, RecordType::A).await?;
        Ok(found
            .data()
            .filter_map(|d| d.ip_addr())
            .filter_map(v4)
            .collect())
    }

    /// The IPv6 addresses of a host.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn ipv6(&self, name: impl IntoName) -> Result<Vec<Ipv6Addr>, LookupError> {
        let found = self.lookup(name, RecordType::AAAA).await?;
        Ok(found
            .data()
            .filter_map(|d| d.ip_addr())
            .filter_map(v6)
            .collect())
    }

    /// Where mail for a domain goes (MX), the most preferred first. A single one with the exchange
    /// `.` means that the domain takes no mail (RFC 7505).
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn mx(&self, name: impl IntoName) -> Result<Vec<rdata::MX>, LookupError> {
        let found = self.lookup(name, RecordType::MX).await?;
        let mut all: Vec<_> = found
            .records
            .into_iter()
            .filter_map(|record| match record.data {
                RData::MX(mx) => Some(mx),
                _ => None,
            })
            .collect();
        all.sort_by_key(|mx| mx.preference);
        Ok(all)
    }

    /// The targets of a service (SRV), by a name such as `_imaps._tcp.example.org`, in the order to
    /// try them: by priority, and by chance with odds as the weights (RFC 2782). None where the
    /// service is decidedly not offered.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn srv(&self, name: impl IntoName) -> Result<Vec<rdata::SRV>, LookupError> {
        let found = self.lookup(name, RecordType::SRV).await?;
        let all = found
            .records
            .into_iter()
            .filter_map(|record| match record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            });
        Ok(srv_order(all.collect(), &mut ropewalk_core::random))
    }

    /// The first record of a zone (SOA), at its apex.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn soa(&self, name: impl IntoName) -> Result<rdata::SOA, LookupError> {
        let found = self.lookup(name, RecordType::SOA).await?;
        let query = found.query.clone();
        let mut all = found
            .records
            .into_iter()
            .filter_map(|record| match record.data {
                RData::SOA(soa) => Some(soa),
                _ => None,
            });
        all.next()
            .ok_or(LookupError::NoRecords { query, ttl: None })
    }

    /// The names of an address: those that hosts files give it, or its PTR records.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn reverse(&self, address: IpAddr) -> Result<Vec<Name>, LookupError> {
        self.inner.look().await;
        if let Some(hosts) = self.inner.hosts() {
            let names = hosts.names(address);
            if !names.is_empty() {
                return Ok(names.to_vec());
            }
        }
        let names = self.ptr(Name::from(address)).await?;
        Ok(names.into_iter().map(|ptr| ptr.0).collect())
    }

    async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>, LookupError> {
        let of = async |record_type| {
            let found = self.lookup_whole(name, record_type).await?;
            Ok::<Vec<IpAddr>, LookupError>(found.data().filter_map(RData::ip_addr).collect())
        };
        let families = self.inner.options.families;
        let (six, four) = match families {
            Families::Both => {
                let both = join(of(RecordType::AAAA), of(RecordType::A)).await;
                (Some(both.0), Some(both.1))
            }
            Families::Ipv6 => (Some(of(RecordType::AAAA).await), None),
            Families::Ipv4 => (None, Some(of(RecordType::A).await)),
        };
        let mut all = Vec::new();
        let mut failed = None;
        for result in [six, four].into_iter().flatten() {
            match result {
                Ok(addresses) => all.extend(addresses),
                // That nobody knows outweighs that one family has none.
                Err(error) if failed.as_ref().is_none_or(LookupError::is_negative) => {
                    failed = Some(error);
                }
                Err(_) => {}
            }
        }
        match failed {
            Some(error) if all.is_empty() => Err(error),
            _ => Ok(interleaved(all, families)),
        }
    }

    /// Looks up a name as it stands.
    async fn lookup_whole(
        &self,
        name: &Name,
        record_type: RecordType,
    ) -> Result<Lookup, LookupError> {
        let options = &self.inner.options;
        if let Some(lookup) = self.known(name, record_type) {
            return lookup;
        }
        let mut aliases = Vec::new();
        let mut name = name.clone();
        let mut ttl = Duration::MAX;
        let mut is_stale = false;
        loop {
            let query = Query::new(&name, record_type).dnssec_ok(options.dnssec_ok);
            let answer = self.resolve(&query).await.map_err(|failed| failed.error)?;
            ttl = ttl.min(answer.found.remaining);
            is_stale |= answer.found.is_stale;
            let message = self.checked(&query, &answer)?;
            let before = aliases.len();
            let end = follow(
                &message.answers,
                &name,
                record_type,
                &mut aliases,
                options.aliases,
            );
            let negative = answer.found.kind != Kind::Records;
            match end {
                End::Records(records) => {
                    return Ok(Lookup {
                        query: Query::new(&records[0].name, record_type),
                        records,
                        aliases,
                        message,
                        ttl,
                        is_stale,
                    });
                }
                End::Nowhere => return Err(LookupError::AliasLoop { name }),
                // An alias of which this server did not know the end.
                End::Name(end) if aliases.len() > before && !negative => name = end,
                End::Name(end) => {
                    let query = Query::new(&end, record_type);
                    let remaining = answer.found.remaining;
                    let ttl = (!answer.found.is_stale && !remaining.is_zero()).then_some(remaining);
                    return Err(match answer.found.kind {
                        Kind::NoName => LookupError::NoName { query, ttl },
                        _ => LookupError::NoRecords { query, ttl },
                    });
                }
            }
        }
    }

    fn checked(&self, query: &Query, answer: &Answer) -> Result<Message, LookupError> {
        let options = &self.inner.options;
        if !options.private_addresses
            && let Some(address) = private::found_in(&answer.message, &options.private_names)
        {
            return Err(LookupError::Rebinding {
                query: query.clone(),
                address,
            });
        }
        Message::from_vec(&answer.message).map_err(|error| LookupError::Malformed {
            query: query.clone(),
            why: error.to_string(),
        })
    }

    /// What is known without asking: names that are special, and those of the hosts file.
    fn known(&self, name: &Name, record_type: RecordType) -> Option<Result<Lookup, LookupError>> {
        let query = Query::new(name, record_type);
        let addresses = match special::of(name) {
            Some(Special::Loopback) => vec![
                IpAddr::from(Ipv6Addr::LOCALHOST),
                IpAddr::from(Ipv4Addr::LOCALHOST),
            ],
            Some(Special::Nowhere) => return Some(Err(no_name(&query))),
            None => {
                let hosts = self.inner.hosts()?;
                let addresses = hosts.addresses(&name.to_ascii());
                if addresses.is_empty() {
                    return None;
                }
                addresses.to_vec()
            }
        };
        let records = addresses.into_iter().filter_map(|address| {
            let data = match (record_type, address) {
                (RecordType::A, IpAddr::V4(ip)) => RData::A(ip.into()),
                (RecordType::AAAA, IpAddr::V6(ip)) => RData::AAAA(ip.into()),
                _ => return None,
            };
            Some(Record::from_rdata(name.clone(), 0, data))
        });
        let records: Vec<Record> = records.collect();
        let is_special = special::of(name).is_some();
        Some(match records.is_empty() {
            true if is_special || matches!(record_type, RecordType::A | RecordType::AAAA) => {
                Err(LookupError::NoRecords { query, ttl: None })
            }
            // Of a host, DNS may know more than addresses.
            true => return None,
            false => Ok(Lookup {
                query,
                records,
                aliases: Vec::new(),
                message: Message::response(0, hickory_proto::op::OpCode::Query),
                ttl: Duration::ZERO,
                is_stale: false,
            }),
        })
    }
}

fn read(name: impl IntoName) -> Result<Name, LookupError> {
    name.into_name().map_err(|error| LookupError::BadName {
        why: error.to_string(),
    })
}

fn no_name(query: &Query) -> LookupError {
    LookupError::NoName {
        query: query.clone(),
        ttl: None,
    }
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    }
}

/// Families in turn, beginning with IPv6; each address once.
fn interleaved(addresses: Vec<IpAddr>, families: Families) -> Vec<IpAddr> {
    let (six, four): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut ordered: Vec<IpAddr> = Vec::new();
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            let is_wanted = match families {
                Families::Both => true,
                Families::Ipv4 => address.is_ipv4(),
                Families::Ipv6 => address.is_ipv6(),
            };
            if is_wanted && !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let all = [
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "2001:db8::1",
            "192.0.2.1",
        ];
        let all: Vec<IpAddr> = all.iter().map(|a| a.parse().unwrap()).collect();
        let shown = |families| -> Vec<String> {
            let ordered = interleaved(all.clone(), families);
            ordered.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(Families::Both),
            ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]
        );
        assert_eq!(shown(Families::Ipv6), ["2001:db8::1"]);
    }
}
