//! What a job does about pods that failed in a certain way (upstream `validatePodFailurePolicy`).

use std::collections::BTreeSet;

use nodeplane_api::{names, status::FieldErrors};

use crate::registry::fields::At;

const RULES: usize = 20;
const EXIT_CODES: usize = 255;
const PATTERNS: usize = 20;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// Adds what is wrong with `podFailurePolicy` of a job's spec.
pub(super) fn check(spec: &At<'_>, errors: &mut FieldErrors) {
    let rules = spec.field("podFailurePolicy").field("rules");
    if rules.len() > RULES {
        errors.too_many(rules.path.clone(), rules.len(), RULES);
    }
    let pod = spec.field("template").field("spec");
    let named = |list: &str| pod.field(list).items().map(|container| container.field("name").text());
    let containers: BTreeSet<&str> = named("containers").chain(named("initContainers")).collect();
    for rule in rules.items() {
        check_action(spec, &rule.field("action"), errors);
        let (codes, conditions) = (rule.field("onExitCodes"), rule.field("onPodConditions"));
        if codes.is_set() {
            check_exit_codes(&codes, &containers, errors);
        }
        check_conditions(&conditions, errors);
        match (codes.is_set(), conditions.len() > 0) {
            (true, true) => {
                let words = "specifying both OnExitCodes and OnPodConditions is not supported";
                errors.invalid_whole(rule.path, words);
            }
            (false, false) => {
                errors.invalid_whole(rule.path, "specifying one of OnExitCodes and OnPodConditions is required");
            }
            _ => {}
        }
    }
}

fn check_action(spec: &At<'_>, action: &At<'_>, errors: &mut FieldErrors) {
    match action.text() {
        "FailIndex" if !spec.field("backoffLimitPerIndex").is_set() => {
            errors.invalid(action.path.clone(), "FailIndex", "requires the backoffLimitPerIndex to be set");
        }
        _ => one_of(action, &ACTIONS, errors),
    }
}

/// Adds an error unless the field is one of the values, which are told also when it is absent.
fn one_of(field: &At<'_>, values: &[&str], errors: &mut FieldErrors) {
    match field.text() {
        "" => {
            let all: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
            errors.required(field.path.clone(), format!("valid values: [{}]", all.join(" ")));
        }
        text if values.contains(&text) => {}
        text => errors.not_supported(field.path.clone(), text, values),
    }
}

fn check_conditions(conditions: &At<'_>, errors: &mut FieldErrors) {
    if conditions.len() > PATTERNS {
        errors.too_many(conditions.path.clone(), conditions.len(), PATTERNS);
    }
    for pattern in conditions.items() {
        let kind = pattern.field("type");
        for words in names::qualified(kind.text()) {
            errors.invalid(kind.path.clone(), kind.text(), words);
        }
        one_of(&pattern.field("status"), &STATUSES, errors);
    }
}

fn check_exit_codes(codes: &At<'_>, containers: &BTreeSet<&str>, errors: &mut FieldErrors) {
    let (operator, name, values) = (codes.field("operator"), codes.field("containerName"), codes.field("values"));
    one_of(&operator, &OPERATORS, errors);
    if name.is_set() && !containers.contains(name.text()) {
        let words = "must be one of the container or initContainer names in the pod template";
        errors.invalid(name.path.clone(), name.text(), words);
    }
    if values.len() == 0 {
        errors.invalid_shown(values.path.clone(), show(&values), "at least one value is required");
    } else if values.len() > EXIT_CODES {
        errors.too_many(values.path.clone(), values.len(), EXIT_CODES);
    }
    let mut seen = BTreeSet::new();
    let mut before = None;
    let mut is_ordered = true;
    for value in values.items() {
        let code = value.integer().unwrap_or(0);
        if operator.text() == "In" && code == 0 {
            errors.invalid(value.path.clone(), code, "must not be 0 for the In operator");
        }
        if !seen.insert(code) {
            errors.duplicate(value.path.clone(), code);
        }
        is_ordered &= before.is_none_or(|before| before <= code);
        before = Some(code);
    }
    if !is_ordered {
        errors.invalid_shown(values.path.clone(), show(&values), "must be ordered");
    }
}

/// Numbers as Go prints them.
fn show(values: &At<'_>) -> String {
    if !values.is_set() {
        return "[]int32(nil)".to_owned();
    }
    let all: Vec<String> = values.items().map(|value| value.value.to_string()).collect();
    format!("[]int32{{{}}}", all.join(", "))
}
