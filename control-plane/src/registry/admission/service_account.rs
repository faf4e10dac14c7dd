//! Every pod has a service account, and finds in its file system what it needs to call the API as
//! that account.

mod volume;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nodeplane_api::{meta::Key, status::Status};
use serde_json::Value;

use super::{Lookup, Operation, Plugin, Review, core, pod_references, shown_name};
use crate::{
    registry::{fields::fill, metadata::own::generate_name},
    store::object::Object,
};

/// Pods with this annotation mirror a file on a node and may have no service account.
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";

/// A namespace is usable a moment before its default service account exists: tries, and the
/// pause between them.
pub(super) const DEFAULT_ACCOUNT_TRIES: u32 = 30;
const DEFAULT_ACCOUNT_PAUSE: Duration = Duration::from_millis(100);

/// Upstream's `ServiceAccount`: names a new pod's account, mounts its token, and takes over its
/// pull secrets.
pub(super) struct ServiceAccount<L> {
    lookup: Arc<L>,
}

impl<L: Lookup> ServiceAccount<L> {
    pub(super) fn new(lookup: Arc<L>) -> Self {
        Self { lookup }
    }

    async fn find(&self, namespace: &str, name: &str) -> Result<Option<Object>, Status> {
        let (accounts, key) = (core("serviceaccounts")?, Key::new(namespace, name));
        if let Some(known) = self.lookup.known(accounts, &key).await {
            return Ok(Some(known));
        }
        let tries = if name == "default" { DEFAULT_ACCOUNT_TRIES } else { 1 };
        for attempt in 1..=tries {
            let found = self.lookup.newest(accounts, &key).await?;
            if found.is_some() || attempt == tries {
                return Ok(found);
            }
            tokio::time::sleep(DEFAULT_ACCOUNT_PAUSE).await;
        }
        Ok(None)
    }
}

#[async_trait]
impl<L: Lookup> Plugin for ServiceAccount<L> {
    async fn admit(&self, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
        if review.operation != Operation::Create || !review.is_about("pods") {
            return Ok(());
        }
        let (kind, namespace) = (review.kind(), review.namespace());
        let name = shown_name(pod).to_owned();
        if pod["metadata"]["annotations"].get(MIRROR).is_some() {
            return mirror_names(pod).map_or(Ok(()), |why| Err(Status::forbidden(kind, &name, why)));
        }
        fill(&mut pod["spec"], "serviceAccountName", "default");
        let account_name = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default().to_owned();
        pod["spec"]["serviceAccount"] = account_name.as_str().into();
        let Some(account) = self.find(namespace, &account_name).await? else {
            let why = format!(
                "error looking up service account {namespace}/{account_name}: serviceaccount \"{account_name}\" not found"
            );
            return Err(Status::forbidden(kind, &name, why));
        };
        let account = account.tree();
        if volume::is_wanted(&pod["spec"], &account) {
            volume::mount(&mut pod["spec"], || generate_name(volume::PREFIX));
        }
        let has_secrets = pod["spec"]["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty());
        if !has_secrets && account["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty()) {
            pod["spec"]["imagePullSecrets"] = account["imagePullSecrets"].clone();
        }
        Ok(())
    }
}

/// What a mirror pod names and may not.
fn mirror_names(pod: &Value) -> Option<&'static str> {
    if pod["spec"]["serviceAccountName"].as_str().is_some_and(|account| !account.is_empty()) {
        Some("a mirror pod may not reference service accounts")
    } else if pod_references::secrets(pod) {
        Some("a mirror pod may not reference secrets")
    } else if pod_references::tokens(pod) {
        Some("a mirror pod may not use ServiceAccountToken volume projections")
    } else {
        None
    }
}
