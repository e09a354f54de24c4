//! `cargo xtask deep`: all that takes too long for each change.

use crate::cargo::{self, Package, Workspace, cargo};
use crate::failure::Result;
use crate::steps::Steps;
use crate::{check, fuzz, test};

/// Runs every heavy check, and sums up.
pub(crate) fn run() -> Result {
    let workspace = Workspace::read()?;
    let mut steps = Steps::default();
    steps.step("tests, heavy cases whole", || {
        Ok(test::run(&test::Options {
            deep: true,
            ..test::Options::default()
        })?
        .into())
    });
    for package in &workspace.packages {
        if package.features.len() > 1 {
            steps.step(
                &format!("{} with each pair of features", package.name),
                || Ok(each_pair(package)?.into()),
            );
        }
    }
    steps.step("packages, built from their archives", || {
        Ok(cargo::run(&mut check::package(&workspace))?.into())
    });
    for target in fuzz::targets()? {
        steps.step(&format!("fuzz {target}"), || {
            Ok(fuzz::run(Some(&target), fuzz::A_MINUTE)?.into())
        });
    }
    Ok(steps.end())
}

fn each_pair(package: &Package) -> Result {
    let mut success = true;
    for features in pairs(&package.features) {
        let arguments = [
            "check",
            "--package",
            &package.name,
            "--no-default-features",
            "--features",
            &features,
        ];
        success &= cargo::run(&mut cargo(arguments))?;
    }
    Ok(success)
}

/// Every pair, as cargo's `--features` takes it.
fn pairs(features: &[String]) -> Vec<String> {
    let with_later = |(i, first): (usize, &String)| -> Vec<_> {
        features[i + 1..]
            .iter()
            .map(|second| format!("{first},{second}"))
            .collect()
    };
    features.iter().enumerate().flat_map(with_later).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_comes_once() {
        let features = ["a", "b", "c"].map(String::from);
        assert_eq!(pairs(&features), ["a,b", "a,c", "b,c"]);
        assert!(pairs(&features[..1]).is_empty());
    }
}
