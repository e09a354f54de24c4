//! Names that are not looked up by asking servers (RFC 6761, RFC 7686, RFC 9476).

use hickory_proto::rr::Name;

/// What a special name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// This machine: `localhost` and what is below it (RFC 6761, section 6.3).
    Loopback,
    /// Nothing, in DNS: `invalid`, `onion`, `alt`. To ask for them would tell others what they are
    /// none of the business of.
    Nowhere,
}

/// Whether a name is special. `test` and `example` are ordinary names to a resolver.
pub(crate) fn of(name: &Name) -> Option<Special> {
    let last = name.iter().next_back()?;
    let is = |label: &str| last.eq_ignore_ascii_case(label.as_bytes());
    if is("localhost") {
        Some(Special::Loopback)
    } else if is("invalid") || is("onion") || is("alt") {
        Some(Special::Nowhere)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_names_are_known_by_their_last_label() {
        for (name, special) in [
            ("LocalHost.", Some(Special::Loopback)),
            ("db.localhost.", Some(Special::Loopback)),
            ("x.invalid.", Some(Special::Nowhere)),
            ("a.b.ONION.", Some(Special::Nowhere)),
            ("localhost.example.", None),
            ("www.test.", None),
            (".", None),
        ] {
            assert_eq!(of(&Name::from_ascii(name).unwrap()), special, "{name}");
        }
    }
}
