//! `cargo xtask simulate`: the simulations alone, over as many seeds as wanted.
//!
//! A simulation is a test in a module named `simulation`, wherever that stands; it takes its seeds from
//! `ROPEWALK_SEEDS`, as `testing::sim::simulate` of the core does.

use crate::failure::{Failure, Result};
use crate::{listing, test};

/// Seeds of each simulation, unless told otherwise.
const SEEDS: &str = "1000";

/// What to simulate.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// A number of seeds, or a range such as `1000..2000`.
    pub(crate) seeds: Option<String>,
    /// Only simulations whose path has this in it.
    pub(crate) filter: Option<String>,
    /// Only those of these packages.
    pub(crate) packages: Vec<String>,
}

/// Runs the simulations, and closes with the line `N passed, N failed, N skipped`.
pub(crate) fn run(options: &Options) -> Result {
    let filter = options.filter.as_deref().unwrap_or_default();
    let seeds = options.seeds.as_deref().unwrap_or(SEEDS);
    let settings = test::Options {
        // For its patience: a thousand seeds take their time.
        deep: true,
        packages: options.packages.clone(),
        ..test::Options::default()
    };
    let chosen = |test: &str| listing::is_simulation(test) && test.contains(filter);
    let Some(tally) = test::run_chosen(&settings, chosen, ("ROPEWALK_SEEDS", seeds))? else {
        return Err(Failure::usage(format!(
            "no simulation has {filter:?} in its path"
        )));
    };
    println!("\n{tally}");
    Ok(tally.failed == 0)
}
