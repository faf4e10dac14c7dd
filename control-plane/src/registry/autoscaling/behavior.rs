//! How fast an autoscaler acts: policies for each direction.

use nodeplane_api::status::FieldErrors;
use serde_json::{Value, json};

use crate::registry::fields::{At, child, fill, object_mut, remove};

/// The longest period of a policy, in seconds.
const PERIOD_LIMIT: i64 = 1800;
/// The longest time that an autoscaler looks back, in seconds.
const WINDOW_LIMIT: i64 = 3600;

/// Fills what a behaviour leaves out. How long to look back before scaling down is the
/// controller's choice.
pub(super) fn default(behavior: &mut Value) {
    let by_percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    if let Some(up) = child(behavior, "scaleUp") {
        fill(up, "stabilizationWindowSeconds", 0);
        fill(up, "selectPolicy", "Max");
        fill(up, "policies", json!([{ "type": "Pods", "value": 4, "periodSeconds": 15 }, by_percent]));
    }
    if let Some(down) = child(behavior, "scaleDown") {
        fill(down, "selectPolicy", "Max");
        fill(down, "policies", json!([by_percent]));
    }
}

/// Takes out the tolerance, which belongs to a feature that is off in 1.33.
pub(super) fn drop_disabled(autoscaler: &mut Value) {
    let Some(behavior) = object_mut(autoscaler, "spec").and_then(|spec| object_mut(spec, "behavior")) else { return };
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) = object_mut(behavior, direction) {
            remove(rules, "tolerance");
        }
    }
}

/// Adds what is wrong with a behaviour.
pub(super) fn check(behavior: &At<'_>, errors: &mut FieldErrors) {
    for direction in ["scaleUp", "scaleDown"] {
        let rules = behavior.field(direction);
        if rules.is_set() {
            check_rules(&rules, errors);
        }
    }
}

fn check_rules(rules: &At<'_>, errors: &mut FieldErrors) {
    let window = rules.field("stabilizationWindowSeconds");
    match window.integer() {
        Some(seconds) if seconds < 0 => errors.invalid(window.path, seconds, "must be greater than or equal to zero"),
        Some(seconds) if seconds > WINDOW_LIMIT => {
            errors.invalid(window.path, seconds, format!("must be less than or equal to {WINDOW_LIMIT}"));
        }
        _ => {}
    }
    let select = rules.field("selectPolicy");
    if select.is_set() && !matches!(select.text(), "Max" | "Min" | "Disabled") {
        errors.not_supported(select.path.clone(), select.text(), &["Disabled", "Max", "Min"]);
    }
    let policies = rules.field("policies");
    if policies.len() == 0 {
        errors.required(policies.path.clone(), "must specify at least one Policy");
    }
    policies.items().for_each(|policy| check_policy(&policy, errors));
}

fn check_policy(policy: &At<'_>, errors: &mut FieldErrors) {
    let (kind, value, period) = (policy.field("type"), policy.field("value"), policy.field("periodSeconds"));
    if !matches!(kind.text(), "Pods" | "Percent") {
        errors.not_supported(kind.path.clone(), kind.text(), &["Percent", "Pods"]);
    }
    for field in [&value, &period] {
        let number = field.integer().unwrap_or(0);
        if number <= 0 {
            errors.invalid(field.path.clone(), number, "must be greater than zero");
        }
    }
    if let Some(seconds) = period.integer().filter(|seconds| *seconds > PERIOD_LIMIT) {
        errors.invalid(period.path, seconds, format!("must be less than or equal to {PERIOD_LIMIT}"));
    }
}
