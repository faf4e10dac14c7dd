//! Growing delays (client-go `util/flowcontrol/backoff.go`). Pure: the clock is a parameter.

use jiff::{SignedDuration, Timestamp};

/// Restarts of containers, and image pulls: 10 s, doubled up to 300 s.
pub const RESTART: Curve = Curve { first: SignedDuration::from_secs(10), longest: SignedDuration::from_secs(300) };
/// Volumes, sandbox, network, configuration: things that may be there the next moment.
pub const RETRY: Curve = Curve { first: SignedDuration::from_secs(1), longest: SignedDuration::from_secs(30) };

/// How a delay grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curve {
    /// The first delay.
    pub first: SignedDuration,
    /// No delay is longer.
    pub longest: SignedDuration,
}

/// One thing's delay. It is forgotten when the thing went well for twice the longest delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    curve: Curve,
    current: Option<(SignedDuration, Timestamp)>,
}

impl Backoff {
    /// No delay yet.
    pub const fn new(curve: Curve) -> Self {
        Self { curve, current: None }
    }

    /// What is left of the delay that began with a failure at `failed`; nothing when it is over,
    /// or when the failure came so late that history no longer counts.
    pub fn remaining(&self, failed: Timestamp, now: Timestamp) -> Option<SignedDuration> {
        let (delay, _) = self.fresh(failed)?;
        let left = delay - now.duration_since(failed);
        left.is_positive().then_some(left)
    }

    /// Lengthens the delay: something that failed at `failed` is tried again at `now`.
    pub fn next(&mut self, failed: Timestamp, now: Timestamp) {
        let delay = match self.fresh(failed) {
            Some((delay, _)) => (delay * 2).min(self.curve.longest),
            None => self.curve.first,
        };
        self.current = Some((delay, now));
    }

    /// The whole delay that holds now.
    pub fn delay(&self) -> SignedDuration {
        self.current.map_or(SignedDuration::ZERO, |(delay, _)| delay)
    }

    fn fresh(&self, failed: Timestamp) -> Option<(SignedDuration, Timestamp)> {
        self.current.filter(|(_, updated)| failed.duration_since(*updated) <= self.curve.longest * 2)
    }
}

/// `1m20s`, as Go writes whole seconds (`time.Duration.String`).
pub fn go_duration(duration: SignedDuration) -> String {
    let total = duration.as_secs().max(0);
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
    }

    #[test]
    fn the_first_restart_is_immediate_and_delays_double_up_to_five_minutes() {
        let mut backoff = Backoff::new(RESTART);
        assert_eq!(backoff.remaining(at(0), at(0)), None);
        let mut now = 0;
        let mut delays = Vec::new();
        for _ in 0..7 {
            backoff.next(at(now), at(now));
            delays.push(backoff.delay().as_secs());
            now += backoff.delay().as_secs();
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn the_delay_counts_from_the_failure() {
        let mut backoff = Backoff::new(RESTART);
        backoff.next(at(0), at(0));
        assert_eq!(backoff.remaining(at(2), at(5)), Some(SignedDuration::from_secs(7)));
        assert_eq!(backoff.remaining(at(2), at(12)), None);
    }

    #[test]
    fn ten_good_minutes_make_it_forget() {
        let mut backoff = Backoff::new(RESTART);
        backoff.next(at(0), at(0));
        backoff.next(at(10), at(10));
        assert_eq!(backoff.delay().as_secs(), 20);
        assert_eq!(backoff.remaining(at(611), at(611)), None);
        backoff.next(at(611), at(611));
        assert_eq!(backoff.delay().as_secs(), 10);
    }

    #[test]
    fn durations_read_like_go() {
        for (seconds, text) in [(10, "10s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s"), (3600, "1h0m0s")] {
            assert_eq!(go_duration(SignedDuration::from_secs(seconds)), text);
        }
    }
}
