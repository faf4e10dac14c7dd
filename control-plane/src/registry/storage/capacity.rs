//! How much room a driver has (upstream `ValidateCSIStorageCapacity`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::amount_not_negative;
use crate::registry::{
    Strategy, fields::At, metadata::check_immutable, pod_template::refuse_all, workload::check_label_selector,
};

/// The strategy of storage capacities.
pub(super) struct CapacityStrategy;

impl Strategy for CapacityStrategy {
    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, capacity: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(capacity);
        check_label_selector(&root.field("nodeTopology"), &mut errors);
        let class = root.field("storageClassName");
        refuse_all(&class, names::subdomain(class.text()), &mut errors);
        amount_not_negative(&root.field("capacity"), &mut errors);
        amount_not_negative(&root.field("maximumVolumeSize"), &mut errors);
        errors
    }

    fn validate_update(&self, capacity: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for field in ["nodeTopology", "storageClassName"] {
            check_immutable(&At::root(capacity).field(field), &At::root(old).field(field), &mut errors);
        }
        errors
    }
}
