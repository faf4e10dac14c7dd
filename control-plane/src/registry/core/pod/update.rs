//! What may change in a pod after it was made (upstream `ValidatePodUpdate`).

use std::fmt::Write as _;

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{fields::At, keep};

const ONLY: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
    tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Differences that an error message lists.
const SHOWN: usize = 10;

/// Everything that is wrong with a change of a pod.
pub(super) fn validate_update(pod: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let (spec, before) = (At::root(pod).field("spec"), At::root(old).field("spec"));
    for list in ["containers", "initContainers"] {
        if spec.field(list).len() != before.field(list).len() {
            errors.forbidden(spec.field(list).path, "pod updates may not add or remove containers");
            return errors;
        }
    }
    check_deadline(&spec.field("activeDeadlineSeconds"), &before.field("activeDeadlineSeconds"), &mut errors);
    check_gates(&spec.field("schedulingGates"), &before.field("schedulingGates"), &mut errors);
    check_tolerations(&spec.field("tolerations"), &before.field("tolerations"), &mut errors);
    let allowed = with_old_mutable_fields(spec.value, before.value);
    if allowed != *before.value {
        errors.forbidden("spec", format!("{ONLY}\n{}", differences(before.value, &allowed, "spec")));
    }
    errors
}

/// The new spec with everything that may change as it was: what then differs may not.
fn with_old_mutable_fields(spec: &Value, before: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        let pairs = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, old) in pairs.zip(before[list].as_array().into_iter().flatten()) {
            keep(container, old, "image");
        }
    }
    keep(&mut spec, before, "activeDeadlineSeconds");
    keep(&mut spec, before, "tolerations");
    let was_negative = before["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0);
    if was_negative && spec["terminationGracePeriodSeconds"] == 1 {
        keep(&mut spec, before, "terminationGracePeriodSeconds");
    }
    keep(&mut spec, before, "schedulingGates");
    spec
}

/// Gates may only go.
fn check_gates(now: &At<'_>, before: &At<'_>, errors: &mut FieldErrors) {
    for gate in now.items().map(|gate| gate.field("name")) {
        if !before.items().any(|old| old.field("name").text() == gate.text()) {
            let words = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.text());
            errors.forbidden(gate.path, words);
        }
    }
}

fn check_deadline(now: &At<'_>, before: &At<'_>, errors: &mut FieldErrors) {
    match (now.integer(), before.integer()) {
        (None, Some(_)) => {
            errors.invalid(now.path.clone(), Value::Null, "must not update from a positive integer to nil value");
        }
        (Some(new), Some(old)) if new > old => {
            errors.invalid(now.path.clone(), new, "must be less than or equal to previous value");
        }
        _ => {}
    }
}

/// Tolerations stay, but for their seconds; new ones may come.
fn check_tolerations(now: &At<'_>, before: &At<'_>, errors: &mut FieldErrors) {
    let same = |a: &Value, b: &Value| {
        let field = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        ["key", "operator", "value", "effect"].iter().all(|name| field(a, name) == field(b, name))
    };
    for old in before.items() {
        if !now.items().any(|new| same(new.value, old.value)) {
            errors.forbidden(now.path.clone(), "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
}

/// The first few differences of two values, one after the other.
pub(super) fn differences(old: &Value, new: &Value, path: &str) -> String {
    let mut text = String::new();
    describe(old, new, path, &mut text, &mut 0);
    text
}

/// One line per difference, the old value and the new one.
fn describe(old: &Value, new: &Value, path: &str, text: &mut String, count: &mut usize) {
    if old == new || *count >= SHOWN {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                describe(&old[key], &new[key], &format!("{path}.{key}"), text, count);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (old, new)) in before.iter().zip(after).enumerate() {
                describe(old, new, &format!("{path}[{index}]"), text, count);
            }
        }
        _ => {
            *count += 1;
            // Writing to a string does not fail.
            let _ = writeln!(text, "- {path}: {old}\n+ {path}: {new}");
        }
    }
}
