//! The group `certificates.k8s.io` (upstream `registry/certificates/certificates`).
//!
//! A request is what its maker once asked for; afterwards it is only approved or denied, and
//! answered. Who made it, admission writes into it.

mod conditions;
mod request;
#[cfg(test)]
mod tests;

use nodeplane_api::{kinds::Subresource, status::FieldErrors};
use serde_json::Value;

use super::{NameRule, Strategy, clear_status, keep};

/// The strategy of CertificateSigningRequests.
pub(super) struct SigningRequestStrategy;

impl Strategy for SigningRequestStrategy {
    fn prepare_for_create(&self, object: &mut Value) {
        clear_status(object);
        object["status"] = Value::Object(serde_json::Map::new());
    }

    fn prepare_for_update(&self, object: &mut Value, old: &Value) {
        keep(object, old, "spec");
        keep(object, old, "status");
    }

    fn prepare_for_part(&self, part: Subresource, object: &mut Value, old: &Value) {
        if part == Subresource::Status {
            conditions::keep_decision(object, old);
        }
        conditions::stamp(object, old, jiff::Timestamp::now());
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        request::validate(&object["spec"])
    }

    fn validate_part(&self, part: Subresource, object: &Value, old: &Value) -> FieldErrors {
        let mut errors = conditions::validate(&object["status"]);
        errors.extend(conditions::validate_change(object, old, part == Subresource::Approval));
        errors.extend(request::validate_certificate(object, old, part == Subresource::Status));
        errors
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }
}
