//! Columns of roles and bindings.

use serde_json::Value;

use super::{
    AGE, CREATED_AT, Column, NAME,
    cells::{items, str_at},
};

pub(crate) const ROLE: &[Column] = &[NAME, CREATED_AT];

pub(crate) const ROLE_BINDING: &[Column] = &[
    NAME,
    Column::text("Role", "What it gives.", |binding, _| {
        format!("{}/{}", str_at(binding, "/roleRef/kind"), str_at(binding, "/roleRef/name")).into()
    }),
    AGE,
    Column::text("Users", "Users who get it.", |binding, _| subjects(binding, "User").into()).wide(),
    Column::text("Groups", "Groups that get it.", |binding, _| subjects(binding, "Group").into()).wide(),
    Column::text("ServiceAccounts", "Service accounts that get it.", |binding, _| {
        subjects(binding, "ServiceAccount").into()
    })
    .wide(),
];

/// All subjects of a kind; service accounts with their namespaces.
fn subjects(binding: &Value, kind: &str) -> String {
    let of_kind = items(binding, "/subjects").filter(|subject| subject["kind"] == kind);
    let shown: Vec<String> = of_kind
        .map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", str_at(subject, "/namespace"), str_at(subject, "/name")),
            _ => str_at(subject, "/name").to_owned(),
        })
        .collect();
    shown.join(", ")
}
