//! The part that pods and the templates of workloads have in common: `PodSpec`.
//!
//! In: specs as clients write them. Out: specs with every default filled, and what is wrong
//! with them, under the field path where they stand.

mod affinity;
mod containers;
mod defaults;
mod environment;
mod probes;
mod resources;
mod spec;
mod spread;
mod volumes;

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use super::{
    fields::{At, child},
    metadata::{check_annotations, check_labels},
};

pub(super) use affinity::{check_required_nodes, narrow_by_own_labels};
pub(super) use containers::check_images;
pub(super) use defaults::{fill_pod_only, fill_spec};
pub(super) use resources::{
    check_container_resource_name, check_resource_name, check_resources, is_countable, quality_of_service,
};
pub(super) use spec::{check_spec, check_tolerations, not_negative, refuse_all};

/// Fills a workload's `spec.template`.
pub(super) fn fill_template(spec: &mut Value) {
    let Some(template) = child(spec, "template") else { return };
    child(template, "metadata");
    if let Some(pod) = child(template, "spec") {
        fill_spec(pod);
    }
}

/// What is accepted in a `PodSpec` that stands at this path, but not a good idea.
pub(super) fn warnings(spec: &At<'_>) -> Vec<String> {
    let grace = spec.field("terminationGracePeriodSeconds");
    if grace.integer().is_none_or(|seconds| seconds >= 0) {
        return Vec::new();
    }
    vec![format!("{}: must be >= 0; negative values are invalid and will be treated as 1", grace.path)]
}

/// Adds what is wrong with a workload's template.
pub(super) fn check_template(template: &At<'_>, errors: &mut FieldErrors) {
    check_template_metadata(template, errors);
    let spec = template.field("spec");
    check_spec(&spec, errors);
    let ephemeral = spec.field("ephemeralContainers");
    if ephemeral.len() > 0 {
        errors.forbidden(ephemeral.path, "ephemeral containers not allowed in pod template");
    }
}

/// Adds what is wrong with the labels and annotations of a workload's template.
pub(super) fn check_template_metadata(template: &At<'_>, errors: &mut FieldErrors) {
    let metadata = template.field("metadata");
    let under_template = |field: &str| At { path: format!("{}.{field}", template.path), ..metadata.field(field) };
    check_labels(&under_template("labels"), errors);
    check_annotations(&under_template("annotations"), errors);
}

#[cfg(test)]
mod tests;
