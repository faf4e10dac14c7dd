//! Which other objects a pod names.
//!
//! In: a pod. Out: whether it names any of a kind. Whoever may make a pod may read what it names,
//! so pods of agents name nothing. Pure.

use serde_json::Value;

/// Where volumes name Secrets.
const VOLUME_SECRETS: [&str; 11] = [
    "/secret",
    "/azureFile/secretName",
    "/cephfs/secretRef",
    "/cinder/secretRef",
    "/csi/nodePublishSecretRef",
    "/flexVolume/secretRef",
    "/iscsi/secretRef",
    "/rbd/secretRef",
    "/scaleIO/secretRef",
    "/storageos/secretRef",
    "/glusterfs/secretRef",
];

/// The first kind of object that a pod names, in upstream's words.
pub(super) fn any(pod: &Value) -> Option<&'static str> {
    let spec = &pod["spec"];
    let is_set = |field: &str| spec[field].as_str().is_some_and(|name| !name.is_empty());
    let has_volume = |field: &str| items(&spec["volumes"]).any(|volume| is_there(volume, field));
    let kinds = [
        ("serviceaccounts", is_set("serviceAccountName") || is_set("serviceAccount")),
        ("secrets", secrets(pod)),
        ("configmaps", in_containers(spec, "configMapRef", "configMapKeyRef") || in_sources(spec, "/configMap")),
        ("resourceclaims", items(&spec["resourceClaims"]).next().is_some()),
        ("persistentvolumeclaims", has_volume("/persistentVolumeClaim") || has_volume("/ephemeral")),
        ("clustertrustbundles", in_sources(spec, "/clusterTrustBundle")),
        ("serviceaccounts (via projected volumes)", tokens(pod)),
    ];
    kinds.into_iter().find_map(|(kind, is_named)| is_named.then_some(kind))
}

/// Whether it names a Secret.
pub(super) fn secrets(pod: &Value) -> bool {
    let spec = &pod["spec"];
    items(&spec["imagePullSecrets"]).next().is_some()
        || in_containers(spec, "secretRef", "secretKeyRef")
        || VOLUME_SECRETS.iter().any(|place| in_sources(spec, place))
}

/// Whether a volume holds a token of its account.
pub(super) fn tokens(pod: &Value) -> bool {
    in_sources(&pod["spec"], "/serviceAccountToken")
}

/// Looks into volumes, and into the sources of projected ones.
fn in_sources(spec: &Value, place: &str) -> bool {
    items(&spec["volumes"]).any(|volume| {
        is_there(volume, place) || items(&volume["projected"]["sources"]).any(|source| is_there(source, place))
    })
}

fn in_containers(spec: &Value, whole: &str, key: &str) -> bool {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    lists.iter().flat_map(|list| items(&spec[*list])).any(|container| {
        items(&container["envFrom"]).any(|from| !from[whole].is_null())
            || items(&container["env"]).any(|variable| !variable["valueFrom"][key].is_null())
    })
}

fn is_there(object: &Value, place: &str) -> bool {
    object.pointer(place).is_some_and(|value| !value.is_null())
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
