//! What a new object must find in the cluster before it may be stored: its namespace, its
//! service account.
//!
//! In: the object after defaulting, and a [`Lookup`]. Out: the object with what admission
//! writes into it, or the refusal. Nothing is stored here. The order is upstream's:
//! NamespaceLifecycle, ServiceAccount, Priority, DefaultTolerationSeconds.

use std::time::Duration;

use async_trait::async_trait;
use nodeplane_api::{
    kinds::{self, Kind},
    meta::{self, Key},
    status::Status,
};
use serde_json::{Value, json};

use super::fields::fill;

/// Namespaces that the cluster cannot do without.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Pods with this annotation mirror a file on a node and may have no service account.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A namespace is usable a moment before its default service account exists: tries, and the
/// pause between them.
const DEFAULT_ACCOUNT_TRIES: u32 = 30;
const DEFAULT_ACCOUNT_PAUSE: Duration = Duration::from_millis(100);

/// Seconds a pod stays on a node that is not ready or not reachable.
const TOLERATION_SECONDS: i64 = 300;

/// Reads other objects; the watch cache answers, or the store when the cache may lag.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The newest stored object, if there is one.
    async fn get(&self, kind: &'static Kind, key: &Key) -> Result<Option<Value>, Status>;
}

/// Admits the creation of `object` in `namespace` (empty for cluster-scoped kinds): fills what
/// admission fills (a pod's service account, priority, tolerations), or refuses.
pub async fn admit_create(
    kind: &'static Kind,
    namespace: &str,
    object: &mut Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    if kind.is_namespaced() {
        require_live_namespace(kind, namespace, object, lookup).await?;
    }
    if kind.group.is_empty() && kind.plural == "pods" {
        admit_account(kind, namespace, object, lookup).await?;
        admit_priority(kind, object)?;
        add_tolerations(&mut object["spec"]);
    }
    Ok(())
}

/// Admits the deletion of an object by name.
pub fn admit_delete(kind: &'static Kind, name: &str) -> Result<(), Status> {
    if kind.group.is_empty() && kind.plural == "namespaces" && IMMORTAL.contains(&name) {
        return Err(Status::forbidden(kind, name, "this namespace may not be deleted"));
    }
    Ok(())
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

async fn require_live_namespace(
    kind: &'static Kind,
    namespace: &str,
    object: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    let namespaces = core("namespaces")?;
    let Some(found) = lookup.get(namespaces, &Key::new("", namespace)).await? else {
        return Err(Status::not_found(namespaces, namespace));
    };
    if found["status"]["phase"] != "Terminating" && meta::text(&found, "deletionTimestamp").is_empty() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = format!("namespace {namespace} is being terminated");
    Err(Status::forbidden(kind, shown_name(object), why).with_cause(
        "NamespaceTerminating",
        &cause,
        "metadata.namespace",
    ))
}

/// Names the pod's service account, and takes over its pull secrets.
async fn admit_account(
    kind: &'static Kind,
    namespace: &str,
    pod: &mut Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    let name = shown_name(pod).to_owned();
    if pod["metadata"]["annotations"].get(MIRROR).is_some() {
        return Ok(());
    }
    fill(&mut pod["spec"], "serviceAccountName", "default");
    let account_name = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default().to_owned();
    pod["spec"]["serviceAccount"] = account_name.as_str().into();
    let Some(account) = find_account(namespace, &account_name, lookup).await? else {
        let why = format!(
            "error looking up service account {namespace}/{account_name}: serviceaccount \"{account_name}\" not found"
        );
        return Err(Status::forbidden(kind, &name, why));
    };
    let has_secrets = pod["spec"]["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty());
    if !has_secrets && account["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty()) {
        pod["spec"]["imagePullSecrets"] = account["imagePullSecrets"].clone();
    }
    Ok(())
}

async fn find_account(namespace: &str, name: &str, lookup: &dyn Lookup) -> Result<Option<Value>, Status> {
    let accounts = core("serviceaccounts")?;
    let tries = if name == "default" { DEFAULT_ACCOUNT_TRIES } else { 1 };
    for attempt in 1..=tries {
        let found = lookup.get(accounts, &Key::new(namespace, name)).await?;
        if found.is_some() || attempt == tries {
            return Ok(found);
        }
        tokio::time::sleep(DEFAULT_ACCOUNT_PAUSE).await;
    }
    Ok(None)
}

/// Priority classes are not served; the two that every cluster has are known by name.
fn admit_priority(kind: &'static Kind, pod: &mut Value) -> Result<(), Status> {
    let class = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let priority = match class.as_str() {
        "" => 0,
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        _ => {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Status::forbidden(kind, shown_name(pod), why));
        }
    };
    let given = pod["spec"]["priority"].as_i64();
    if given.is_some_and(|given| given != priority) {
        let why = format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name",
            given.unwrap_or_default()
        );
        return Err(Status::forbidden(kind, shown_name(pod), why));
    }
    pod["spec"]["priority"] = priority.into();
    fill(&mut pod["spec"], "preemptionPolicy", "PreemptLowerPriority");
    Ok(())
}

/// Pods stay for some minutes on nodes that are away, unless they say otherwise.
fn add_tolerations(spec: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let own = spec["tolerations"].as_array().into_iter().flatten();
        let tolerates = |toleration: &Value| {
            let own_key = toleration["key"].as_str().unwrap_or_default();
            let effect = toleration["effect"].as_str().unwrap_or_default();
            (own_key == key || own_key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        };
        if own.into_iter().any(tolerates) {
            continue;
        }
        let toleration = json!({
            "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS,
        });
        match spec["tolerations"].as_array_mut() {
            Some(tolerations) => tolerations.push(toleration),
            None => spec["tolerations"] = json!([toleration]),
        }
    }
}

#[cfg(test)]
mod tests;
