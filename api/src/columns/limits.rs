//! Columns of quotas and limits.

use super::{AGE, Column, NAME};

pub(crate) const LIMIT_RANGE: &[Column] = &[NAME, AGE];

pub(crate) const RESOURCE_QUOTA: &[Column] = &[NAME, AGE];
