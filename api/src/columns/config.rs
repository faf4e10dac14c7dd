//! Columns of configuration and accounts: how much there is, never what.

use super::{
    AGE, Column, NAME,
    cells::{self, len},
};

pub(crate) const CONFIG_MAP: &[Column] = &[
    NAME,
    Column::text("Data", "How many entries it has.", |map, _| (len(map, "/data") + len(map, "/binaryData")).into()),
    AGE,
];

pub(crate) const SECRET: &[Column] = &[
    NAME,
    Column::text("Type", "What the secret is for.", |secret, _| cells::text(secret, "/type")),
    Column::text("Data", "How many entries it has.", |secret, _| len(secret, "/data").into()),
    AGE,
];

pub(crate) const SERVICE_ACCOUNT: &[Column] = &[
    NAME,
    Column::text("Secrets", "How many secrets its pods may use.", |account, _| len(account, "/secrets").into()),
    AGE,
];
