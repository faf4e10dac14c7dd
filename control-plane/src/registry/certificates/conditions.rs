//! Whether a request is approved, denied or failed.

use jiff::Timestamp;
use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::metadata::own;

const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";
const FAILED: &str = "Failed";
const FIELD: &str = "status.conditions";

fn all(status: &Value) -> impl Iterator<Item = &Value> {
    status["conditions"].as_array().into_iter().flatten()
}

fn of_type<'a>(object: &'a Value, name: &str) -> Vec<&'a Value> {
    all(&object["status"]).filter(|condition| condition["type"] == name).collect()
}

/// Makes the decision in `object` the same as in `old`: it is not changed together with the
/// answer.
pub(super) fn keep_decision(object: &mut Value, old: &Value) {
    let mut kept: Vec<Value> = all(&object["status"]).filter(|condition| !is_decision(condition)).cloned().collect();
    let decided: Vec<Value> = all(&old["status"]).filter(|condition| is_decision(condition)).cloned().collect();
    let has_none = object["status"]["conditions"].is_null() && decided.is_empty();
    if has_none {
        return;
    }
    // In the order of the old ones, and the new ones behind.
    let mut merged = decided;
    merged.append(&mut kept);
    object["status"]["conditions"] = merged.into();
}

fn is_decision(condition: &Value) -> bool {
    condition["type"] == APPROVED || condition["type"] == DENIED
}

/// Gives conditions that are new, or that turned, the times that their writer left out.
pub(super) fn stamp(object: &mut Value, old: &Value, now: Timestamp) {
    let conditions = object["status"]["conditions"].as_array_mut().into_iter().flatten();
    for condition in conditions {
        let before = all(&old["status"]).find(|before| before["type"] == condition["type"]);
        let has_turned = before.is_none_or(|before| before["status"] != condition["status"]);
        let turned = match before {
            Some(before) if !has_turned => before["lastTransitionTime"].clone(),
            _ => own::time(now).into(),
        };
        let is_changed = before.is_none_or(|before| {
            ["status", "reason", "message"].iter().any(|field| before[*field] != condition[*field])
        });
        if condition["lastTransitionTime"].is_null() && !turned.is_null() {
            condition["lastTransitionTime"] = turned;
        }
        if condition["lastUpdateTime"].is_null() {
            condition["lastUpdateTime"] = match before {
                Some(before) if !is_changed => before["lastUpdateTime"].clone(),
                _ => own::time(now).into(),
            };
        }
    }
}

/// Everything that is wrong with the conditions themselves.
pub(super) fn validate(status: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in all(status).enumerate() {
        let path = format!("{FIELD}[{index}]");
        let name = condition["type"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.required(format!("{path}.type"), "");
        }
        validate_status(condition, name, &path, &mut errors);
        let other = match name {
            APPROVED => DENIED,
            DENIED => APPROVED,
            _ => "",
        };
        if !other.is_empty() && seen.contains(&other) {
            let why = "Approved and Denied conditions are mutually exclusive";
            errors.invalid(format!("{path}.type"), name, why);
        }
        if seen.contains(&name) {
            errors.duplicate(format!("{path}.type"), name);
        }
        seen.push(name);
    }
    errors
}

fn validate_status(condition: &Value, name: &str, path: &str, errors: &mut FieldErrors) {
    let allowed: &[&str] =
        if [APPROVED, DENIED, FAILED].contains(&name) { &["True"] } else { &["False", "True", "Unknown"] };
    match condition["status"].as_str().unwrap_or_default() {
        "" => errors.required(format!("{path}.status"), ""),
        status if !allowed.contains(&status) => errors.not_supported(format!("{path}.status"), status, allowed),
        _ => {}
    }
}

/// What a change of conditions may not do. Only who approves may decide.
pub(super) fn validate_change(object: &Value, old: &Value, may_decide: bool) -> FieldErrors {
    let mut errors = FieldErrors::default();
    for name in [APPROVED, DENIED, FAILED] {
        if of_type(object, name).len() < of_type(old, name).len() {
            errors.forbidden(FIELD, format!("updates may not remove a condition of type \"{name}\""));
        }
    }
    if may_decide {
        return errors;
    }
    for name in [APPROVED, DENIED] {
        let (now, before) = (of_type(object, name), of_type(old, name));
        if now.len() > before.len() {
            errors.forbidden(FIELD, format!("updates may not add a condition of type \"{name}\""));
        } else if now.len() == before.len() && now != before {
            errors.forbidden(FIELD, format!("updates may not modify a condition of type \"{name}\""));
        }
    }
    errors
}
