//! From a name to its records, along the aliases of one answer: CNAME (RFC 1034, section 3.6.2) and
//! DNAME (RFC 6672).

use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Where the aliases of an answer lead.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// To records of the type that was asked for.
    Records(Vec<Record>),
    /// To a name of which this answer has nothing: either there is nothing, or it is to be asked
    /// for.
    Name(Name),
    /// Nowhere: too many of them, or in a circle.
    Nowhere,
}

/// What an answer says of a name, and by which aliases, which are put behind those in `aliases`:
/// all together they are at most `limit`.
pub(crate) fn follow(
    answers: &[Record],
    name: &Name,
    record_type: RecordType,
    aliases: &mut Vec<Name>,
    limit: usize,
) -> End {
    let mut name = name.clone();
    name.set_fqdn(true);
    loop {
        let of_name = |record: &&Record| record.name == name;
        let is_wanted = |record: &&Record| {
            record_type == RecordType::ANY || record.record_type() == record_type
        };
        let found: Vec<Record> = answers
            .iter()
            .filter(of_name)
            .filter(is_wanted)
            .cloned()
            .collect();
        if !found.is_empty() {
            return End::Records(found);
        }
        let cname = answers.iter().filter(of_name).find_map(|r| match &r.data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        });
        let target = cname.or_else(|| answers.iter().find_map(|r| substitute(r, &name)));
        let Some(mut target) = target else {
            return End::Name(name);
        };
        target.set_fqdn(true);
        if aliases.len() >= limit || aliases.contains(&target) {
            return End::Nowhere;
        }
        aliases.push(target.clone());
        name = target;
    }
}

/// The name as a DNAME record of one above it has it (RFC 6672, section 2.2), where that is not too
/// long. hickory-proto reads the record as one of an unknown type.
fn substitute(record: &Record, name: &Name) -> Option<Name> {
    const DNAME: u16 = 39;
    let RData::Unknown { code, rdata } = &record.data else {
        return None;
    };
    if u16::from(*code) != DNAME || !record.name.zone_of(name) || record.name == *name {
        return None;
    }
    let target: Name =
        hickory_proto::serialize::binary::BinDecodable::from_bytes(&rdata.anything).ok()?;
    let prefix = usize::from(name.num_labels() - record.name.num_labels());
    let labels = name.iter().take(prefix).chain(target.iter());
    Name::from_labels(labels).ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{self, NULL};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn cname(from: &str, to: &str) -> Record {
        Record::from_rdata(name(from), 60, RData::CNAME(rdata::CNAME(name(to))))
    }

    fn address(of: &str) -> Record {
        let data = RData::A(rdata::A::new(192, 0, 2, 1));
        Record::from_rdata(name(of), 60, data)
    }

    fn dname(from: &str, to: &[u8]) -> Record {
        let rdata = NULL::with(to.to_vec());
        let code = RecordType::from(39);
        Record::from_rdata(name(from), 60, RData::Unknown { code, rdata })
    }

    fn end(answers: &[Record]) -> (End, Vec<Name>) {
        let mut aliases = Vec::new();
        let end = follow(answers, &name("a.example."), RecordType::A, &mut aliases, 8);
        (end, aliases)
    }

    #[test]
    fn aliases_lead_to_records_whatever_their_order() {
        let answers = [
            address("c.example."),
            cname("b.example.", "C.example."),
            cname("A.Example.", "b.example."),
            address("stranger.example."),
        ];
        let (end, aliases) = end(&answers);
        assert_eq!(end, End::Records(vec![answers[0].clone()]));
        assert_eq!(aliases, [name("b.example."), name("c.example.")]);
    }

    #[test]
    fn a_tail_that_is_missing_is_named() {
        let (end, _) = end(&[cname("a.example.", "b.elsewhere.")]);
        assert_eq!(end, End::Name(name("b.elsewhere.")));
    }

    #[test]
    fn circles_and_long_ways_end() {
        let circle = [
            cname("a.example.", "b.example."),
            cname("b.example.", "a.example."),
        ];
        assert_eq!(end(&circle).0, End::Nowhere);
        let long: Vec<Record> = (0..20)
            .map(|n| cname(&format!("n{n}.example."), &format!("n{}.example.", n + 1)))
            .chain([cname("a.example.", "n0.example.")])
            .collect();
        assert_eq!(end(&long).0, End::Nowhere);
    }

    #[test]
    fn a_dname_stands_for_what_is_below_it() {
        let below = dname("example.", b"\x03new\x03org\0");
        let answers = [below, address("a.new.org.")];
        assert_eq!(end(&answers).1, [name("a.new.org.")]);
        assert!(matches!(end(&answers).0, End::Records(_)));
        // Not for itself.
        let of_itself = dname("a.example.", b"\x03new\x03org\0");
        assert_eq!(end(&[of_itself]).0, End::Name(name("a.example.")));
        // And not where the name would be too long.
        let long = [&[63_u8][..], &[b'x'; 63]].concat();
        let long = [&long[..], &long, &long, &[61], &[b'x'; 61], &[0]].concat();
        let answers = [dname("example.", &long)];
        assert_eq!(end(&answers).0, End::Name(name("a.example.")));
    }
}
