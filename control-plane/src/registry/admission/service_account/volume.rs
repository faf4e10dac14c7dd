//! The volume `kube-api-access-…`: a token, the cluster's certificate authority, the namespace.
//!
//! In: the spec of a new pod, and its account. Out: the spec with the volume, mounted where client
//! libraries look. Pure but for the name, which is a parameter.

use serde_json::{Value, json};

use crate::registry::fields::each;

/// What the volume's name begins with.
pub(super) const PREFIX: &str = "kube-api-access-";
/// Where client libraries look.
const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// An hour, and a little by which upstream tells these tokens from others.
const SECONDS: i64 = 3607;
/// The config map that every namespace has.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Whether a pod is to have the volume: what it says itself counts, then what its account says.
pub(super) fn is_wanted(spec: &Value, account: &Value) -> bool {
    let said = |place: &Value| place["automountServiceAccountToken"].as_bool();
    said(spec).or_else(|| said(account)).unwrap_or(true)
}

/// Mounts the volume into every container that has nothing there yet.
pub(super) fn mount(spec: &mut Value, name: impl FnOnce() -> String) {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let present = volumes.filter_map(|volume| volume["name"].as_str()).find(|name| name.starts_with(PREFIX));
    let present = present.map(str::to_owned);
    let is_new = present.is_none();
    let name = present.unwrap_or_else(name);
    let mut is_needed = false;
    for list in ["initContainers", "containers"] {
        for container in each(spec, list) {
            is_needed |= mount_into(container, &name);
        }
    }
    if is_needed && is_new {
        push(spec, "volumes", volume(&name));
    }
}

/// Whether the container got a mount.
fn mount_into(container: &mut Value, name: &str) -> bool {
    let mut mounts = container["volumeMounts"].as_array().into_iter().flatten();
    if mounts.any(|mount| mount["mountPath"] == PATH) {
        return false;
    }
    push(container, "volumeMounts", json!({ "name": name, "mountPath": PATH, "readOnly": true }));
    true
}

fn volume(name: &str) -> Value {
    let namespace =
        json!({ "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } });
    json!({ "name": name, "projected": { "defaultMode": 0o644, "sources": [
        { "serviceAccountToken": { "expirationSeconds": SECONDS, "path": "token" } },
        { "configMap": { "name": ROOT_CA, "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
        { "downwardAPI": { "items": [namespace] } },
    ] } })
}

fn push(object: &mut Value, list: &str, item: Value) {
    match object[list].as_array_mut() {
        Some(items) => items.push(item),
        None => object[list] = json!([item]),
    }
}

#[cfg(test)]
mod tests;
