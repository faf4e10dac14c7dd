//! ReplicaSets (upstream `ValidateReplicaSet`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{
    Strategy, clear_status,
    fields::{At, child, fill, is_unset, object_mut},
    pod_template::{self, fill_template},
    workload::{check_counts, check_selector_and_template, check_selector_kept, check_status_counts, name_warnings},
};

/// The strategy of ReplicaSets.
pub(super) struct ReplicaSetStrategy;

impl Strategy for ReplicaSetStrategy {
    fn default(&self, replica_set: &mut Value) {
        let Some(spec) = object_mut(replica_set, "spec") else { return };
        fill(spec, "replicas", 1);
        fill_template(spec);
    }

    /// The selector stands in the status of the scale subresource; the replicas start at none.
    fn prepare_for_create(&self, replica_set: &mut Value) {
        clear_status(replica_set);
        if let Some(status) = child(replica_set, "status")
            && is_unset(status.get("replicas"))
        {
            status["replicas"] = 0.into();
        }
    }

    fn warnings(&self, replica_set: &Value) -> Vec<String> {
        pod_template::warnings(&At::root(replica_set).field("spec").field("template").field("spec"))
    }

    fn create_warnings(&self, replica_set: &Value) -> Vec<String> {
        name_warnings(replica_set)
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn validate(&self, replica_set: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(replica_set).field("spec");
        check_counts(&spec, &["replicas", "minReadySeconds"], &mut errors);
        check_selector_and_template(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, replica_set: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_selector_kept(replica_set, old, &mut errors);
        errors
    }

    fn validate_status_update(&self, replica_set: &Value, _old: &Value) -> FieldErrors {
        let fields = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
        check_status_counts(replica_set, &fields)
    }
}
