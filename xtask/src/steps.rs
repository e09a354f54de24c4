//! Named steps, each with its time; all of them run, and the summary tells which failed.

use std::time::Instant;

use crate::failure::Result;

/// How a step that ran to its end came out.
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It could not be done here, for this reason, and that is no failure.
    Skipped(String),
}

impl From<bool> for Outcome {
    fn from(success: bool) -> Self {
        if success { Self::Passed } else { Self::Failed }
    }
}

/// The steps of one task so far.
#[derive(Default)]
pub(crate) struct Steps {
    failed: Vec<String>,
    skipped: Vec<String>,
    count: usize,
}

impl Steps {
    /// Does a step, and says how it came out and how long it took.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) {
        println!("\n== {name}");
        let began = Instant::now();
        let outcome = work();
        let seconds = began.elapsed().as_secs_f32();
        self.count += 1;
        match outcome {
            Ok(Outcome::Passed) => println!("== {name}: passed in {seconds:.1} s"),
            Ok(Outcome::Skipped(why)) => {
                println!("== {name}: skipped, {why}");
                self.skipped.push(format!("{name} ({why})"));
            }
            failure => {
                if let Err(why) = failure {
                    println!("error: {why}");
                }
                println!("== {name}: failed in {seconds:.1} s");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Sums up, and says whether nothing failed.
    pub(crate) fn end(self) -> bool {
        println!();
        self.skipped
            .iter()
            .for_each(|step| println!("skipped: {step}"));
        self.failed
            .iter()
            .for_each(|step| println!("failed: {step}"));
        println!(
            "{} steps, {} failed, {} skipped",
            self.count,
            self.failed.len(),
            self.skipped.len()
        );
        self.failed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn all_steps_run_and_one_failure_is_enough() {
        let mut steps = Steps::default();
        steps.step("a", || Err(Failure::new("no such tool")));
        steps.step("b", || Ok(true.into()));
        assert_eq!((steps.count, steps.failed.len()), (2, 1));
        assert!(!steps.end());
    }

    #[test]
    fn a_skipped_step_is_no_failure() {
        let mut steps = Steps::default();
        steps.step("a", || Ok(Outcome::Skipped("no network".into())));
        assert!(steps.end());
    }
}
