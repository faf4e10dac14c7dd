//! Claims and Ingresses without a class get the cluster's default.

use std::sync::Arc;

use async_trait::async_trait;
use nodeplane_api::{meta, status::Status};
use serde_json::Value;

use super::{Lookup, Operation, Plugin, Review};
use crate::registry::objects::known;

const OLD_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const OLD_INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
/// What makes a class the default, where its value is `true`.
const DEFAULT_STORAGE: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const DEFAULT_INGRESS: [&str; 1] = ["ingressclass.kubernetes.io/is-default-class"];

/// Upstream's `DefaultStorageClass`.
pub(super) struct DefaultStorageClass<L>(pub(super) Arc<L>);

#[async_trait]
impl<L: Lookup> Plugin for DefaultStorageClass<L> {
    async fn admit(&self, review: &Review<'_>, claim: &mut Value) -> Result<(), Status> {
        let is_new = review.operation == Operation::Create && review.is_about("persistentvolumeclaims");
        let has_one = !claim["spec"]["storageClassName"].is_null() || is_annotated(claim, OLD_STORAGE_CLASS);
        if !is_new || has_one {
            return Ok(());
        }
        if let Some(class) = default_of(&*self.0, ("storage.k8s.io", "storageclasses"), &DEFAULT_STORAGE).await? {
            claim["spec"]["storageClassName"] = class.into();
        }
        Ok(())
    }
}

/// Upstream's `DefaultIngressClass`.
pub(super) struct DefaultIngressClass<L>(pub(super) Arc<L>);

#[async_trait]
impl<L: Lookup> Plugin for DefaultIngressClass<L> {
    async fn admit(&self, review: &Review<'_>, ingress: &mut Value) -> Result<(), Status> {
        let request = review.permit.request();
        let is_ingress = request.resource() == ("networking.k8s.io", "ingresses") && request.subresource.is_none();
        let is_new = review.operation == Operation::Create && is_ingress;
        let has_one = !ingress["spec"]["ingressClassName"].is_null() || is_annotated(ingress, OLD_INGRESS_CLASS);
        if !is_new || has_one {
            return Ok(());
        }
        if let Some(class) = default_of(&*self.0, ("networking.k8s.io", "ingressclasses"), &DEFAULT_INGRESS).await? {
            ingress["spec"]["ingressClassName"] = class.into();
        }
        Ok(())
    }
}

fn is_annotated(object: &Value, annotation: &str) -> bool {
    object["metadata"]["annotations"].get(annotation).is_some()
}

/// The name of the default class; of several the newest, and of these the first by name.
async fn default_of<L: Lookup>(
    lookup: &L,
    (group, plural): (&str, &str),
    annotations: &[&str],
) -> Result<Option<String>, Status> {
    let all = lookup.all(known(group, "v1", plural)?, "").await?;
    let is_default =
        |class: &Value| annotations.iter().any(|annotation| class["metadata"]["annotations"][*annotation] == "true");
    let classes = all.iter().map(|class| class.tree().into_owned()).filter(is_default);
    let rank = |class: &Value| {
        (meta::text(class, "creationTimestamp").to_owned(), std::cmp::Reverse(meta::name(class).to_owned()))
    };
    Ok(classes.max_by_key(rank).map(|class| meta::name(&class).to_owned()))
}
