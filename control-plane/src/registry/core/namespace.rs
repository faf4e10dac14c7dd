//! Namespaces: alive until their content and their `spec.finalizers` are gone.

use serde_json::{Value, json};

use nodeplane_api::{kinds::Subresource, meta, status::FieldErrors};

use crate::registry::{
    NameRule, Strategy,
    fields::{At, child, fill},
    keep,
    metadata::check_finalizer,
};

/// The finalizer that the namespace controller takes away once the namespace is empty.
const FINALIZER: &str = "kubernetes";
/// The label by which selectors of namespaces find one by name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The strategy of namespaces.
pub(super) struct NamespaceStrategy;

impl Strategy for NamespaceStrategy {
    fn default(&self, namespace: &mut Value) {
        let name = meta::name(namespace).to_owned();
        if name.is_empty() {
            return;
        }
        if let Some(metadata) = child(namespace, "metadata")
            && let Some(labels) = child(metadata, "labels")
        {
            labels[NAME_LABEL] = name.into();
        }
    }

    fn prepare_for_create(&self, namespace: &mut Value) {
        // A generated name is known only now.
        self.default(namespace);
        namespace["status"] = json!({ "phase": "Active" });
        let Some(spec) = child(namespace, "spec") else { return };
        fill(spec, "finalizers", json!([]));
        if let Some(finalizers) = spec["finalizers"].as_array_mut()
            && !finalizers.iter().any(|finalizer| finalizer == FINALIZER)
        {
            finalizers.push(FINALIZER.into());
        }
    }

    /// Only the `finalize` subresource changes `spec.finalizers`, which is all there is.
    fn prepare_for_update(&self, namespace: &mut Value, old: &Value) {
        keep(namespace, old, "spec");
        keep(namespace, old, "status");
    }

    /// Upstream says of a new one not which of its finalizers is wrong.
    fn validate(&self, namespace: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let finalizers = At::root(namespace).field("spec").field("finalizers");
        finalizers.items().for_each(|finalizer| check_finalizer(finalizer.text(), &finalizers.path, &mut errors));
        errors
    }

    fn validate_part(&self, part: Subresource, namespace: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        if part == Subresource::Finalize {
            let finalizers = At::root(namespace).field("spec").field("finalizers");
            finalizers.items().for_each(|finalizer| check_finalizer(finalizer.text(), &finalizer.path, &mut errors));
        }
        errors
    }

    fn on_deletion_marked(&self, namespace: &mut Value) {
        if let Some(status) = child(namespace, "status") {
            status["phase"] = "Terminating".into();
        }
    }

    fn is_deletion_complete(&self, namespace: &Value) -> bool {
        namespace["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }
}

#[cfg(test)]
mod tests;
