//! What a write must find in the cluster, and what the cluster adds to it.
//!
//! In: an object on its way into the store (or out of it), who writes it, and what it replaces.
//! Out: the object with what admission writes into it, or the refusal. A chain of [`Plugin`]s in
//! upstream's order, called by the write engine alone: first all may change the object, and once
//! the object is valid all may refuse it. Nothing is stored here but what quotas note of their use.

mod default_classes;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod node_taint;
mod pod_references;
mod priority;
mod resource_quota;
mod runtime_class;
mod service_account;
mod signing_requests;
#[cfg(test)]
mod tests;
mod tolerations;

use std::sync::Arc;

use async_trait::async_trait;
use nodeplane_api::{
    kinds::{self, Kind, Subresource},
    meta::{self, Key},
    status::Status,
};
use serde_json::Value;

pub(super) use self::namespace_lifecycle::{is_terminating, refuse_terminating};
use crate::{access::Permit, store::object::Object};

/// Reads other objects, and notes in them.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// An object as the watch cache knows it, which may lag.
    async fn known(&self, kind: &'static Kind, key: &Key) -> Option<Object>;

    /// The newest stored object, if there is one.
    async fn newest(&self, kind: &'static Kind, key: &Key) -> Result<Option<Object>, Status>;

    /// All objects of a kind in a namespace (empty: everywhere) as the watch cache knows them.
    async fn all(&self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, Status>;

    /// Writes a new state of an object that is still as it was; `false` when it is not.
    async fn replace(&self, kind: &'static Kind, old: &Object, value: Value) -> Result<bool, Status>;
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It, or a part of it, is changed.
    Update,
    /// Its deletion begins.
    Delete,
}

/// One write under review.
#[derive(Clone, Copy, Debug)]
pub struct Review<'a> {
    /// Who writes, and what was asked for.
    pub permit: &'a Permit,
    /// What happens to the object.
    pub operation: Operation,
    /// The object's name.
    pub name: &'a str,
    /// The stored object; `None` for a new one.
    pub old: Option<&'a Value>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
}

impl Review<'_> {
    fn kind(&self) -> &'static Kind {
        self.permit.request().kind
    }

    fn namespace(&self) -> &str {
        self.permit.request().namespace()
    }

    fn subresource(&self) -> Option<Subresource> {
        self.permit.request().subresource
    }

    /// Whether it is about an object of the core group as a whole.
    fn is_about(&self, plural: &str) -> bool {
        self.kind().group.is_empty() && self.kind().plural == plural && self.subresource().is_none()
    }
}

/// One rule of admission.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Adds to an object that is created or updated, before it is validated.
    ///
    /// # Errors
    /// The refusal.
    async fn admit(&self, _review: &Review<'_>, _object: &mut Value) -> Result<(), Status> {
        Ok(())
    }

    /// Has a last word on what is valid. Of a deletion, the object is as it is marked.
    ///
    /// # Errors
    /// The refusal.
    async fn validate(&self, _review: &Review<'_>, _object: &Value) -> Result<(), Status> {
        Ok(())
    }
}

/// All plugins, in the order in which they are asked.
pub struct Chain {
    plugins: Vec<Box<dyn Plugin>>,
}

impl Chain {
    /// The plugins that every cluster has, in upstream's order.
    pub fn standard<L: Lookup + 'static>(lookup: &Arc<L>) -> Self {
        Self {
            plugins: vec![
                Box::new(namespace_lifecycle::NamespaceLifecycle::new(lookup.clone())),
                Box::new(limit_ranger::LimitRanger(lookup.clone())),
                Box::new(service_account::ServiceAccount::new(lookup.clone())),
                Box::new(node_restriction::NodeRestriction::new(lookup.clone())),
                Box::new(node_taint::NodeTaint),
                Box::new(priority::Priority(lookup.clone())),
                Box::new(tolerations::DefaultTolerationSeconds),
                Box::new(default_classes::DefaultStorageClass(lookup.clone())),
                Box::new(runtime_class::RuntimeClass(lookup.clone())),
                Box::new(signing_requests::SigningRequests),
                Box::new(default_classes::DefaultIngressClass(lookup.clone())),
                // Counts what all others let pass.
                Box::new(resource_quota::ResourceQuota::new(lookup.clone())),
            ],
        }
    }

    /// Lets all plugins add to an object.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<(), Status> {
        for plugin in &self.plugins {
            plugin.admit(review, object).await?;
        }
        Ok(())
    }

    /// Asks all plugins for their last word.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn validate(&self, review: &Review<'_>, object: &Value) -> Result<(), Status> {
        for plugin in &self.plugins {
            plugin.validate(review, object).await?;
        }
        Ok(())
    }
}

/// An object, also when the watch cache does not know it yet.
async fn find<L: Lookup>(lookup: &L, kind: &'static Kind, key: &Key) -> Result<Option<Object>, Status> {
    match lookup.known(kind, key).await {
        Some(object) => Ok(Some(object)),
        None => lookup.newest(kind, key).await,
    }
}

fn core(plural: &str) -> Result<&'static Kind, Status> {
    kinds::by_plural("", "v1", plural).ok_or_else(|| Status::internal(format!("{plural} are not served")))
}

/// The name for error messages, also when it is still to be generated.
fn shown_name(object: &Value) -> &str {
    match meta::name(object) {
        "" => meta::text(object, "generateName"),
        name => name,
    }
}
