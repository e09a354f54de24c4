//! What the test binaries say they hold, and which real programs that needs.
//!
//! A test that talks to a real program stands in a module named after it, `with_curl`; one that needs
//! two in nested ones, `with_curl::with_openssl`. The names are all we need to choose: libtest skips by
//! substring, and `with_curl::` is in the path of each such test and of no other.

use std::collections::BTreeSet;

/// The names of the tests in the output of `--list --format terse`.
pub(crate) fn tests(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect()
}

/// The programs that a test needs, by the names of its modules without `with_`.
///
/// The last segment is the function's own name, which may begin as it likes.
pub(crate) fn needs(test: &str) -> impl Iterator<Item = &str> {
    let modules = test.rsplit_once("::").map_or("", |(modules, _)| modules);
    modules
        .split("::")
        .filter_map(|module| module.strip_prefix("with_"))
}

/// Whether a test stands in a module of simulations.
pub(crate) fn is_simulation(test: &str) -> bool {
    let mut segments = test.rsplit("::");
    segments.next();
    segments.any(|module| module == "simulation")
}

/// All that any of these tests needs.
pub(crate) fn all_needs<'a>(tests: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    tests.into_iter().flat_map(needs).collect()
}

/// The part of a test's path that stands for a program, for libtest to match.
pub(crate) fn pattern(program: &str) -> String {
    format!("with_{program}::")
}

/// The tests that cannot run without these programs, each with the first one that it lacks.
///
/// The rule is libtest's own, so that what we count as skipped is what `--skip` leaves out.
pub(crate) fn lacking<'a>(
    tests: &[&'a str],
    missing: &BTreeSet<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let first = |test: &str| {
        missing
            .iter()
            .find(|program| test.contains(&pattern(program)))
            .copied()
    };
    tests
        .iter()
        .filter_map(|test| Some((*test, first(test)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERSE: &str = "\
endpoint::tests::parses: test
with_curl::fetches: test
deep::with_curl::with_openssl::verifies: test
with_nc::echoes: test
echo: benchmark
crates/core/src/lib.rs - (line 5): test

3 tests, 1 benchmark
";

    #[test]
    fn a_listing_is_read() {
        assert_eq!(
            tests(TERSE),
            [
                "endpoint::tests::parses",
                "with_curl::fetches",
                "deep::with_curl::with_openssl::verifies",
                "with_nc::echoes",
                "crates/core/src/lib.rs - (line 5)",
            ]
        );
    }

    #[test]
    fn simulations_stand_in_their_modules() {
        assert!(is_simulation("simulation::relays"));
        assert!(is_simulation("relay::simulation::deep::retries"));
        for other in ["simulation", "relay::simulation", "resimulation::x", "x::y"] {
            assert!(!is_simulation(other), "{other}");
        }
    }

    #[test]
    fn modules_name_programs_and_functions_do_not() {
        let of = |test| needs(test).collect::<Vec<_>>();
        assert_eq!(of("with_curl::fetches"), ["curl"]);
        assert_eq!(
            of("lab::with_curl::with_openssl::verifies"),
            ["curl", "openssl"]
        );
        assert_eq!(of("lab::with_no_program"), [""; 0]);
        assert_eq!(of("with_no_program"), [""; 0]);
        assert_eq!(
            all_needs(tests(TERSE)),
            BTreeSet::from(["curl", "nc", "openssl"])
        );
    }

    #[test]
    fn tests_are_skipped_for_what_they_lack() {
        let tests = tests(TERSE);
        assert_eq!(lacking(&tests, &BTreeSet::new()), []);
        assert_eq!(
            lacking(&tests, &BTreeSet::from(["nc", "openssl"])),
            [
                ("deep::with_curl::with_openssl::verifies", "openssl"),
                ("with_nc::echoes", "nc")
            ]
        );
        assert_eq!(lacking(&["with_nc6::echoes"], &BTreeSet::from(["nc"])), []);
    }
}
