//! Columns of what runs to its end: Jobs and CronJobs.

use super::{AGE, Column, NAME};

pub(crate) const CRON_JOB: &[Column] = &[NAME, AGE];

pub(crate) const JOB: &[Column] = &[NAME, AGE];
