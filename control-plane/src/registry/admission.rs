//! What a new object must find in the cluster before it may be stored: its namespace, its
//! service account.
//!
//! In: the object after defaulting, and a [`Lookup`]. Out: the object with what admission
//! writes into it, or the refusal. Nothing is stored here.

use async_trait::async_trait;
use nodeplane_api::{
    kinds::{self, Kind},
    meta::Key,
    status::Status,
};
use serde_json::Value;

/// Reads other objects; the watch cache answers, or the store when the cache may lag.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The newest stored object, if there is one.
    async fn get(&self, kind: &'static Kind, key: &Key) -> Result<Option<Value>, Status>;
}

/// Admits the creation of `object` in `namespace` (empty for cluster-scoped kinds): fills what
/// admission fills (a pod's service account), or refuses.
pub async fn admit_create(
    kind: &'static Kind,
    namespace: &str,
    object: &mut Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    namespace_takes_new_objects(kind, namespace, object, lookup).await
}

/// Admits the deletion of an object by name.
pub fn admit_delete(_kind: &'static Kind, _name: &str) -> Result<(), Status> {
    Ok(())
}

async fn namespace_takes_new_objects(
    kind: &'static Kind,
    namespace: &str,
    _object: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    if !kind.is_namespaced() {
        return Ok(());
    }
    let Some(namespaces) = kinds::by_plural("", "v1", "namespaces") else { return Ok(()) };
    match lookup.get(namespaces, &Key::new("", namespace)).await? {
        Some(_) => Ok(()),
        None => Err(Status::not_found(namespaces, namespace)),
    }
}
