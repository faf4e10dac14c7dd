//! ControllerRevisions: states of a workload that may be gone back to (upstream
//! `ValidateControllerRevision`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{
    Strategy,
    fields::{At, fill},
    pod_template::not_negative,
};

/// The strategy of ControllerRevisions.
pub(super) struct ControllerRevisionStrategy;

impl Strategy for ControllerRevisionStrategy {
    fn default(&self, revision: &mut Value) {
        fill(revision, "revision", 0);
    }

    fn validate(&self, revision: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(revision);
        if !root.field("data").is_set() {
            errors.required("data", "data is mandatory");
        }
        not_negative(&root.field("revision"), &mut errors);
        errors
    }

    /// A state that changes is none to go back to.
    fn validate_update(&self, revision: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        if revision["data"] != old["data"] {
            errors.invalid("data", revision["data"].clone(), "field is immutable");
        }
        errors
    }
}

#[cfg(test)]
mod tests;
