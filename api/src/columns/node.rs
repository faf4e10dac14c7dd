//! Columns of runtime classes.

use super::{AGE, Column, NAME};

pub(crate) const RUNTIME_CLASS: &[Column] = &[NAME, AGE];
