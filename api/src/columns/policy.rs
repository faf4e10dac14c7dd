//! Columns of disruption budgets.

use super::{AGE, Column, NAME};

pub(crate) const POD_DISRUPTION_BUDGET: &[Column] = &[NAME, AGE];
