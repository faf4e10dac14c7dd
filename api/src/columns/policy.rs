//! Columns of disruption budgets.

use super::{
    AGE, Column, NAME,
    cells::{int_at, number_or_text},
};

pub(crate) const POD_DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    Column::text("Min Available", "Pods that must stay.", |budget, _| {
        number_or_text(budget, "/spec/minAvailable", "N/A")
    }),
    Column::text("Max Unavailable", "Pods that may be missing.", |budget, _| {
        number_or_text(budget, "/spec/maxUnavailable", "N/A")
    }),
    Column::number("Allowed Disruptions", "Pods that may be evicted now.", |budget, _| {
        int_at(budget, "/status/disruptionsAllowed").into()
    }),
    AGE,
];
