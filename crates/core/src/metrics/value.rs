//! Numbers that programs count themselves: a store each, no lock.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use super::text::{Kind, Page};

/// The labels of a value: names and what they are.
pub(super) type Labels<'a> = &'a [(&'static str, &'static str)];

/// A number that only rises. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many there are.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that rises and falls. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// It is this now.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// So many more, or fewer.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Relaxed);
    }

    /// What it is.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How observations spread. Clones are the same.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<AtomicU64>,
    /// The bits of a float.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        assert!(
            bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|bound| bound.is_finite()),
            "the bounds of a histogram rise: {bounds:?}"
        );
        Self(Arc::new(Buckets {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// One more observation. What is no number is not counted.
    pub fn observe(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let Buckets {
            bounds,
            counts,
            sum,
        } = &*self.0;
        let bucket = bounds.iter().position(|bound| value <= *bound);
        counts[bucket.unwrap_or(bounds.len())].fetch_add(1, Relaxed);
        // It never fails: `add` always says what the sum becomes.
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = sum.fetch_update(Relaxed, Relaxed, add);
    }
}

/// The values of one name.
pub(super) struct Family {
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) values: Vec<(Vec<(&'static str, &'static str)>, Value)>,
}

#[derive(Clone)]
pub(super) enum Value {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    /// Known elsewhere: a counter that is asked for.
    AskedCounter(Ask<u64>),
    /// The same for a gauge.
    AskedGauge(Ask<i64>),
}

/// Tells a number to whoever looks.
pub(super) type Ask<T> = Arc<dyn Fn() -> T + Send + Sync>;

impl Family {
    pub(super) fn write(&self, page: &mut Page, name: &str) {
        page.family(self.kind, name, self.help);
        for (labels, value) in &self.values {
            match value {
                Value::Counter(counter) => page.sample(name, "_total", labels, counter.value()),
                Value::Gauge(gauge) => page.sample(name, "", labels, gauge.value()),
                Value::AskedCounter(ask) => page.sample(name, "_total", labels, ask()),
                Value::AskedGauge(ask) => page.sample(name, "", labels, ask()),
                Value::Histogram(Histogram(buckets)) => {
                    let counts: Vec<_> = buckets.counts.iter().map(|c| c.load(Relaxed)).collect();
                    let sum = f64::from_bits(buckets.sum.load(Relaxed));
                    page.histogram(name, labels, buckets.bounds, &counts, sum);
                }
            }
        }
    }
}
