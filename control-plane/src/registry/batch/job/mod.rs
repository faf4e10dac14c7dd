//! Jobs (upstream `batch/v1/defaults.go`, `pkg/registry/batch/job`).
//!
//! In: jobs as clients write them. Out: jobs that select their own pods and nobody else's, and
//! what is wrong with them. A job's status may only go forward: others than our controller may
//! keep it.

mod failure_policy;
mod indexes;
mod labels;
mod spec;
mod status;
mod success_policy;
mod update;

use nodeplane_api::{meta, names, status::FieldErrors};
use serde_json::{Value, json};

pub(super) use self::spec::{check_job_spec, spec_warnings};
use crate::registry::{
    Strategy, clear_status,
    engine::Propagation,
    fields::{At, each, fill, object_mut},
    keep,
    pod_template::fill_template,
    workload::name_warnings,
};

/// What a job without a limit of its own forgives.
const BACKOFF_LIMIT: i64 = 6;

/// The strategy of Jobs.
pub(super) struct JobStrategy;

impl Strategy for JobStrategy {
    fn default(&self, job: &mut Value) {
        let Some(spec) = object_mut(job, "spec") else { return };
        fill_counts(spec);
        fill(spec, "completionMode", "NonIndexed");
        fill(spec, "suspend", false);
        let replacement = if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" };
        fill(spec, "podReplacementPolicy", replacement);
        fill(spec, "manualSelector", false);
        fill_nested(spec);
    }

    fn prepare_for_create(&self, job: &mut Value) {
        clear_status(job);
        labels::generate(job);
        labels::inherit(job);
    }

    fn prepare_for_update(&self, job: &mut Value, old: &Value) {
        keep(job, old, "status");
        labels::inherit(job);
    }

    fn create_warnings(&self, job: &Value) -> Vec<String> {
        name_warnings(job)
    }

    fn warnings(&self, job: &Value) -> Vec<String> {
        spec_warnings(&At::root(job).field("spec"))
    }

    fn counts_generations(&self) -> bool {
        true
    }

    /// Who deletes a job in the way of old keeps its pods.
    fn default_propagation(&self) -> Propagation {
        Propagation::Orphan
    }

    fn deletion_warning(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
             them or set propagationPolicy=Orphan to suppress this warning",
        )
    }

    fn validate(&self, job: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        labels::check_generated(job, &mut errors);
        let spec = At::root(job).field("spec");
        check_job_spec(&spec, &mut errors);
        labels::check_selector(&spec, &mut errors);
        check_host_names(job, &spec, &mut errors);
        errors
    }

    fn validate_update(&self, job: &Value, old: &Value) -> FieldErrors {
        update::validate(job, old)
    }

    fn validate_status_update(&self, job: &Value, old: &Value) -> FieldErrors {
        status::validate(job, old)
    }
}

/// Fills how many pods there may be; one, when nothing is said.
fn fill_counts(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        spec["completions"] = json!(1);
    }
    fill(spec, "parallelism", 1);
    let limit = if spec["backoffLimitPerIndex"].is_null() { BACKOFF_LIMIT } else { i64::from(i32::MAX) };
    fill(spec, "backoffLimit", limit);
}

/// Fills what has defaults inside a job's spec, and inside a template of jobs.
pub(super) fn fill_nested(spec: &mut Value) {
    if let Some(policy) = object_mut(spec, "podFailurePolicy") {
        for rule in each(policy, "rules") {
            for pattern in each(rule, "onPodConditions") {
                fill(pattern, "status", "True");
            }
        }
    }
    fill_template(spec);
}

/// Pods of an indexed job are called after it and their index.
fn check_host_names(job: &Value, spec: &At<'_>, errors: &mut FieldErrors) {
    let completions = spec.field("completions").integer().unwrap_or(0);
    if spec.field("completionMode").text() != "Indexed" || completions <= 0 {
        return;
    }
    let last = format!("{}-{}", meta::name(job), completions - 1);
    if !names::label_1123(&last).is_empty() {
        let words = format!("will not able to create pod with invalid DNS label: {last}");
        errors.invalid("metadata.name", meta::name(job), words);
    }
}

#[cfg(test)]
mod tests;
