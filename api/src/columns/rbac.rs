//! Columns of roles and bindings.

use super::{AGE, Column, NAME};

pub(crate) const ROLE: &[Column] = &[NAME, AGE];

pub(crate) const ROLE_BINDING: &[Column] = &[NAME, AGE];
