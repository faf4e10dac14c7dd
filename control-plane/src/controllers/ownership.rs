//! Who controls what: controller references, adoption and release.
//!
//! In: metadata and selectors. Out: a [`Claim`], and the write that makes it true. Pure. Follows
//! upstream's `controller_ref_manager.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{
    Resource, ResourceExt,
    core::{Selector, SelectorExt},
};
use nodeplane_api::{kinds::Kind, meta::Key};
use nodeplane_client::write::Write;
use serde_json::json;

/// What an object is to a controller that selects by labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Controlled by it, as it should be.
    Mine,
    /// Controlled by nobody, and to be adopted.
    Adopt,
    /// Controlled by it, but no longer selected.
    Release,
    /// None of its business.
    Foreign,
}

/// The reference to the object's controller.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The key of the object's controller, if it is a `K` by name.
pub fn controller_key<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> Option<Key> {
    let owner = controller_of(meta)?;
    let group = owner.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    (owner.kind == K::kind(&()) && group == K::group(&()))
        .then(|| Key::new(meta.namespace.clone().unwrap_or_default(), owner.name.clone()))
}

/// A reference by which `owner` controls another object.
pub fn controller_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A selector that can match. One that is empty or broken selects nothing: a controller that
/// controls everything in its namespace by mistake would be worse.
pub fn selector(selector: &LabelSelector) -> Option<Selector> {
    Selector::try_from(selector.clone()).ok().filter(|selector| !selector.selects_all())
}

/// Whether `selector` selects an object.
pub fn selects(selector: &Selector, meta: &ObjectMeta) -> bool {
    match &meta.labels {
        Some(labels) => selector.matches(labels),
        None => selector.matches(&std::collections::BTreeMap::new()),
    }
}

/// What an object is to the controller `owner` that selects by `selector`.
pub fn claim(owner: &ObjectMeta, selector: &Selector, object: &ObjectMeta) -> Claim {
    let selected = selects(selector, object);
    match controller_of(object) {
        Some(reference) if Some(&reference.uid) != owner.uid.as_ref() => Claim::Foreign,
        Some(_) if selected => Claim::Mine,
        Some(_) if owner.deletion_timestamp.is_some() => Claim::Foreign,
        Some(_) => Claim::Release,
        None if selected && owner.deletion_timestamp.is_none() && object.deletion_timestamp.is_none() => Claim::Adopt,
        None => Claim::Foreign,
    }
}

/// Puts an object under the control of `owner`.
pub fn adopt(kind: &'static Kind, object: &ObjectMeta, owner: OwnerReference) -> Write {
    let owners = object.owner_references.iter().flatten().cloned().chain([owner]).collect();
    set_owners(kind, object, owners)
}

/// Takes an object out of the control of the owner with this uid.
pub fn release(kind: &'static Kind, object: &ObjectMeta, uid: &str) -> Write {
    let owners = object.owner_references.iter().flatten().filter(|owner| owner.uid != uid).cloned().collect();
    set_owners(kind, object, owners)
}

/// Replaces the owners of an object, if it has not changed meanwhile.
pub fn set_owners(kind: &'static Kind, object: &ObjectMeta, owners: Vec<OwnerReference>) -> Write {
    let owners = if owners.is_empty() { None } else { Some(owners) };
    Write::Merge {
        kind,
        key: Key::of_meta(object),
        part: None,
        patch: json!({ "metadata": {
            "uid": object.uid, "resourceVersion": object.resource_version, "ownerReferences": owners,
        } }),
    }
}

/// The key of an object by its metadata.
pub fn key_of(meta: &ObjectMeta) -> Key {
    Key::of_meta(meta)
}
