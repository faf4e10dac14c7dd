//! How often which size or time was seen.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Nanoseconds of a second.
const NANOS: f64 = 1e9;

/// The upper ends of buckets, and what an observation counts in.
#[derive(Debug)]
pub struct Bounds {
    ends: &'static [f64],
    /// Observed units of one shown unit.
    per: f64,
}

impl Bounds {
    /// Buckets that end at these seconds, ascending; see [`Histogram::took`].
    pub const fn seconds(ends: &'static [f64]) -> Self {
        Self { ends, per: NANOS }
    }

    /// Buckets that end at these numbers, ascending; see [`Histogram::observe`].
    pub const fn plain(ends: &'static [f64]) -> Self {
        Self { ends, per: 1.0 }
    }
}

/// Counts observations by bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static Bounds,
    /// One more than there are ends: the last one is for what is above all of them.
    buckets: Box<[AtomicU64]>,
    /// In observed units, so that adding is one operation.
    sum: AtomicU64,
}

impl Histogram {
    /// Nothing observed yet.
    pub fn new(bounds: &'static Bounds) -> Self {
        let buckets = (0..=bounds.ends.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Something took so long.
    pub fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Something was so large.
    #[expect(clippy::cast_precision_loss, reason = "a bucket's end is not exact to the last bit either")]
    pub fn observe(&self, value: u64) {
        let shown = value as f64 / self.bounds.per;
        let bucket = self.bounds.ends.partition_point(|end| *end < shown);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The sum of all observations, as it is shown.
    #[expect(clippy::cast_precision_loss, reason = "the text format knows floating point numbers only")]
    pub fn sum(&self) -> f64 {
        self.sum.load(Ordering::Relaxed) as f64 / self.bounds.per
    }

    /// Each end with the observations up to it, infinity last.
    pub(crate) fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> {
        let ends = self.bounds.ends.iter().copied().chain([f64::INFINITY]);
        ends.zip(&self.buckets).scan(0, |total, (end, bucket)| {
            *total += bucket.load(Ordering::Relaxed);
            Some((end, *total))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOUNDS: Bounds = Bounds::seconds(&[0.1, 1.0]);

    #[test]
    fn an_observation_counts_in_its_bucket_and_in_all_above() {
        let histogram = Histogram::new(&BOUNDS);
        for millis in [100, 101, 5000] {
            histogram.took(Duration::from_millis(millis));
        }
        let seen: Vec<_> = histogram.cumulated().collect();
        assert_eq!(seen, [(0.1, 1), (1.0, 2), (f64::INFINITY, 3)]);
        assert_eq!((histogram.count(), histogram.sum()), (3, 5.201));
    }
}
