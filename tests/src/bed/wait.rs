//! Waiting for conditions, never for time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Between two looks at a condition: at first, and at most. Each look may cost a process.
const FIRST: Duration = Duration::from_millis(10);
const LAST: Duration = Duration::from_millis(160);

/// Looks until `look` yields something; nothing when `limit` has passed.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(pause);
        pause = LAST.min(pause * 2);
    }
}

/// Tries until `attempt` succeeds.
///
/// # Errors
/// The last failure, with `what` was waited for, when `limit` has passed.
pub fn eventually<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = None;
    let reached = until(limit, || match attempt() {
        Ok(value) => Some(value),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    match (reached, last) {
        (Some(value), _) => Ok(value),
        (None, Some(error)) => Err(error.context(format!("waited {limit:?} until {what}"))),
        (None, None) => bail!("waited {limit:?} until {what}"),
    }
}
