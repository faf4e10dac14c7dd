//! Nothing new without a live namespace, and some namespaces for ever.

use std::sync::Arc;

use async_trait::async_trait;
use nodeplane_api::{
    kinds::Kind,
    meta::{self, Key},
    status::Status,
};
use serde_json::Value;

use super::{Lookup, Operation, Plugin, Review, core, shown_name};

/// Namespaces that the cluster cannot do without.
pub(super) const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Upstream's `NamespaceLifecycle`.
pub(super) struct NamespaceLifecycle<L> {
    lookup: Arc<L>,
}

impl<L: Lookup> NamespaceLifecycle<L> {
    pub(super) fn new(lookup: Arc<L>) -> Self {
        Self { lookup }
    }

    /// The cache knows namespaces that live; what it does not know, or knows to be going, may be
    /// otherwise by now.
    async fn require_live(&self, kind: &'static Kind, namespace: &str, object: &Value) -> Result<(), Status> {
        let (namespaces, key) = (core("namespaces")?, Key::new("", namespace));
        if self.lookup.known(namespaces, &key).await.is_some_and(|known| !is_terminating(&known.tree())) {
            return Ok(());
        }
        match self.lookup.newest(namespaces, &key).await? {
            None => Err(Status::not_found(namespaces, namespace)),
            Some(found) if is_terminating(&found.tree()) => Err(refuse_terminating(kind, namespace, object)),
            Some(_) => Ok(()),
        }
    }
}

#[async_trait]
impl<L: Lookup> Plugin for NamespaceLifecycle<L> {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<(), Status> {
        let kind = review.kind();
        if review.operation != Operation::Create || !kind.is_namespaced() {
            return Ok(());
        }
        self.require_live(kind, review.namespace(), object).await
    }

    async fn validate(&self, review: &Review<'_>, _object: &Value) -> Result<(), Status> {
        let is_deleted = review.operation == Operation::Delete && review.is_about("namespaces");
        if is_deleted && IMMORTAL.contains(&review.name) {
            return Err(Status::forbidden(review.kind(), review.name, "this namespace may not be deleted"));
        }
        Ok(())
    }
}

/// Whether a namespace is on its way out.
pub(in crate::registry) fn is_terminating(namespace: &Value) -> bool {
    namespace["status"]["phase"] == "Terminating" || !meta::text(namespace, "deletionTimestamp").is_empty()
}

/// 403 for an object that comes too late.
pub(in crate::registry) fn refuse_terminating(kind: &Kind, namespace: &str, object: &Value) -> Status {
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = format!("namespace {namespace} is being terminated");
    let status = Status::forbidden(kind, shown_name(object), why);
    status.with_cause("NamespaceTerminating", &cause, "metadata.namespace")
}
