//! From samples to the table that BENCHMARKS.md records.

use std::fmt;

/// One sample of one side.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Messages, or deliveries, a second.
    pub rate: f64,
    /// Nanoseconds of the server's processor time a message.
    pub cpu: f64,
    /// Allocations of the server a message.
    pub allocations: f64,
}

/// A median with its extremes.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of these.
    ///
    /// # Panics
    /// Where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        Self {
            median,
            least: values[0],
            most: values[values.len() - 1],
        }
    }

    /// Of the ratios, round by round.
    pub fn of_ratios(ours: &[Sample], theirs: &[Sample], part: fn(&Sample) -> f64) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(o, t)| part(o) / part(t)))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 10.0 { 3 } else { 1 };
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.digits$} ({least:.2}..{most:.2})")
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// So many times the peer's, or less.
    AtMost(f64),
    /// So many times the peer's, or more.
    AtLeast(f64),
    /// Not of the ratio: of the bytes that ours holds.
    Bytes {
        /// How many it may hold.
        most: f64,
        /// How many it holds.
        held: f64,
    },
    /// A figure to know, without a target.
    None,
}

impl Target {
    fn verdict(self, ratio: f64) -> &'static str {
        // As precise as it is printed.
        let ratio = (ratio * 1000.0).round() / 1000.0;
        match self {
            Self::AtMost(most) if ratio <= most => "yes",
            Self::AtLeast(least) if ratio >= least => "yes",
            Self::Bytes { most, held } if held <= most => "yes",
            Self::None => "",
            _ => "**no**",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most:.2} ×"),
            Self::AtLeast(least) => write!(f, "≥ {least} ×"),
            Self::Bytes { most, .. } => write!(f, "≤ {most} B"),
            Self::None => f.write_str("–"),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is measured, under which load.
    pub what: String,
    /// Whom ours is compared with.
    pub peer: &'static str,
    /// What ours has, with its unit.
    pub ours: String,
    /// What the peer has, with its unit.
    pub theirs: String,
    /// Ours by the peer's, round by round.
    pub ratio: Spread,
    /// What the ratio should be.
    pub target: Target,
}

/// The table, in Markdown.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = String::from(
        "| what | peer | ours | peer's | ratio (min..max) | target | met |\n\
         | --- | --- | ---: | ---: | ---: | ---: | --- |\n",
    );
    for line in lines {
        let Line {
            what,
            peer,
            ours,
            theirs,
            ratio,
            target,
        } = line;
        let met = target.verdict(ratio.median);
        table += &format!("| {what} | {peer} | {ours} | {theirs} | {ratio} | {target} | {met} |\n");
    }
    table
}

/// The samples of one row, as they came out: each side against the first.
pub fn print_samples(title: &str, sides: &[impl AsRef<str>], samples: &[Vec<Sample>]) {
    println!("{title}");
    let heads = ["side", "a second", "ratio", "cpu, ns", "ratio", "allocs"];
    let [side, rate, ratio, cpu, cpu_ratio, allocations] = heads;
    println!("  {side:<24}{rate:>11}{ratio:>22}{cpu:>9}{cpu_ratio:>22}{allocations:>8}");
    for (side, own) in sides.iter().zip(samples) {
        let name = side.as_ref();
        let rate = Spread::of(own.iter().map(|s| s.rate)).median;
        let cpu = Spread::of(own.iter().map(|s| s.cpu)).median;
        let allocations = Spread::of(own.iter().map(|s| s.allocations)).median;
        let rates = Spread::of_ratios(own, &samples[0], |s| s.rate).to_string();
        let cpus = Spread::of_ratios(own, &samples[0], |s| s.cpu).to_string();
        println!("  {name:<24}{rate:>11.0}{rates:>22}{cpu:>9.0}{cpus:>22}{allocations:>8.3}");
    }
    println!();
}
