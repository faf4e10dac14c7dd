//! Runtime classes (upstream `ValidateRuntimeClass`, `ValidateRuntimeClassUpdate`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::{Value, json};

use super::{
    Strategy,
    fields::At,
    metadata::{check_immutable, check_labels},
    pod_template::{check_resources, check_tolerations, refuse_all},
};

/// The strategy of runtime classes.
pub(super) struct RuntimeClassStrategy;

impl Strategy for RuntimeClassStrategy {
    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, class: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(class);
        let handler = root.field("handler");
        refuse_all(&handler, names::label_1123(handler.text()), &mut errors);
        let overhead = root.field("overhead");
        if overhead.is_set() {
            // Judged like the limits of a container.
            let limits = json!({ "limits": overhead.field("podFixed").value });
            check_resources(&At { value: &limits, path: overhead.path }, &mut errors);
        }
        let scheduling = root.field("scheduling");
        check_labels(&scheduling.field("nodeSelector"), &mut errors);
        check_tolerations(&scheduling.field("tolerations"), &mut errors);
        errors
    }

    fn validate_update(&self, class: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_immutable(&At::root(class).field("handler"), &At::root(old).field("handler"), &mut errors);
        errors
    }
}

#[cfg(test)]
mod tests;
