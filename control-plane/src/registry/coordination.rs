//! Leases (upstream `ValidateLeaseSpec`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use super::{Strategy, fields::At, pod_template::not_negative};

/// The strategy of Leases.
pub(super) struct LeaseStrategy;

impl Strategy for LeaseStrategy {
    fn validate(&self, lease: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(lease).field("spec");
        let duration = spec.field("leaseDurationSeconds");
        if duration.integer().is_some_and(|seconds| seconds <= 0) {
            errors.invalid(duration.path, duration.value.clone(), "must be greater than 0");
        }
        not_negative(&spec.field("leaseTransitions"), &mut errors);
        errors
    }
}
