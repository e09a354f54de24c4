//! The sums of a test run, read off what the test binaries print.

use std::fmt;

/// What has been counted so far; fed line by line.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// The tests that failed, where their line was whole.
    pub(crate) failures: Vec<String>,
    /// The tests that the binaries themselves left out: doctests marked `ignore`.
    pub(crate) ignored: Vec<String>,
    /// A binary has begun and not yet given its result.
    running: bool,
}

impl Tally {
    /// Takes one line of output, whoever printed it.
    pub(crate) fn line(&mut self, line: &str) {
        // A child of a test may have left its own words on the same line, without an end.
        if let Some((_, result)) = line.split_once("test result: ") {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.skipped += count(result, "ignored");
            self.running = false;
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.failures.push(name.to_owned());
            } else if let Some((name, _)) = test.split_once(" ... ignored") {
                self.ignored.push(name.to_owned());
            }
        } else if is_opening(line) {
            self.end_of_binary();
            self.running = true;
        }
    }

    /// Ends a run. A binary that gave no result, or a failure that no result tells of, counts as one
    /// that failed: a crash must not look like success.
    pub(crate) fn end_of_run(&mut self, success: bool) {
        self.end_of_binary();
        if !success && self.failed == 0 {
            self.fail("a failure outside of the tests; see above".to_owned());
        }
    }

    /// Counts a failure of our own.
    pub(crate) fn fail(&mut self, what: String) {
        self.failed += 1;
        self.failures.push(what);
    }

    fn end_of_binary(&mut self) {
        if std::mem::take(&mut self.running) {
            self.fail(
                "a test binary that ended without a result: it crashed, exited or was killed"
                    .to_owned(),
            );
        }
    }

    /// Adds another run's sums.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.ignored.extend(other.ignored);
    }
}

/// The closing line, which other programs read.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// `running 3 tests`
fn is_opening(line: &str) -> bool {
    let Some(number) = line.strip_prefix("running ") else {
        return false;
    };
    let Some((number, "test" | "tests")) = number.split_once(' ') else {
        return false;
    };
    number.parse::<usize>().is_ok()
}

/// The number before a word, in `ok. 3 passed; 0 failed; …`.
fn count(result: &str, what: &str) -> usize {
    let counts = result
        .split(';')
        .filter_map(|part| part.trim().strip_suffix(what));
    counts
        .filter_map(|part| part.trim().rsplit(' ').next()?.parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str, success: bool) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.line(line));
        tally.end_of_run(success);
        tally
    }

    #[test]
    fn results_are_summed_over_binaries() {
        let tally = tally(
            "\
running 3 tests
test a ... ok
test b::c ... FAILED
test d ... ok

failures:
    b::c

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.01s

running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test crates/core/src/lib.rs - (line 7) ... ignored
test crates/core/src/lib.rs - (line 3) ... ok

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
",
            false,
        );
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["b::c"]);
        assert_eq!(tally.ignored, ["crates/core/src/lib.rs - (line 7)"]);
    }

    #[test]
    fn a_result_behind_a_childs_words_counts() {
        let tally = tally(
            "running 1 test\nprompt> test result: ok. 1 passed; 0 failed; 0 ignored\n",
            true,
        );
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_crash_is_a_failure() {
        let tally = tally(
            "running 5 tests\ntest a ... ok\nrunning 1 test\ntest result: ok. 1 passed; 0 failed",
            false,
        );
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_failure_without_a_result_is_one() {
        assert_eq!(
            tally("", false).to_string(),
            "0 passed, 1 failed, 0 skipped"
        );
        assert_eq!(tally("", true).to_string(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn what_only_looks_like_it_does_not_count() {
        let tally = tally(
            "running late\nrunning 3 miles\ntests\ntest of patience\n",
            true,
        );
        assert_eq!(tally.to_string(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn runs_add_up() {
        let mut sum = tally("test result: ok. 2 passed; 0 failed; 0 ignored", true);
        sum.add(tally(
            "test result: FAILED. 1 passed; 3 failed; 0 ignored",
            false,
        ));
        assert_eq!(sum.to_string(), "3 passed, 3 failed, 0 skipped");
    }
}
