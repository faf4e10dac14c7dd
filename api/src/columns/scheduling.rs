//! Columns of priorities.

use super::{AGE, Column, NAME};

pub(crate) const PRIORITY_CLASS: &[Column] = &[NAME, AGE];
