//! The shape of the served types, field by field: what [`decode`] checks objects against and
//! strategic merge patches walk along.
//!
//! In: the JSON schemas of the typed structs ([`k8s_openapi`]) and the merge rules of
//! [`lists`]. Out: one immutable [`Model`], built on first use. It never changes afterwards.

mod complaints;
mod decode;
mod lists;
mod messages;
mod model;

use serde_json::{Value, json};

pub use complaints::Complaints;
pub(crate) use decode::{decode, decode_config};
pub(crate) use lists::{KEY_DEFAULTS, Patch, Topology};
pub(crate) use messages::{Message, Presence, Slot};
pub(crate) use model::{Definition, Field, Model, Type, TypeId, short_name};

/// Adds to the JSON schema of a definition, such as `io.k8s.api.core.v1.Container`, what
/// clients need to patch and to apply: `x-kubernetes-patch-merge-key`,
/// `x-kubernetes-patch-strategy`, `x-kubernetes-list-type`, `x-kubernetes-list-map-keys` and
/// `x-kubernetes-map-type`.
pub fn annotate(definition: &str, schema: &mut Value) {
    let short = short_name(definition);
    if lists::ATOMIC_TYPES.binary_search(&short).is_ok() {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_, field, patch, topology) in lists::FIELDS.iter().filter(|(name, ..)| *name == short) {
        if let Some(property) = properties.get_mut(*field) {
            annotate_patch(property, *patch);
            annotate_topology(property, *topology);
        }
    }
}

fn annotate_patch(property: &mut Value, patch: Patch) {
    let (strategy, key) = match patch {
        Patch::Replace => return,
        Patch::MergeBy(key) => ("merge", Some(key)),
        Patch::MergeByAndRetainKeys(key) => ("merge,retainKeys", Some(key)),
        Patch::MergeSet => ("merge", None),
        Patch::RetainKeys => ("retainKeys", None),
    };
    property["x-kubernetes-patch-strategy"] = strategy.into();
    if let Some(key) = key {
        property["x-kubernetes-patch-merge-key"] = key.into();
    }
}

fn annotate_topology(property: &mut Value, topology: Topology) {
    match topology {
        Topology::Granular => {}
        Topology::Atomic => property["x-kubernetes-list-type"] = "atomic".into(),
        Topology::Set => property["x-kubernetes-list-type"] = "set".into(),
        Topology::Map(keys) => {
            property["x-kubernetes-list-type"] = "map".into();
            property["x-kubernetes-list-map-keys"] = json!(keys);
        }
        Topology::AtomicMap => property["x-kubernetes-map-type"] = "atomic".into(),
    }
}

#[cfg(test)]
mod tests;
