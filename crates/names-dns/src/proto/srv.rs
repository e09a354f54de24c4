//! In which order the targets of SRV records are tried (RFC 2782).

use hickory_proto::rr::rdata::SRV;

/// The targets in the order to try them: by priority, and within one by chance, with odds as the
/// weights. Empty where there is one record with the target `.`: the service is decidedly not there.
pub fn srv_order(mut records: Vec<SRV>, random: &mut dyn FnMut() -> u64) -> Vec<SRV> {
    if let [only] = &records[..]
        && only.target.is_root()
    {
        return Vec::new();
    }
    records.retain(|record| !record.target.is_root());
    // Those of weight 0 first among equals, so that they have their small chance.
    records.sort_by_key(|record| (record.priority, record.weight > 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let equals = records.iter().take_while(|r| r.priority == priority);
        let sum: u64 = equals.map(|r| u64::from(r.weight)).sum();
        let drawn = random() % (sum + 1);
        let mut running = 0;
        let chosen = records.iter().position(|record| {
            running += u64::from(record.weight);
            running >= drawn
        });
        ordered.push(records.remove(chosen.unwrap_or_default()));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;

    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> SRV {
        SRV::new(priority, weight, 1, Name::from_ascii(target).unwrap())
    }

    #[test]
    fn priorities_rule_and_weights_are_odds() {
        let records = vec![
            record(20, 0, "spare."),
            record(10, 60, "big."),
            record(10, 20, "small."),
            record(10, 0, "zero."),
        ];
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        };
        let mut firsts = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..8000 {
            let order = srv_order(records.clone(), &mut random);
            assert_eq!(order.len(), 4);
            assert_eq!(order[3].target.to_string(), "spare.");
            *firsts.entry(order[0].target.to_string()).or_default() += 1;
        }
        assert!((5500..6500).contains(&firsts["big."]), "{firsts:?}");
        assert!((1600..2400).contains(&firsts["small."]), "{firsts:?}");
        assert!((20..300).contains(&firsts["zero."]), "{firsts:?}");
    }

    #[test]
    fn a_root_is_no_target() {
        assert!(srv_order(vec![record(0, 0, ".")], &mut || 1).is_empty());
        assert_eq!(
            srv_order(vec![record(0, 0, "."), record(1, 0, "a.")], &mut || 1).len(),
            1
        );
        assert!(srv_order(Vec::new(), &mut || 1).is_empty());
    }
}
