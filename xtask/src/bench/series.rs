//! A measured quantity: several samples, told as their median and their range.

use std::fmt;
use std::time::Duration;

/// At least one sample of a time.
#[derive(Clone, Debug)]
pub(crate) struct Series(Vec<Duration>);

impl Series {
    /// From samples in any order; nothing from none.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        (!samples.is_empty()).then_some(Self(samples))
    }

    /// The middle one; of two middle ones their mean.
    pub(crate) fn median(&self) -> Duration {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 { self.0[middle] } else { (self.0[middle - 1] + self.0[middle]) / 2 }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (least, most) = (ms(self.0[0]), ms(self.0[self.0.len() - 1]));
        write!(f, "{:.0} ms (median of {}; {least:.0} to {most:.0})", ms(self.median()), self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(ms: &[u64]) -> Series {
        Series::of(ms.iter().map(|ms| Duration::from_millis(*ms)).collect()).unwrap()
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(series(&[30, 10, 20]).median(), Duration::from_millis(20));
        assert_eq!(series(&[40, 10, 20, 30]).median(), Duration::from_millis(25));
        assert!(Series::of(Vec::new()).is_none());
    }

    #[test]
    fn it_is_told_with_its_range() {
        assert_eq!(series(&[30, 10, 20]).to_string(), "20 ms (median of 3; 10 to 30)");
    }
}
