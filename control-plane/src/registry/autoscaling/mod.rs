//! HorizontalPodAutoscalers of both versions (upstream `autoscaling/v2/defaults.go` and
//! `autoscaling/validation`), in the form of `autoscaling/v2`.

mod behavior;
mod metrics;
#[cfg(test)]
mod tests;

use nodeplane_api::{names, status::FieldErrors};
use serde_json::{Value, json};

use super::{
    Strategy, clear_status,
    fields::{At, fill, object_mut},
    keep,
    pod_template::not_negative,
};

/// Percent of the CPU's utilization that is aimed at when nothing else is.
const CPU_PERCENT: i64 = 80;

/// The strategy of HorizontalPodAutoscalers.
pub(super) struct AutoscalerStrategy;

impl Strategy for AutoscalerStrategy {
    fn default(&self, autoscaler: &mut Value) {
        let Some(spec) = object_mut(autoscaler, "spec") else { return };
        fill(spec, "minReplicas", 1);
        if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            let target = json!({ "type": "Utilization", "averageUtilization": CPU_PERCENT });
            spec["metrics"] = json!([{ "type": "Resource", "resource": { "name": "cpu", "target": target } }]);
        }
        if let Some(behavior) = object_mut(spec, "behavior") {
            behavior::default(behavior);
        }
    }

    fn prepare_for_create(&self, autoscaler: &mut Value) {
        clear_status(autoscaler);
        behavior::drop_disabled(autoscaler);
    }

    fn prepare_for_update(&self, autoscaler: &mut Value, old: &Value) {
        keep(autoscaler, old, "status");
        behavior::drop_disabled(autoscaler);
    }

    fn validate(&self, autoscaler: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(autoscaler).field("spec");
        check_replicas(&spec, &mut errors);
        check_reference(&spec.field("scaleTargetRef"), &mut errors);
        spec.field("metrics").items().for_each(|metric| metrics::check(&metric, &mut errors));
        behavior::check(&spec.field("behavior"), &mut errors);
        errors
    }

    fn validate_status_update(&self, autoscaler: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let status = At::root(autoscaler).field("status");
        for name in ["currentReplicas", "desiredReplicas"] {
            not_negative(&status.field(name), &mut errors);
        }
        errors
    }
}

fn check_replicas(spec: &At<'_>, errors: &mut FieldErrors) {
    let (least, most) = (spec.field("minReplicas"), spec.field("maxReplicas"));
    let max = most.integer().unwrap_or(0);
    if let Some(min) = least.integer().filter(|min| *min < 1) {
        errors.invalid(least.path.clone(), min, "must be greater than or equal to 1");
    }
    if max < 1 {
        errors.invalid(most.path.clone(), max, "must be greater than 0");
    }
    if least.integer().is_some_and(|min| max < min) {
        errors.invalid(most.path, max, "must be greater than or equal to `minReplicas`");
    }
}

/// Adds what is wrong with a reference to an object of some kind.
fn check_reference(reference: &At<'_>, errors: &mut FieldErrors) {
    for name in ["kind", "name"] {
        let field = reference.field(name);
        if field.text().is_empty() {
            errors.required(field.path, "");
        } else {
            for words in names::path_segment(field.text()) {
                errors.invalid(field.path.clone(), field.text(), words);
            }
        }
    }
}
