//! Gives every namespace what it starts with, and empties those that are on their way out.
//!
//! In: Namespaces, their default ServiceAccount and CA bundle, from caches; the content of a
//! terminating namespace from the server itself. Out: the missing ones created; all content
//! deleted, conditions that tell what is left, and then the namespace finalised. Content of every
//! namespaced kind in the table is deleted, so a new kind needs nothing here.

mod content;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use nodeplane_api::{
    kinds::{KINDS, Kind, Subresource},
    meta::{self, Key},
};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    write::{Hands, Write, WriteError},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::caches::{Caches, DEFAULT_SERVICE_ACCOUNT, ROOT_CA, row};
use content::Content;

/// How soon a namespace that still has content is looked at again: pods need time to stop.
const EMPTYING_POLL: Duration = Duration::from_secs(1);
/// The finaliser that is ours to remove.
const FINALIZER: &str = "kubernetes";
const CA_FILE: &str = "ca.crt";

/// Runs both controllers until `shutdown`. `ca` is the cluster's CA in PEM.
pub async fn run(hands: Hands, caches: Caches, ca: String, shutdown: CancellationToken) {
    let furnishing = Controller::new("namespace-content", hands.clone())
        .on(&caches.namespaces, |namespace: &Namespace| vec![Key::new("", namespace.name_any())])
        .on(&caches.default_accounts, |account: &ServiceAccount| owner(&account.metadata))
        .on(&caches.root_cas, |map: &ConfigMap| owner(&map.metadata));
    let emptying = Controller::new("namespace", hands)
        .on(&caches.namespaces, |namespace: &Namespace| vec![Key::new("", namespace.name_any())]);
    // Emptying takes its time. Whoever waits for a new namespace to be usable must not wait for that.
    tokio::join!(
        furnishing.run(1, Furnishing { caches: caches.clone(), ca }, shutdown.clone()),
        emptying.run(2, Emptying { caches }, shutdown),
    );
}

fn owner(meta: &ObjectMeta) -> Vec<Key> {
    vec![Key::new("", meta.namespace.clone().unwrap_or_default())]
}

struct Furnishing {
    caches: Caches,
    ca: String,
}

impl Reconcile for Furnishing {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let live = self.caches.namespaces.get(key).filter(|namespace| namespace.metadata.deletion_timestamp.is_none());
        if live.is_some() {
            let account = self.caches.default_accounts.get(&Key::new(&key.name, DEFAULT_SERVICE_ACCOUNT));
            let map = self.caches.root_cas.get(&Key::new(&key.name, ROOT_CA));
            apply.all(&furnish(&key.name, account.as_deref(), map.as_deref(), &self.ca)).await?;
        }
        Ok(Next::Wait)
    }
}

struct Emptying {
    caches: Caches,
}

impl Reconcile for Emptying {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        match self.caches.namespaces.get(key) {
            Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => empty(&namespace, key, apply).await,
            _ => Ok(Next::Wait),
        }
    }
}

/// What a namespace lacks to start with.
fn furnish(namespace: &str, account: Option<&ServiceAccount>, map: Option<&ConfigMap>, ca: &str) -> Vec<Write> {
    let named = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let mut writes = Vec::new();
    if account.is_none() {
        let account = ServiceAccount { metadata: named(DEFAULT_SERVICE_ACCOUNT), ..ServiceAccount::default() };
        writes.push(Write::create(row::<ServiceAccount>(), &account));
    }
    let data = BTreeMap::from([(CA_FILE.to_owned(), ca.to_owned())]);
    match map {
        None => {
            let map = ConfigMap { metadata: named(ROOT_CA), data: Some(data), ..ConfigMap::default() };
            writes.push(Write::create(row::<ConfigMap>(), &map));
        }
        Some(map) if map.data.as_ref() != Some(&data) => {
            writes.push(Write::replace(row::<ConfigMap>(), None, &ConfigMap { data: Some(data), ..map.clone() }));
        }
        Some(_) => {}
    }
    writes
}

/// Deletes all content, and lets the namespace go when there is none left.
async fn empty(namespace: &Namespace, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
    // The cache may show a former namespace of this name: only the server knows whose content it
    // is.
    let live = match apply.hands().get(row::<Namespace>(), key).await? {
        Some(live) if meta::uid(&live) == namespace.uid().unwrap_or_default() => live,
        _ => return Ok(Next::Wait),
    };
    if !finalizers(&live).iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Next::Wait);
    }
    let mut content = Content::default();
    let mut failure = None;
    // One kind that cannot be deleted does not keep the others.
    for kind in content_kinds() {
        match empty_of(kind, &key.name, apply).await {
            Ok(left) => content.is_left(kind, &left),
            Err(error) => {
                content.fails(error.message());
                failure.get_or_insert(error);
            }
        }
    }
    let live = tell(live, &content, apply).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    if content.len() > 0 {
        debug!(left = content.len(), "namespace is being emptied");
        return Ok(Next::After(EMPTYING_POLL));
    }
    apply.one(&finalize(live)).await?;
    Ok(Next::Wait)
}

/// Deletes all objects of a kind; those that are left.
async fn empty_of(kind: &'static Kind, namespace: &str, apply: &Apply) -> Result<Vec<Value>, WriteError> {
    // They are asked for before they are deleted: most namespaces have few kinds.
    if apply.hands().list(kind, namespace).await?.is_empty() {
        return Ok(Vec::new());
    }
    apply.one(&Write::DeleteAll { kind, namespace: namespace.to_owned() }).await?;
    apply.hands().list(kind, namespace).await
}

/// Writes what is left into the status of the namespace; the namespace as it is then.
async fn tell(mut live: Value, content: &Content, apply: &Apply) -> Result<Value, WriteError> {
    match content.tell(&mut live, Timestamp::now()) {
        true => apply.one(&Write::replace(row::<Namespace>(), Some(Subresource::Status), &live)).await,
        false => Ok(live),
    }
}

/// Each object is the content of one row.
fn content_kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| kind.is_namespaced() && kind.is_stored() && !kind.is_view())
}

fn finalizers(namespace: &Value) -> Vec<String> {
    let finalizers = namespace["spec"]["finalizers"].as_array();
    finalizers.into_iter().flatten().filter_map(|finalizer| finalizer.as_str().map(str::to_owned)).collect()
}

fn finalize(mut live: Value) -> Write {
    let others: Vec<_> = finalizers(&live).into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
    live["spec"]["finalizers"] = json!(others);
    Write::replace(row::<Namespace>(), Some(Subresource::Finalize), &live)
}

#[cfg(test)]
mod tests;
