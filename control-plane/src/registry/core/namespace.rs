//! Namespaces: alive until their content and their `spec.finalizers` are gone.

use serde_json::{Value, json};

use nodeplane_api::meta;

use crate::registry::{
    NameRule, Strategy,
    fields::{child, fill},
    keep,
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
