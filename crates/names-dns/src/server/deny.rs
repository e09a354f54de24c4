//! Proof that something is not there, of the records that a signed zone brings
//! along (RFC 4035, section 3.1.3; RFC 5155, section 7.2).

use sha1::{Digest, Sha1};

use crate::{
    proto::{Name, NameRef, RecordType, name::MAX_LABELS},
    zone::{Node, RrSet, Zone},
};

/// Sets that prove, each once.
#[derive(Debug, Default)]
pub(super) struct Denial<'z> {
    sets: Vec<RrSet<'z>>,
}

/// Iterations of NSEC3 that are computed (RFC 9276, section 3.2, knows no good
/// reason for one): a zone with more is served without proofs.
const ITERATIONS: u16 = 100;

/// Whether a zone brings proofs along.
pub(super) fn is_signed(zone: &Zone) -> bool {
    let apex = zone.apex();
    apex.rrset(RecordType::NSEC).is_some() || apex.rrset(RecordType::NSEC3PARAM).is_some()
}

impl<'z> Denial<'z> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn into_sets(self) -> Vec<RrSet<'z>> {
        self.sets
    }

    /// There is no such name, and no wildcard for it below its closest encloser.
    pub(super) fn name(&mut self, zone: &'z Zone, name: NameRef<'_>, encloser: Node<'z>) {
        let wildcard = encloser.name().as_ref().wildcard().ok();
        match Nsec3::of(zone) {
            Some(nsec3) => {
                self.closest(&nsec3, zone, name, encloser);
                if let Some(wildcard) = wildcard {
                    self.add(nsec3.covering(wildcard.as_ref()));
                }
            }
            None => {
                self.add(covering(zone, name));
                if let Some(wildcard) = wildcard {
                    self.add(covering(zone, wildcard.as_ref()));
                }
            }
        }
    }

    /// The name is not there, and so a wildcard stands for it.
    pub(super) fn expansion(&mut self, zone: &'z Zone, name: NameRef<'_>, encloser: Node<'z>) {
        self.add(match Nsec3::of(zone) {
            Some(nsec3) => nsec3.covering(next_closer(zone, name, encloser)),
            None => covering(zone, name),
        });
    }

    /// The name, or the wildcard that stands for it, is there without the type.
    pub(super) fn data(
        &mut self,
        zone: &'z Zone,
        node: Node<'z>,
        name: NameRef<'_>,
        encloser: Option<Node<'z>>,
    ) {
        let Some(nsec3) = Nsec3::of(zone) else {
            match node.rrset(RecordType::NSEC) {
                Some(set) => self.add(Some(set)),
                // An empty non-terminal has none, and is covered.
                None => self.add(covering(zone, node.name().as_ref())),
            }
            return;
        };
        match nsec3.matching(node.name().as_ref()) {
            Some(set) => self.add(Some(set)),
            // An insecure delegation in an opt-out span (section 7.2.7).
            None => {
                let mut above = node.parent();
                while let Some(node) = above {
                    if nsec3.matching(node.name().as_ref()).is_some() {
                        self.closest(&nsec3, zone, name, node);
                        break;
                    }
                    above = node.parent();
                }
            }
        }
        if let Some(encloser) = encloser {
            self.closest(&nsec3, zone, name, encloser);
        }
    }

    /// The closest encloser is there, and the name next to it is not.
    fn closest(
        &mut self,
        nsec3: &Nsec3<'z>,
        zone: &'z Zone,
        name: NameRef<'_>,
        encloser: Node<'z>,
    ) {
        self.add(nsec3.matching(encloser.name().as_ref()));
        self.add(nsec3.covering(next_closer(zone, name, encloser)));
    }

    fn add(&mut self, set: Option<RrSet<'z>>) {
        let Some(set) = set else { return };
        if !self
            .sets
            .iter()
            .any(|known| known.node() == set.node() && known.record_type() == set.record_type())
        {
            self.sets.push(set);
        }
    }
}

/// The name with one label more than its closest encloser.
fn next_closer<'n>(zone: &Zone, name: NameRef<'n>, encloser: Node<'_>) -> NameRef<'n> {
    name.suffix(zone.origin().label_count() + encloser.depth() + 1)
}

/// The NSEC that stands at or before a name.
fn covering<'z>(zone: &'z Zone, name: NameRef<'_>) -> Option<RrSet<'z>> {
    // No NSEC at the top, none below.
    zone.apex().rrset(RecordType::NSEC)?;
    let mut node = zone.predecessor(name)?;
    for _ in 0..WITHOUT_NSEC {
        // What is below a cut has none, and there may be much of it: the cut
        // stands before all of that.
        while node.is_below_cut() {
            node = node.parent()?;
        }
        if let Some(set) = node.rrset(RecordType::NSEC) {
            return Some(set);
        }
        // So it is with what a DNAME hides (RFC 6672, section 5.3.4).
        node = match node.is_below_dname() {
            true => node.parent()?,
            false => zone.node_at(node.number().checked_sub(1)?),
        };
    }
    None
}

/// Names in a row that may be without NSEC: empty non-terminals, of which each
/// stands above the next. Where there are more the zone is signed in part only,
/// and nobody is to make us look through all of it.
const WITHOUT_NSEC: usize = 2 * MAX_LABELS;

/// The hashed names of a zone.
struct Nsec3<'z> {
    zone: &'z Zone,
    iterations: u16,
    salt: &'z [u8],
}

impl<'z> Nsec3<'z> {
    fn of(zone: &'z Zone) -> Option<Self> {
        let [_, _, i0, i1, length, salt @ ..] = zone.hash_parameters()? else {
            return None;
        };
        let iterations = u16::from_be_bytes([*i0, *i1]);
        let salt = salt.get(..usize::from(*length))?;
        (iterations <= ITERATIONS).then_some(Self {
            zone,
            iterations,
            salt,
        })
    }

    /// The owner of a name's NSEC3 (RFC 5155, section 5).
    fn owner(&self, name: NameRef<'_>) -> Option<Name> {
        let lowercase = name.to_lowercase();
        let mut digest = Sha1::new()
            .chain_update(lowercase.as_wire())
            .chain_update(self.salt)
            .finalize();
        for _ in 0..self.iterations {
            digest = Sha1::new()
                .chain_update(digest)
                .chain_update(self.salt)
                .finalize();
        }
        let mut label = vec![32];
        label.extend(base32hex(&digest));
        label.push(0);
        let label = NameRef::from_wire(&label).ok()?;
        self.zone.origin().prepend(label).ok()
    }

    fn matching(&self, name: NameRef<'_>) -> Option<RrSet<'z>> {
        let owner = self.owner(name)?;
        self.zone.node(owner.as_ref())?.rrset(RecordType::NSEC3)
    }

    fn covering(&self, name: NameRef<'_>) -> Option<RrSet<'z>> {
        let owner = self.owner(name)?;
        let hashed = self.zone.hashed();
        // The last one before it, or round the end of the ring.
        let behind = hashed.partition_point(|at| {
            let node = self.zone.node_at(*at);
            node.label().to_ascii_lowercase().as_slice() <= &owner.as_wire()[1..33]
        });
        let index = behind
            .checked_sub(1)
            .unwrap_or(hashed.len().checked_sub(1)?);
        self.zone.node_at(hashed[index]).rrset(RecordType::NSEC3)
    }
}

/// Base 32 with the extended hex alphabet, in lower case, without padding (RFC
/// 4648, section 7): twenty octets are 32 digits.
fn base32hex(octets: &[u8]) -> impl Iterator<Item = u8> + '_ {
    octets.chunks(5).flat_map(|five| {
        let mut bits = [0; 8];
        bits[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(bits);
        (0..8).map(move |digit| {
            b"0123456789abcdefghijklmnopqrstuv"[(bits >> (35 - digit * 5) & 31) as usize]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5155, appendix A.
    #[test]
    fn digits_are_those_of_the_rfc() {
        let salt = [0xaa, 0xbb, 0xcc, 0xdd];
        let mut digest = Sha1::new()
            .chain_update(b"\x07example\0")
            .chain_update(salt)
            .finalize();
        for _ in 0..12 {
            digest = Sha1::new()
                .chain_update(digest)
                .chain_update(salt)
                .finalize();
        }
        let text: Vec<u8> = base32hex(&digest).collect();
        assert_eq!(text, b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
    }

    const TOP: &str = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n";

    fn zone(text: &str) -> Zone {
        let origin = "example".parse().unwrap();
        Zone::from_text(origin, &format!("{TOP}{text}")).unwrap()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// Whose NSEC covers a name.
    fn covered(zone: &Zone, text: &str) -> Option<Name> {
        covering(zone, name(text).as_ref()).map(|set| set.node().name())
    }

    #[test]
    fn a_zone_that_is_signed_in_part_is_not_looked_through() {
        let unsigned: String = (0..1000).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
        let zone = zone(&format!("@ NSEC z NS SOA NSEC\n{unsigned}"));
        assert_eq!(covered(&zone, "zz.example"), None);
        assert_eq!(covered(&zone, "a.example"), Some(name("example")));
    }

    #[test]
    fn what_stands_for_much_is_found_behind_it() {
        let deep = ["e"; 120].join(".");
        let hidden: String = (0..1000).map(|n| format!("n{n}.d A 192.0.2.1\n")).collect();
        let zone = zone(&format!(
            "@ NSEC d NS SOA NSEC\nd DNAME other.\nd NSEC {deep} DNAME NSEC\n{hidden}{deep} NSEC @ TXT\n"
        ));
        assert_eq!(covered(&zone, "dd.example"), Some(name("d.example")));
        // Before it are 119 empty non-terminals.
        let before = name("d.e.example");
        let before = covering(&zone, before.as_ref()).unwrap();
        assert_eq!(before.node().name(), name("d.example"));
        let above = covered(&zone, &format!("a.{}.example", &deep[2..]));
        assert_eq!(above, Some(name("d.example")));
    }

    /// While a salt changes there are two chains (RFC 5155, section 4.1).
    #[test]
    fn proofs_are_of_one_chain() {
        let chains = ["1 0 0 -", "1 0 3 aabb"];
        let names = [
            "example",
            "ns.example",
            "a.example",
            "b.example",
            "c.example",
        ];
        let mut text = String::from("a A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1\n");
        for chain in chains {
            let alone = zone(&format!("@ NSEC3PARAM {chain}\n"));
            let hashes = Nsec3::of(&alone).unwrap();
            for of in names {
                let owner = hashes.owner(name(of).as_ref()).unwrap().to_string();
                let label = &owner[..32];
                text += &format!("{label} NSEC3 {chain} {label} A\n");
            }
            text += &format!("@ NSEC3PARAM {chain}\n");
        }
        let zone = zone(&text);
        let nsec3 = Nsec3::of(&zone).unwrap();
        assert_eq!(zone.hashed().len(), names.len());
        for n in 0..100 {
            let covering = nsec3.covering(name(&format!("n{n}.example")).as_ref());
            assert_eq!(
                covering.unwrap().first()[2..5],
                [0, 0, 0],
                "no iterations, no salt"
            );
        }
    }
}
