//! Columns of quotas and limits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    AGE, CREATED_AT, Column, NAME,
    cells::{or, str_at},
};

pub(crate) const LIMIT_RANGE: &[Column] = &[NAME, CREATED_AT];

pub(crate) const RESOURCE_QUOTA: &[Column] = &[
    NAME,
    Column::text("Request", "What may be requested, and how much of it is.", |quota, _| {
        amounts(quota, |resource| !is_limit(resource)).into()
    }),
    Column::text("Limit", "What limits may add up to, and what they do.", |quota, _| amounts(quota, is_limit).into()),
    AGE,
];

fn is_limit(resource: &str) -> bool {
    resource.starts_with("limits.")
}

/// `pods: 1/4, requests.cpu: 0/2`: what is used of what there is.
fn amounts(quota: &Value, which: fn(&str) -> bool) -> String {
    let hard = quota.pointer("/status/hard").and_then(Value::as_object).into_iter().flatten();
    let sorted: BTreeMap<_, _> = hard.filter(|(resource, _)| which(resource)).collect();
    let shown = sorted.into_iter().map(|(resource, most)| {
        let used = quota["status"]["used"].get(resource).and_then(Value::as_str).unwrap_or_default();
        format!("{resource}: {}/{}", or(used, "0"), str_at(most, ""))
    });
    shown.collect::<Vec<_>>().join(", ")
}
