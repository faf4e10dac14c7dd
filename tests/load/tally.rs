//! Times that were taken, and what they come to.

use std::time::Duration;

/// Times in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Vec<Duration>);

impl Tally {
    /// From times in any order.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so many of a hundred do not exceed, in milliseconds; 0 when none was taken.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(index).map_or(0.0, |time| millis(*time))
    }
}

/// In milliseconds, rounded to a microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// So many in a time, per second.
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
    let count = count as f64;
    (count / took.as_secs_f64()).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_taken() {
        let tally = Tally::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!((tally.percentile(50), tally.percentile(99), tally.percentile(100)), (100.0, 198.0, 200.0));
        assert_eq!(Tally::default().percentile(50), 0.0);
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(rate(500, Duration::from_millis(250)), 2000.0);
    }
}
