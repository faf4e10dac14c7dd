//! Object metadata on untyped objects: names, revisions, owners.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Names an object within its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// The key of `name` in `namespace` (empty for cluster-scoped kinds).
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a typed object.
    pub fn of<T>(object: &T) -> Self
    where
        T: k8s_openapi::Metadata<Ty = ObjectMeta>,
    {
        Self::of_meta(object.metadata())
    }

    /// The key of an object of any type, by its metadata.
    pub fn of_meta(meta: &ObjectMeta) -> Self {
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }

    /// The key of an untyped object.
    pub fn of_value(object: &Value) -> Self {
        Self::new(namespace(object), name(object))
    }
}

impl fmt::Display for Key {
    /// `namespace/name`, or the name alone for cluster-scoped objects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// A string field of `.metadata`, empty when absent.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// `.metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `.metadata.namespace`, empty for cluster-scoped objects.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `.metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `.metadata.resourceVersion` as the revision that it stands for.
pub fn resource_version(object: &Value) -> Option<u64> {
    text(object, "resourceVersion").parse().ok()
}

/// Sets a field of `.metadata`, creating `.metadata` when it is missing.
pub fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    object["metadata"][field] = value.into();
}

/// Removes a field of `.metadata`.
pub fn remove(object: &mut Value, field: &str) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove(field);
    }
}
