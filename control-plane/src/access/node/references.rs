//! What a pod needs: the objects that its spec names.
//!
//! In: a pod. Out: whether it names an object of a kind. Pure.

use serde_json::Value;

/// Whether a pod names an object by its kind's plural and its name.
pub(super) fn names(pod: &Value, plural: &str, name: &str) -> bool {
    let spec = &pod["spec"];
    match plural {
        "serviceaccounts" => spec["serviceAccountName"] == name,
        "configmaps" => {
            in_containers(spec, "configMapRef", "configMapKeyRef", name)
                || sources(spec).any(|source| source["configMap"]["name"] == name)
        }
        "secrets" => {
            in_containers(spec, "secretRef", "secretKeyRef", name)
                || sources(spec).any(|source| source["secret"]["name"] == name)
                || items(&spec["volumes"]).any(|volume| volume["secret"]["secretName"] == name)
                || items(&spec["imagePullSecrets"]).any(|secret| secret["name"] == name)
        }
        _ => false,
    }
}

/// Volumes, and the sources of projected ones.
fn sources(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["volumes"]).flat_map(|volume| std::iter::once(volume).chain(items(&volume["projected"]["sources"])))
}

fn in_containers(spec: &Value, whole: &str, key: &str, name: &str) -> bool {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    lists.iter().flat_map(|list| items(&spec[*list])).any(|container| {
        items(&container["envFrom"]).any(|from| from[whole]["name"] == name)
            || items(&container["env"]).any(|variable| variable["valueFrom"][key]["name"] == name)
    })
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
