//! Pods: defaults, the status they start with, the little that may change, and deletion with
//! grace.

mod ephemeral;
mod update;

use nodeplane_api::{kinds::Subresource, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{Deletion, Strategy, fields::At, keep, metadata::own, pod_template};

/// The strategy of pods.
pub(in crate::registry) struct PodStrategy;

impl Strategy for PodStrategy {
    fn default(&self, pod: &mut Value) {
        if let Some(spec) = pod.get_mut("spec").filter(|spec| spec.is_object()) {
            pod_template::fill_spec(spec);
            pod_template::fill_pod_only(spec);
        }
    }

    fn prepare_for_create(&self, pod: &mut Value) {
        let quality = pod_template::quality_of_service(&pod["spec"]);
        pod["status"] = json!({ "phase": "Pending", "qosClass": quality });
        pod_template::narrow_by_own_labels(pod);
    }

    fn prepare_for_update(&self, pod: &mut Value, old: &Value) {
        keep(pod, old, "status");
    }

    fn validate(&self, pod: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(pod).field("spec");
        pod_template::check_spec(&spec, &mut errors);
        pod_template::check_images(&spec, &mut errors);
        errors
    }

    fn validate_create(&self, pod: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(pod).field("spec");
        let ephemeral = spec.field("ephemeralContainers");
        if ephemeral.len() > 0 {
            errors.forbidden(ephemeral.path, "cannot be set on create");
        }
        let node = spec.field("nodeName");
        if !node.text().is_empty() && spec.field("schedulingGates").len() > 0 {
            errors.forbidden(node.path, "cannot be set until all schedulingGates have been cleared");
        }
        errors
    }

    fn validate_update(&self, pod: &Value, old: &Value) -> FieldErrors {
        update::validate_update(pod, old)
    }

    /// New containers get their defaults, and the generation counts them.
    fn prepare_for_part(&self, part: Subresource, pod: &mut Value, old: &Value) {
        if part == Subresource::EphemeralContainers {
            self.default(pod);
            own::count_generation(pod, old);
        }
    }

    fn validate_part(&self, part: Subresource, pod: &Value, old: &Value) -> FieldErrors {
        match part {
            Subresource::EphemeralContainers => {
                let mut errors = self.validate(pod);
                errors.extend(ephemeral::validate_update(pod, old));
                errors
            }
            _ => self.validate_status_update(pod, old),
        }
    }

    fn warnings(&self, pod: &Value) -> Vec<String> {
        pod_template::warnings(&At::root(pod).field("spec"))
    }

    fn counts_generations(&self) -> bool {
        true
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }

    /// Upstream `podStrategy.CheckGracefulDelete`: what never ran or runs no more goes at once,
    /// and a second request can only shorten the grace of the first.
    fn deletion(&self, pod: &Value, grace_seconds: Option<i64>) -> Deletion {
        let spec = &pod["spec"];
        let asked = grace_seconds.or_else(|| spec["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30);
        let is_scheduled = spec["nodeName"].as_str().is_some_and(|name| !name.is_empty());
        let is_terminal = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let seconds = match asked {
            _ if !is_scheduled || is_terminal => 0,
            negative if negative < 0 => 1,
            seconds => seconds,
        };
        let running = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
        match running.map_or(seconds, |running| running.min(seconds)) {
            0 => Deletion::Immediate,
            seconds => Deletion::Graceful { seconds },
        }
    }

    /// The node removes the pod with a grace of 0 once its containers have ended.
    fn is_deletion_complete(&self, pod: &Value) -> bool {
        pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests;
