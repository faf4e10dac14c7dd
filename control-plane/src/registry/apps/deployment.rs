//! Deployments (upstream `apps/v1/defaults.go`, `ValidateDeployment`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{
    Strategy,
    fields::{At, child, fill, object_mut},
    pod_template::{self, fill_template, not_negative},
    shares,
    workload::{check_counts, check_selector_and_template, check_selector_kept, check_status_counts, name_warnings},
};

/// The strategy of Deployments.
pub(super) struct DeploymentStrategy;

impl Strategy for DeploymentStrategy {
    fn default(&self, deployment: &mut Value) {
        let Some(spec) = object_mut(deployment, "spec") else { return };
        fill(spec, "replicas", 1);
        fill(spec, "revisionHistoryLimit", 10);
        fill(spec, "progressDeadlineSeconds", 600);
        if let Some(strategy) = child(spec, "strategy") {
            fill_strategy(strategy);
        }
        fill_template(spec);
    }

    fn warnings(&self, deployment: &Value) -> Vec<String> {
        pod_template::warnings(&At::root(deployment).field("spec").field("template").field("spec"))
    }

    fn create_warnings(&self, deployment: &Value) -> Vec<String> {
        name_warnings(deployment)
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, deployment: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(deployment).field("spec");
        check_counts(&spec, &["replicas"], &mut errors);
        check_selector_and_template(&spec, &mut errors);
        check_strategy(&spec.field("strategy"), &mut errors);
        check_counts(&spec, &["minReadySeconds", "revisionHistoryLimit"], &mut errors);
        let deadline = spec.field("progressDeadlineSeconds");
        not_negative(&deadline, &mut errors);
        let ready = spec.field("minReadySeconds").integer().unwrap_or(0);
        if deadline.integer().is_some_and(|seconds| seconds <= ready) {
            errors.invalid(deadline.path, deadline.value.clone(), "must be greater than minReadySeconds");
        }
        errors
    }

    fn validate_update(&self, deployment: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_selector_kept(deployment, old, &mut errors);
        errors
    }

    fn validate_status_update(&self, deployment: &Value, _old: &Value) -> FieldErrors {
        let fields = [
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
        ];
        check_status_counts(deployment, &fields)
    }
}

fn fill_strategy(strategy: &mut Value) {
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = child(strategy, "rollingUpdate")
    {
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
}

fn check_strategy(strategy: &At<'_>, errors: &mut FieldErrors) {
    let (kind, rolling) = (strategy.field("type"), strategy.field("rollingUpdate"));
    match kind.text() {
        "Recreate" => {
            if rolling.is_set() {
                errors.forbidden(rolling.path, "may not be specified when strategy `type` is 'Recreate'");
            }
        }
        "RollingUpdate" => check_rolling(&rolling, errors),
        other => errors.not_supported(kind.path, other, &["Recreate", "RollingUpdate"]),
    }
}

fn check_rolling(rolling: &At<'_>, errors: &mut FieldErrors) {
    let (unavailable, surge) = (rolling.field("maxUnavailable"), rolling.field("maxSurge"));
    shares::check_share(&unavailable, errors);
    shares::check_share(&surge, errors);
    if shares::is_zero(unavailable.value) && shares::is_zero(surge.value) {
        let words = "may not be 0 when `maxSurge` is 0";
        errors.invalid_shown(unavailable.path.clone(), shares::show_share(unavailable.value), words);
    }
    shares::check_at_most_all(&unavailable, errors);
}

#[cfg(test)]
mod tests;
