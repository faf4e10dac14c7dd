//! Names and labels of sandboxes and containers, as cri-dockerd and dockershim gave them
//! (cri-dockerd `core/naming.go`, `core/labels.go`; kubelet `kuberuntime/labels.go`), so that
//! tools which know those find their way.
//!
//! Pure. Whoever reads them back must expect foreign values.

use std::collections::HashMap;

use super::{ContainerSpec, PodId, SandboxSpec};

/// Pod name.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// Pod namespace.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// Pod UID.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// Container name; `POD` for the sandbox.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// `podsandbox` or `container`.
pub const TYPE: &str = "io.kubernetes.docker.type";
/// [`TYPE`] of a sandbox.
pub const TYPE_SANDBOX: &str = "podsandbox";
/// [`TYPE`] of a container.
pub const TYPE_CONTAINER: &str = "container";
/// Id of the sandbox that a container joined.
pub const SANDBOX_ID: &str = "io.kubernetes.sandbox.id";
/// Fingerprint of the container's definition.
pub const HASH: &str = "annotation.io.kubernetes.container.hash";
/// How often the container was restarted before; for a sandbox, how many came before it.
pub const RESTART_COUNT: &str = "annotation.io.kubernetes.container.restartCount";
/// `terminationMessagePath`.
pub const TERMINATION_PATH: &str = "annotation.io.kubernetes.container.terminationMessagePath";
/// Grace period of the pod, in seconds.
pub const GRACE: &str = "annotation.io.kubernetes.pod.terminationGracePeriod";
/// Address of the pod. Our own: the kubelet leaves addresses to network plug-ins.
pub const ADDRESS: &str = "annotation.nodeplane.io/pod-ip";
/// Marks what this agent made, so that another kubelet's containers on the same engine are left
/// alone; the value is the node's name.
pub const NODE: &str = "io.nodeplane.node";

/// The container name of sandboxes.
const SANDBOX: &str = "POD";

/// `k8s_POD_<pod>_<namespace>_<uid>_<attempt>`.
pub fn sandbox_name(pod: &PodId, attempt: u32) -> String {
    name(SANDBOX, pod, attempt)
}

/// `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`.
pub fn container_name(container: &str, pod: &PodId, attempt: u32) -> String {
    name(container, pod, attempt)
}

fn name(container: &str, pod: &PodId, attempt: u32) -> String {
    format!("k8s_{container}_{}_{}_{}_{attempt}", pod.name, pod.namespace, pod.uid)
}

/// Labels of a sandbox on `node`.
pub fn of_sandbox(node: &str, spec: &SandboxSpec) -> HashMap<String, String> {
    let mut labels = of_pod(node, &spec.pod, SANDBOX, TYPE_SANDBOX, spec.attempt);
    labels.insert(GRACE.to_owned(), spec.grace_seconds.to_string());
    if let Some(address) = spec.address {
        labels.insert(ADDRESS.to_owned(), address.to_string());
    }
    labels
}

/// Labels of a container on `node`.
pub fn of_container(node: &str, pod: &PodId, sandbox: &str, spec: &ContainerSpec) -> HashMap<String, String> {
    let mut labels = of_pod(node, pod, &spec.name, TYPE_CONTAINER, spec.attempt);
    labels.insert(SANDBOX_ID.to_owned(), sandbox.to_owned());
    labels.insert(HASH.to_owned(), spec.hash.clone());
    labels.insert(TERMINATION_PATH.to_owned(), spec.termination_path.clone());
    labels
}

fn of_pod(node: &str, pod: &PodId, container: &str, kind: &str, attempt: u32) -> HashMap<String, String> {
    [
        (POD_NAME, pod.name.clone()),
        (POD_NAMESPACE, pod.namespace.clone()),
        (POD_UID, pod.uid.clone()),
        (CONTAINER_NAME, container.to_owned()),
        (TYPE, kind.to_owned()),
        (RESTART_COUNT, attempt.to_string()),
        (NODE, node.to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The pod that labels speak of.
pub fn pod(labels: &HashMap<String, String>) -> Option<PodId> {
    Some(PodId {
        namespace: labels.get(POD_NAMESPACE)?.clone(),
        name: labels.get(POD_NAME)?.clone(),
        uid: labels.get(POD_UID)?.clone(),
    })
}

/// A label's number, 0 when it is missing or no number.
pub fn number<T: std::str::FromStr + Default>(labels: &HashMap<String, String>, key: &str) -> T {
    labels.get(key).and_then(|text| text.parse().ok()).unwrap_or_default()
}
