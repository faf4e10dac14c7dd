//! ReplicationControllers: the ReplicaSets of old, with plain labels as selector (upstream
//! `ValidateReplicationControllerSpec`).

use nodeplane_api::{meta, selector::LabelSelector, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{
    Strategy,
    engine::Propagation,
    fields::{At, fill, object_mut},
    pod_template::{self, check_template, fill_template},
    workload::{check_counts, check_goes_on, check_match, check_status_counts, name_warnings, template_labels},
};

/// The strategy of ReplicationControllers.
pub(super) struct ReplicationControllerStrategy;

impl Strategy for ReplicationControllerStrategy {
    /// What is not said is read from the labels of the pods.
    fn default(&self, controller: &mut Value) {
        let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
        let is_empty = |map: &Value| map.as_object().is_none_or(serde_json::Map::is_empty);
        if !is_empty(&labels) {
            if is_empty(&controller["spec"]["selector"]) {
                controller["spec"]["selector"] = labels.clone();
            }
            if is_empty(&controller["metadata"]["labels"]) {
                meta::set(controller, "labels", labels);
            }
        }
        let Some(spec) = object_mut(controller, "spec") else { return };
        fill(spec, "replicas", 1);
        if object_mut(spec, "template").is_some() {
            fill_template(spec);
        }
    }

    fn prepare_for_create(&self, controller: &mut Value) {
        controller["status"] = json!({ "replicas": 0 });
    }

    fn create_warnings(&self, controller: &Value) -> Vec<String> {
        name_warnings(controller)
    }

    fn warnings(&self, controller: &Value) -> Vec<String> {
        pod_template::warnings(&At::root(controller).field("spec").field("template").field("spec"))
    }

    fn counts_generations(&self) -> bool {
        true
    }

    /// Who deletes one in the way of old keeps its pods.
    fn default_propagation(&self) -> Propagation {
        Propagation::Orphan
    }

    fn validate(&self, controller: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(controller).field("spec");
        let (selector, template) = (spec.field("selector"), spec.field("template"));
        check_counts(&spec, &["minReadySeconds"], &mut errors);
        if selector.len() == 0 {
            errors.required(selector.path.clone(), "");
        }
        check_counts(&spec, &["replicas"], &mut errors);
        if !template.is_set() {
            errors.required(template.path, "");
            return errors;
        }
        if selector.len() > 0 {
            let parsed = LabelSelector::from_map(selector.value);
            check_match(parsed.matches(template_labels(&template).value), &template, &mut errors);
        }
        check_template(&template, &mut errors);
        check_goes_on(&template.field("spec"), "ReplicationController", &mut errors);
        errors
    }

    fn validate_status_update(&self, controller: &Value, _old: &Value) -> FieldErrors {
        let fields = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
        check_status_counts(controller, &fields)
    }
}

#[cfg(test)]
mod tests;
