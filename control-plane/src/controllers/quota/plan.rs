//! What a quota is to say about its namespace. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ResourceQuota, ResourceQuotaStatus},
    apimachinery::pkg::api::resource,
};
use nodeplane_api::{
    kinds::Kind,
    quantity::Quantity,
    usage::{self, Amounts},
};
use serde_json::Value;

/// What these objects use of these names; what nobody uses is 0.
pub(super) fn used(kind: &Kind, names: &[&str], spec: &Value, objects: &[Value], now: Timestamp) -> Amounts {
    let mut sum = counted(names, Quantity::ZERO);
    for object in objects.iter().filter(|object| usage::chooses(spec, kind, object)) {
        let own = usage::of(kind, object, now);
        usage::add(&mut sum, &own.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect());
    }
    sum
}

/// The same amount under all names of a kind.
pub(super) fn counted(names: &[&str], count: Quantity) -> Amounts {
    names.iter().map(|name| ((*name).to_owned(), count)).collect()
}

/// The status of a quota of whose names so much is used.
pub(super) fn status(quota: &ResourceQuota, used: &Amounts) -> ResourceQuotaStatus {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.clone()).unwrap_or_default();
    let used = used.iter().filter(|(name, _)| hard.contains_key(*name));
    let used: BTreeMap<_, _> =
        used.map(|(name, amount)| (name.clone(), resource::Quantity(amount.to_string()))).collect();
    ResourceQuotaStatus { hard: Some(hard), used: Some(used) }
}

#[cfg(test)]
mod tests;
