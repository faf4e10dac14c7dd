//! The group `batch`.

mod cron_job;
mod job;

use super::{Strategy, plain};

/// What differs for a kind of this group.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "CronJob" => &cron_job::CronJobStrategy,
        "Job" => &job::JobStrategy,
        _ => plain(),
    }
}
