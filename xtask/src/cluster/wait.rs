//! Waiting for a condition, never longer than said.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `probe` gives something. An error of `probe` ends the wait: it means that waiting is useless.
///
/// # Errors
/// The probe's own, or that `limit` passed; `what` names what was waited for.
pub(crate) fn until<T>(what: &str, limit: Duration, probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_every(PAUSE, what, limit, probe)
}

/// As [`until`], looking once per `pause`.
///
/// # Errors
/// As [`until`].
pub(crate) fn until_every<T>(
    pause: Duration,
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if started.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        std::thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_ends_the_wait() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn time_ends_the_wait_and_is_told() {
        let error = until::<()>("the impossible", Duration::ZERO, || Ok(None)).unwrap_err().to_string();
        assert_eq!(error, "waited 0 s in vain for the impossible");
    }

    #[test]
    fn an_error_ends_the_wait_at_once() {
        let error = until::<()>("a dead process", Duration::from_secs(60), || bail!("it died")).unwrap_err();
        assert_eq!(error.to_string(), "it died");
    }
}
