//! Which pod goes first when there are too many. Pure. Follows upstream's `ActivePodsWithRanks`.

use std::{
    cmp::{Ordering, Reverse},
    collections::HashMap,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Pod;

use crate::controllers::pod_facts;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Sorts `pods` so that those to delete come first. `crowd` are the pods whose number on a node
/// makes that node crowded.
pub(super) fn by_dispensability(pods: &mut [Arc<Pod>], crowd: &[Arc<Pod>]) {
    let mut crowding: HashMap<&str, usize> = HashMap::new();
    for pod in crowd.iter().filter(|pod| pod_facts::is_active(pod)) {
        *crowding.entry(pod_facts::node(pod)).or_default() += 1;
    }
    let crowd_of = |pod: &Pod| crowding.get(pod_facts::node(pod)).copied().unwrap_or_default();
    pods.sort_by(|a, b| keys(a).cmp(&keys(b)).then_with(|| crowd_of(b).cmp(&crowd_of(a))).then_with(|| by_age(a, b)));
}

/// Without a node before with one; pending before unknown before running; not ready before ready;
/// cheap before dear.
fn keys(pod: &Pod) -> (bool, u8, bool, i32) {
    let phase = match pod_facts::phase(pod) {
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    };
    let cost = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DELETION_COST)?.parse().ok());
    (!pod_facts::node(pod).is_empty(), phase, pod_facts::is_ready(pod), cost.unwrap_or_default())
}

/// Ready for a short time before ready for a long time; more restarts before fewer; younger before
/// older. The name decides last, so that the order is total.
fn by_age(a: &Pod, b: &Pod) -> Ordering {
    let key = |pod: &Pod| {
        let restarts = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        (
            Reverse(pod_facts::ready_since(pod)),
            Reverse(restarts.map(|container| container.restart_count).max().unwrap_or_default()),
            Reverse(pod.metadata.creation_timestamp.as_ref().map(|time| time.0)),
            pod.metadata.name.clone(),
        )
    };
    key(a).cmp(&key(b))
}
