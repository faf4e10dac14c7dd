//! When an indexed job has succeeded before all of its pods have (upstream
//! `validateSuccessPolicy`).

use nodeplane_api::status::FieldErrors;

use super::indexes;
use crate::registry::{fields::At, pod_template::not_negative};

const RULES: usize = 20;
const INDEXES_LENGTH: usize = 64 * 1024;

/// Adds what is wrong with `successPolicy` of a job's spec.
pub(super) fn check(spec: &At<'_>, errors: &mut FieldErrors) {
    let policy = spec.field("successPolicy");
    if !policy.is_set() {
        return;
    }
    if spec.field("completionMode").text() != "Indexed" {
        errors.invalid(policy.path, policy.value.clone(), "requires indexed completion mode");
        return;
    }
    let rules = policy.field("rules");
    if rules.len() == 0 {
        let words = "at least one rules must be specified when the successPolicy is specified";
        errors.required(rules.path.clone(), words);
    }
    if rules.len() > RULES {
        errors.too_many(rules.path.clone(), rules.len(), RULES);
    }
    let completions = spec.field("completions").integer().unwrap_or(0);
    for rule in rules.items() {
        check_rule(&rule, completions, errors);
    }
}

fn check_rule(rule: &At<'_>, completions: i64, errors: &mut FieldErrors) {
    let (count, indexes) = (rule.field("succeededCount"), rule.field("succeededIndexes"));
    if !count.is_set() && !indexes.is_set() {
        let words = "at least one of succeededCount or succeededIndexes must be specified";
        errors.required(rule.path.clone(), words);
    }
    if indexes.text().len() > INDEXES_LENGTH {
        errors.too_long(indexes.path.clone(), INDEXES_LENGTH);
    }
    let total = indexes::count(indexes.text(), completions).unwrap_or_else(|why| {
        errors.invalid(indexes.path.clone(), indexes.text(), format!("error parsing succeededIndexes: {why}"));
        0
    });
    not_negative(&count, errors);
    let Some(wanted) = count.integer() else { return };
    let mut at_most = |limit: i64, what: &str| {
        if wanted > limit {
            let words = format!("must be less than or equal to {limit} (the number of {what})");
            errors.invalid(count.path.clone(), wanted, words);
        }
    };
    at_most(completions, "specified completions");
    if indexes.is_set() {
        at_most(total, "indexes in the specified succeededIndexes field");
    }
}
