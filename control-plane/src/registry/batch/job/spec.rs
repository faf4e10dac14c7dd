//! What is wrong with a job's spec, of a job or of a template of jobs (upstream
//! `validateJobSpec`).

use nodeplane_api::{names, status::FieldErrors};

use super::{failure_policy, success_policy};
use crate::registry::{
    fields::At,
    pod_template::{self, check_template},
    workload::check_counts,
};

const MODES: [&str; 2] = ["NonIndexed", "Indexed"];
/// Above, the indexes that failed or succeeded may be too many to tell.
const MANY: i64 = 100_000;
const MANY_AT_ONCE: i64 = 10_000;
const MANAGER_LENGTH: usize = 63;
/// What the path of a manager may consist of, besides letters and digits.
const PATH_SIGNS: &str = "/-._~%!$&'()*+,;=:";
const PATH_WORDS: &str = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";

/// Adds what is wrong with a job's spec, except for its selector.
pub(in crate::registry::batch) fn check_job_spec(spec: &At<'_>, errors: &mut FieldErrors) {
    let counts = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    check_counts(spec, &counts, errors);
    let per_index = spec.field("backoffLimitPerIndex");
    if spec.field("maxFailedIndexes").is_set() && !per_index.is_set() {
        errors.required(per_index.path, "when maxFailedIndexes is specified");
    }
    check_manager(&spec.field("managedBy"), errors);
    check_mode(spec, errors);
    failure_policy::check(spec, errors);
    success_policy::check(spec, errors);
    check_replacement(spec, errors);
    check_template(&spec.field("template"), errors);
    check_restarts(spec, errors);
}

/// What is accepted in a job's spec, but not a good idea.
pub(in crate::registry::batch) fn spec_warnings(spec: &At<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = |name: &str| spec.field(name).integer().unwrap_or(0);
    let is_indexed = spec.field("completionMode").text() == "Indexed";
    if is_indexed && count("completions") > MANY && count("parallelism") > MANY_AT_ONCE {
        warnings.push(format!(
            "{}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
            spec.path
        ));
    }
    warnings.extend(pod_template::warnings(&spec.field("template").field("spec")));
    warnings
}

fn check_manager(manager: &At<'_>, errors: &mut FieldErrors) {
    if !manager.is_set() {
        return;
    }
    check_prefixed_path(manager, errors);
    if manager.text().len() > MANAGER_LENGTH {
        errors.too_long(manager.path.clone(), MANAGER_LENGTH);
    }
}

fn check_prefixed_path(manager: &At<'_>, errors: &mut FieldErrors) {
    let (host, path) = match manager.text().split_once('/') {
        _ if manager.text().is_empty() => return errors.required(manager.path.clone(), ""),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => (host, path),
        _ => {
            let words = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            return errors.invalid(manager.path.clone(), manager.text(), words);
        }
    };
    for words in names::subdomain(host) {
        errors.invalid(manager.path.clone(), host, words);
    }
    if !path.chars().all(|c| c.is_ascii_alphanumeric() || PATH_SIGNS.contains(c)) {
        errors.invalid(manager.path.clone(), path, PATH_WORDS);
    }
}

fn check_mode(spec: &At<'_>, errors: &mut FieldErrors) {
    let mode = spec.field("completionMode");
    match mode.text() {
        "Indexed" => check_indexed(spec, errors),
        text => {
            if mode.is_set() && !MODES.contains(&text) {
                errors.not_supported(mode.path, text, &MODES);
                return;
            }
            for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                let field = spec.field(name);
                if field.is_set() {
                    errors.invalid(field.path, field.value.clone(), "requires indexed completion mode");
                }
            }
        }
    }
}

fn check_indexed(spec: &At<'_>, errors: &mut FieldErrors) {
    let (completions, failed) = (spec.field("completions"), spec.field("maxFailedIndexes"));
    if !completions.is_set() {
        errors.required(completions.path.clone(), "when completion mode is Indexed");
    }
    let at_most = |field: &At<'_>, limit: i64, why: &str, errors: &mut FieldErrors| {
        if let Some(count) = field.integer().filter(|count| *count > limit) {
            errors.invalid(field.path.clone(), count, format!("must be less than or equal to {limit}{why}"));
        }
    };
    let parallelism = spec.field("parallelism");
    at_most(&parallelism, MANY, " when completion mode is Indexed", errors);
    if let (Some(wanted), Some(count)) = (completions.integer(), failed.integer())
        && count > wanted
    {
        errors.invalid(failed.path.clone(), count, "must be less than or equal to completions");
    }
    at_most(&failed, MANY, "", errors);
    let has_many = completions.integer().is_some_and(|wanted| wanted > MANY);
    if !has_many || !spec.field("backoffLimitPerIndex").is_set() {
        return;
    }
    if !failed.is_set() {
        errors.required(failed.path.clone(), format!("must be specified when completions is above {MANY}"));
    }
    let why = format!(" when completions are above {MANY} and used with backoff limit per index");
    at_most(&parallelism, MANY_AT_ONCE, &why, errors);
    at_most(&failed, MANY_AT_ONCE, &why, errors);
}

fn check_replacement(spec: &At<'_>, errors: &mut FieldErrors) {
    let replacement = spec.field("podReplacementPolicy");
    let supported: &[&str] =
        if spec.field("podFailurePolicy").is_set() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if replacement.is_set() && !supported.contains(&replacement.text()) {
        errors.not_supported(replacement.path.clone(), replacement.text(), supported);
    }
}

/// A pod that starts its containers again and again never ends.
fn check_restarts(spec: &At<'_>, errors: &mut FieldErrors) {
    let policy = spec.field("template").field("spec").field("restartPolicy");
    match policy.text() {
        "" | "Always" => errors.required(policy.path, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" => {
            if spec.field("podFailurePolicy").is_set() {
                let words = "only \"Never\" is supported when podFailurePolicy is specified";
                errors.invalid(policy.path, "OnFailure", words);
            }
        }
        other => errors.not_supported(policy.path, other, &["OnFailure", "Never"]),
    }
}
