//! Events (upstream `ValidateEvent`).

use nodeplane_api::{meta, status::FieldErrors};
use serde_json::Value;

use crate::registry::{Strategy, fields::At};

/// The strategy of Events.
pub(super) struct EventStrategy;

impl Strategy for EventStrategy {
    fn has_dependents(&self) -> bool {
        false
    }

    /// An event lies in the namespace of what it is about, or in `default`.
    fn validate(&self, event: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let about = At::root(event).field("involvedObject").field("namespace");
        let own = meta::namespace(event);
        let fits = match about.text() {
            "" => own == "default",
            namespace => namespace == own,
        };
        if !fits {
            errors.invalid(about.path.clone(), about.text(), "does not match event.namespace");
        }
        errors
    }
}
