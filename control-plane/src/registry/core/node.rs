//! Nodes (upstream `ValidateNode`, `ValidateNodeUpdate`).

use std::collections::BTreeSet;

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{Strategy, fields::At};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The strategy of nodes.
pub(super) struct NodeStrategy;

impl Strategy for NodeStrategy {
    /// Unlike other kinds, a node may come with the status of its agent.
    fn prepare_for_create(&self, _node: &mut Value) {}

    fn validate(&self, node: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(node).field("spec");
        // Upstream says `metadata` there, too.
        check_taints(&At { path: "metadata.taints".to_owned(), ..spec.field("taints") }, &mut errors);
        check_ranges(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, node: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (spec, before) = (At::root(node).field("spec"), At::root(old).field("spec"));
        if before.field("podCIDRs").len() > 0 && spec.field("podCIDRs").value != before.field("podCIDRs").value {
            errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
        }
        let (id, old_id) = (spec.field("providerID"), before.field("providerID"));
        if !old_id.text().is_empty() && id.text() != old_id.text() {
            errors.forbidden(id.path, "node updates may not change providerID except from \"\" to valid");
        }
        errors
    }

    fn validate_status_update(&self, node: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let status = At::root(node).field("status");
        for list in ["capacity", "allocatable"] {
            for (name, amount) in status.field(list).entries() {
                if amount.text().parse::<Quantity>().is_ok_and(Quantity::is_negative) {
                    let words = "must be greater than or equal to 0";
                    errors.invalid(format!("status.{list}.{name}"), amount.text(), words);
                }
            }
        }
        let mut seen = BTreeSet::new();
        for address in status.field("addresses").items() {
            if !seen.insert(address.value.to_string()) {
                errors.duplicate(address.path.clone(), address.value.clone());
            }
        }
        errors
    }

    /// `podCIDR` and `podCIDRs[0]` are one field in two generations of the API.
    fn default(&self, node: &mut Value) {
        let Some(spec) = node.get_mut("spec").filter(|spec| spec.is_object()) else { return };
        let read: &Value = spec;
        let one = read["podCIDR"].as_str().unwrap_or_default().to_owned();
        let first = read["podCIDRs"][0].as_str().unwrap_or_default().to_owned();
        if !one.is_empty() && first.is_empty() {
            spec["podCIDRs"] = json!([one]);
        } else if one.is_empty() && !first.is_empty() {
            spec["podCIDR"] = first.into();
        }
    }
}

fn check_ranges(spec: &At<'_>, errors: &mut FieldErrors) {
    for range in spec.field("podCIDRs").items() {
        let parts = range.text().split_once('/');
        let is_range = parts.is_some_and(|(address, length)| {
            address.parse::<std::net::IpAddr>().is_ok() && length.parse::<u8>().is_ok_and(|length| length <= 128)
        });
        if !is_range {
            let words = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            errors.invalid(range.path.clone(), range.text(), words);
        }
    }
    let (one, all) = (spec.field("podCIDR"), spec.field("podCIDRs"));
    if all.len() > 0 && !one.text().is_empty() && all.value[0] != *one.value {
        errors.invalid(all.path, all.value.clone(), "first value must match `podCIDR`");
    }
}

fn check_taints(taints: &At<'_>, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.field("key"), taint.field("value"), taint.field("effect"));
        for words in names::qualified(key.text()) {
            errors.invalid(key.path.clone(), key.text(), words);
        }
        let wrong = names::label_value(value.text());
        if !wrong.is_empty() {
            errors.invalid(value.path.clone(), value.text(), wrong.join(";"));
        }
        match effect.text() {
            "" => errors.required(effect.path.clone(), ""),
            text if EFFECTS.contains(&text) => {}
            text => errors.not_supported(effect.path.clone(), text, &EFFECTS),
        }
        if !seen.insert((key.text(), effect.text())) {
            let words = "taints must be unique by key and effect pair";
            errors.duplicate_because(taint.path.clone(), show_taint(&taint), words);
        }
    }
}

/// A taint as Go prints it.
fn show_taint(taint: &At<'_>) -> String {
    let text = |name: &str| taint.field(name).text();
    let (key, value, effect) = (text("key"), text("value"), text("effect"));
    format!("core.Taint{{Key:{key:?}, Value:{value:?}, Effect:{effect:?}, TimeAdded:<nil>}}")
}

#[cfg(test)]
mod tests;
