//! What Deployments and ReplicaSets have in common: a selector that must match the template.

use nodeplane_api::{
    names,
    selector::LabelSelector,
    status::{FieldErrors, go_text},
};
use serde_json::Value;

use super::{
    fields::At,
    pod_template::{check_template, not_negative},
};

/// Adds what is wrong with `spec.selector` and `spec.template` of a workload whose pods are
/// replaced by equal ones.
pub(super) fn check_selector_and_template(spec: &At<'_>, errors: &mut FieldErrors) {
    let (selector, template) = (spec.field("selector"), spec.field("template"));
    check_selector(&selector, errors);
    let Ok(parsed) = LabelSelector::from_value(selector.value) else {
        errors.invalid_shown(selector.path, show_selector(selector.value), "invalid label selector");
        return;
    };
    let labels = template.field("metadata").field("labels");
    if !parsed.matches(labels.value) {
        let shown = if labels.is_set() { go_text(labels.value) } else { "map[string]string(nil)".to_owned() };
        errors.invalid_shown(labels.path, shown, "`selector` does not match template `labels`");
    }
    check_template(&template, errors);
    let pod = template.field("spec");
    let policy = pod.field("restartPolicy");
    if !matches!(policy.text(), "" | "Always") {
        errors.not_supported(policy.path.clone(), policy.text(), &["Always"]);
    }
    let deadline = pod.field("activeDeadlineSeconds");
    if deadline.is_set() {
        errors.forbidden(deadline.path, "activeDeadlineSeconds in ReplicaSet is not Supported");
    }
}

/// Adds what is wrong with the selector of a workload.
fn check_selector(selector: &At<'_>, errors: &mut FieldErrors) {
    if !selector.is_set() {
        errors.required(selector.path.clone(), "");
        return;
    }
    check_label_selector(selector, errors);
    if selector.field("matchLabels").len() + selector.field("matchExpressions").len() == 0 {
        let words = "empty selector is invalid for deployment";
        errors.invalid_shown(selector.path.clone(), show_selector(selector.value), words);
    }
}

/// Adds what is wrong with a label selector that may be absent or empty.
pub(super) fn check_label_selector(selector: &At<'_>, errors: &mut FieldErrors) {
    for (key, value) in selector.field("matchLabels").entries() {
        let path = selector.field("matchLabels").path;
        for words in names::qualified(key) {
            errors.invalid(path.clone(), key, words);
        }
        for words in names::label_value(value.text()) {
            errors.invalid(path.clone(), value.text(), words);
        }
    }
    for expression in selector.field("matchExpressions").items() {
        check_expression(&expression, errors);
    }
}

fn check_expression(expression: &At<'_>, errors: &mut FieldErrors) {
    let (operator, values) = (expression.field("operator"), expression.field("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() == 0 => {
            errors.required(values.path.clone(), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if values.len() > 0 => {
            errors.forbidden(values.path.clone(), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errors.invalid(operator.path.clone(), other, "not a valid selector operator"),
    }
    let key = expression.field("key");
    for words in names::qualified(key.text()) {
        errors.invalid(key.path.clone(), key.text(), words);
    }
    for value in values.items() {
        for words in names::label_value(value.text()) {
            errors.invalid(value.path.clone(), value.text(), words);
        }
    }
}

/// Adds an error when the selector differs from what it was.
pub(super) fn check_selector_kept(object: &Value, old: &Value, errors: &mut FieldErrors) {
    let selector = At::root(object).field("spec").field("selector");
    if *selector.value != old["spec"]["selector"] {
        errors.invalid_shown(selector.path, show_selector(selector.value), "field is immutable");
    }
}

/// Adds an error for each of these fields that is below zero.
pub(super) fn check_counts(object: &At<'_>, fields: &[&str], errors: &mut FieldErrors) {
    for name in fields {
        not_negative(&object.field(name), errors);
    }
}

/// Everything that is wrong with the counts of replicas in `.status`.
pub(super) fn check_status_counts(object: &Value, fields: &[&str]) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let status = At::root(object).field("status");
    check_counts(&status, fields, &mut errors);
    let count = |name: &str| status.field(name).integer().unwrap_or(0);
    for part in ["fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        if count(part) > count("replicas") {
            errors.invalid(status.field(part).path, count(part), "cannot be greater than status.replicas");
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let path = status.field("availableReplicas").path;
        errors.invalid(path, count("availableReplicas"), "cannot be greater than readyReplicas");
    }
    errors
}

/// A selector as Go prints it.
fn show_selector(selector: &Value) -> String {
    let labels = match &selector["matchLabels"] {
        Value::Null => "map[string]string(nil)".to_owned(),
        labels => go_text(labels),
    };
    let expressions: Vec<String> =
        selector["matchExpressions"].as_array().into_iter().flatten().map(show_expression).collect();
    let expressions = match expressions.as_slice() {
        [] => "[]v1.LabelSelectorRequirement(nil)".to_owned(),
        all => format!("[]v1.LabelSelectorRequirement{{{}}}", all.join(", ")),
    };
    format!("v1.LabelSelector{{MatchLabels:{labels}, MatchExpressions:{expressions}}}")
}

fn show_expression(expression: &Value) -> String {
    let values = match &expression["values"] {
        Value::Null => "[]string(nil)".to_owned(),
        values => go_text(values),
    };
    let text = |name: &str| expression[name].as_str().unwrap_or_default().to_owned();
    format!("v1.LabelSelectorRequirement{{Key:{:?}, Operator:{:?}, Values:{values}}}", text("key"), text("operator"))
}
