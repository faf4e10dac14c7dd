//! What workloads have in common: a selector that must match the template, and counts of pods.

use nodeplane_api::{
    meta, names,
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
    check_selector(&selector, "deployment", errors);
    let Ok(parsed) = LabelSelector::from_value(selector.value) else {
        errors.invalid_shown(selector.path, show_selector(selector.value), "invalid label selector");
        return;
    };
    check_match(parsed.matches(template_labels(&template).value), &template, errors);
    check_template(&template, errors);
    check_goes_on(&template.field("spec"), "ReplicaSet", errors);
}

/// Adds what is wrong with the selector of a workload that must have one.
pub(super) fn check_selector(selector: &At<'_>, workload: &str, errors: &mut FieldErrors) {
    if selector.is_set() {
        check_label_selector(selector, errors);
        check_not_empty(selector, workload, errors);
    } else {
        errors.required(selector.path.clone(), "");
    }
}

/// Adds an error for a selector that would select everything.
pub(super) fn check_not_empty(selector: &At<'_>, workload: &str, errors: &mut FieldErrors) {
    if selector.field("matchLabels").len() + selector.field("matchExpressions").len() == 0 {
        let words = format!("empty selector is invalid for {workload}");
        errors.invalid_shown(selector.path.clone(), show_selector(selector.value), words);
    }
}

/// The labels of the pods that a template makes.
pub(super) fn template_labels<'a>(template: &At<'a>) -> At<'a> {
    template.field("metadata").field("labels")
}

/// Adds an error when a workload does not select the pods that it makes.
pub(super) fn check_match(matches: bool, template: &At<'_>, errors: &mut FieldErrors) {
    if matches {
        return;
    }
    let labels = template_labels(template);
    let shown = if labels.is_set() { go_text(labels.value) } else { "map[string]string(nil)".to_owned() };
    errors.invalid_shown(labels.path, shown, "`selector` does not match template `labels`");
}

/// Adds what is wrong with pods that never end, whatever becomes of their containers.
pub(super) fn check_goes_on(pod: &At<'_>, workload: &str, errors: &mut FieldErrors) {
    let policy = pod.field("restartPolicy");
    if !matches!(policy.text(), "" | "Always") {
        errors.not_supported(policy.path.clone(), policy.text(), &["Always"]);
    }
    let deadline = pod.field("activeDeadlineSeconds");
    if deadline.is_set() {
        errors.forbidden(deadline.path, format!("activeDeadlineSeconds in {workload} is not Supported"));
    }
}

/// What to say about the name of a new workload whose pods are named after it.
pub(super) fn name_warnings(object: &Value) -> Vec<String> {
    let wrong = names::label_1123(meta::name(object));
    if wrong.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label \
         is recommended: [{}]",
        wrong.join(" ")
    )]
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
    let parts = ["fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    check_parts(&status, &parts, "readyReplicas", &mut errors);
    errors
}

/// Adds an error for each of these counts that is above `replicas`, and for more available pods
/// than ready ones, which are called `ready` then.
pub(super) fn check_parts(status: &At<'_>, parts: &[&str], ready: &str, errors: &mut FieldErrors) {
    let count = |name: &str| status.field(name).integer().unwrap_or(0);
    for part in parts {
        if count(part) > count("replicas") {
            errors.invalid(status.field(part).path, count(part), "cannot be greater than status.replicas");
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let path = status.field("availableReplicas").path;
        errors.invalid(path, count("availableReplicas"), format!("cannot be greater than {ready}"));
    }
}

/// Adds an error when `status.collisionCount` goes down.
pub(super) fn check_collisions_kept(object: &Value, old: &Value, errors: &mut FieldErrors) {
    let count = |object: &Value| At::root(object).field("status").field("collisionCount").integer();
    let now = count(object).unwrap_or(0);
    if count(old).is_some_and(|before| now < before) {
        errors.invalid("status.collisionCount", now, "cannot be decremented");
    }
}

/// A selector as Go prints it.
pub(super) fn show_selector(selector: &Value) -> String {
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
