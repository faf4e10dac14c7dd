//! Which OOM scores containers here may have.
//!
//! The kernel lets nobody without `CAP_SYS_RESOURCE` protect a process more than itself, and a
//! container that asks for it does not start. Machines without that capability exist: sandboxes in
//! which a whole system runs. There the least score allowed is used, and the order among containers is kept
//! as far as it goes.

use std::fs;

/// The score of a process that is never killed.
const NEVER: i64 = -1000;
/// `CAP_SYS_RESOURCE`.
const SYS_RESOURCE: u32 = 24;

/// The least score that may be given.
pub(super) fn least_score() -> i64 {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    least(&read("/proc/self/status"), &read("/proc/self/oom_score_adj"))
}

/// From the capabilities in a `status` file and the reader's own score.
fn least(status: &str, own: &str) -> i64 {
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    if capabilities.is_some_and(|mask| mask & (1 << SYS_RESOURCE) != 0) {
        return NEVER;
    }
    own.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests;
