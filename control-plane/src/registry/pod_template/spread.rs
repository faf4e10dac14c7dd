//! How evenly pods ask to be spread: what is wrong with it (upstream
//! `validateTopologySpreadConstraints`).

use nodeplane_api::status::FieldErrors;

use super::affinity::check_label_keys;
use crate::registry::{fields::At, workload::check_label_selector};

const ACTIONS: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
const POLICIES: [&str; 2] = ["Honor", "Ignore"];
const NOT_POSITIVE: &str = "must be greater than zero";

/// Adds what is wrong with `.spec.topologySpreadConstraints`.
pub(super) fn check_spread(constraints: &At<'_>, errors: &mut FieldErrors) {
    for (index, constraint) in constraints.items().enumerate() {
        check_skew(&constraint, errors);
        let (topology, action) = (constraint.field("topologyKey"), constraint.field("whenUnsatisfiable"));
        let same = |other: &At<'_>| {
            other.field("topologyKey").text() == topology.text()
                && other.field("whenUnsatisfiable").text() == action.text()
        };
        if constraints.items().skip(index + 1).any(|other| same(&other)) {
            let path = format!("{}.{{topologyKey, whenUnsatisfiable}}", constraint.path);
            errors.duplicate(path, format!("{{{}, {}}}", topology.text(), action.text()));
        }
        check_domains(&constraint.field("minDomains"), action.text(), errors);
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"].map(|field| constraint.field(field)) {
            if policy.is_set() && !POLICIES.contains(&policy.text()) {
                errors.not_supported(policy.path.clone(), policy.text(), &POLICIES);
            }
        }
        let selector = constraint.field("labelSelector");
        check_keys(&constraint.field("matchLabelKeys"), &selector, errors);
        check_label_selector(&selector, errors);
    }
}

fn check_skew(constraint: &At<'_>, errors: &mut FieldErrors) {
    let skew = constraint.field("maxSkew");
    let number = skew.integer().unwrap_or(0);
    if number <= 0 {
        errors.invalid(skew.path, number, NOT_POSITIVE);
    }
    let topology = constraint.field("topologyKey");
    if topology.text().is_empty() {
        errors.required(topology.path, "can not be empty");
    }
    let action = constraint.field("whenUnsatisfiable");
    if !ACTIONS.contains(&action.text()) {
        errors.not_supported(action.path.clone(), action.text(), &ACTIONS);
    }
}

fn check_domains(domains: &At<'_>, action: &str, errors: &mut FieldErrors) {
    let Some(number) = domains.integer() else { return };
    if number <= 0 {
        errors.invalid(domains.path.clone(), number, NOT_POSITIVE);
    }
    if action != "DoNotSchedule" {
        let words = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.invalid(domains.path.clone(), number, words);
    }
}

fn check_keys(keys: &At<'_>, selector: &At<'_>, errors: &mut FieldErrors) {
    check_label_keys(keys, selector, errors);
    let (labels, expressions) = (selector.field("matchLabels"), selector.field("matchExpressions"));
    let is_named = |key: &str| {
        labels.entries().any(|(named, _)| named == key)
            || expressions.items().any(|expression| expression.field("key").text() == key)
    };
    for key in keys.items().filter(|key| is_named(key.text())) {
        errors.invalid(key.path.clone(), key.text(), "exists in both matchLabelKeys and labelSelector");
    }
}
