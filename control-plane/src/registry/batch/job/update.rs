//! What may not change about a job (upstream `ValidateJobSpecUpdate`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{
    fields::{At, remove},
    workload::check_selector_kept,
};

const IMMUTABLE: &str = "field is immutable";

/// Everything wrong with a change of a job.
pub(super) fn validate(job: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let spec = At::root(job).field("spec");
    let before = &old["spec"];
    check_completions(&spec, before, &mut errors);
    check_selector_kept(job, old, &mut errors);
    check_template_kept(&spec, old, &mut errors);
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        check_kept(&spec.field(field), &before[field], &mut errors);
    }
    errors
}

fn check_kept(field: &At<'_>, before: &Value, errors: &mut FieldErrors) {
    if field.value != before {
        errors.invalid(field.path.clone(), field.value.clone(), IMMUTABLE);
    }
}

/// An indexed job may grow and shrink, with as many pods at once as it has indexes.
fn check_completions(spec: &At<'_>, before: &Value, errors: &mut FieldErrors) {
    let completions = spec.field("completions");
    if spec.field("completionMode").text() != "Indexed" {
        return check_kept(&completions, &before["completions"], errors);
    }
    let is_changed = *completions.value != before["completions"] && completions.is_set();
    if is_changed && completions.value != spec.field("parallelism").value {
        let words = "can only be modified in tandem with spec.parallelism";
        errors.invalid(completions.path.clone(), completions.value.clone(), words);
    }
}

/// Where pods may run can still be said while none has.
fn check_template_kept(spec: &At<'_>, old: &Value, errors: &mut FieldErrors) {
    let template = spec.field("template");
    let has_not_begun = old["spec"]["suspend"] == true && old["status"]["startTime"].is_null();
    let shown = |template: &Value| if has_not_begun { without_directives(template) } else { template.clone() };
    if shown(template.value) != shown(&old["spec"]["template"]) {
        errors.invalid(template.path.clone(), template.value.clone(), IMMUTABLE);
    }
}

/// A template without what decides where its pods may run.
fn without_directives(template: &Value) -> Value {
    let mut rest = template.clone();
    for (parent, fields) in [
        ("/metadata", &["labels", "annotations"][..]),
        ("/spec", &["nodeSelector", "tolerations", "schedulingGates"][..]),
        ("/spec/affinity", &["nodeAffinity"][..]),
    ] {
        if let Some(parent) = rest.pointer_mut(parent) {
            fields.iter().for_each(|field| remove(parent, field));
        }
    }
    let is_free = rest["spec"]["affinity"].as_object().is_some_and(serde_json::Map::is_empty);
    if let Some(spec) = rest.get_mut("spec").filter(|_| is_free) {
        remove(spec, "affinity");
    }
    rest
}
