//! Columns of priorities.

use super::{
    AGE, Column, NAME,
    cells::{self, int_at, truth_or},
};

pub(crate) const PRIORITY_CLASS: &[Column] = &[
    NAME,
    Column::number("Value", "The priority of pods of the class.", |class, _| int_at(class, "/value").into()),
    Column::boolean("Global-Default", "Whether pods without a class are of this one.", |class, _| {
        truth_or(class, "/globalDefault", false)
    }),
    AGE,
    Column::text("PreemptionPolicy", "Whether its pods may push others out.", |class, _| {
        cells::text(class, "/preemptionPolicy")
    }),
];
