//! Columns of runtime classes.

use super::{AGE, Column, NAME, cells};

pub(crate) const RUNTIME_CLASS: &[Column] = &[
    NAME,
    Column::text("Handler", "What runs the pods of the class.", |class, _| cells::text(class, "/handler")),
    AGE,
];
