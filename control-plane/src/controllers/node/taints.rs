//! Taints that follow from a node's conditions and from `kubectl cordon`, and since when pods have
//! to heed those that drive them away. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, Taint},
    apimachinery::pkg::apis::meta::v1::Time,
};
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;
use serde_json::json;

use super::eviction;
use crate::controllers::caches::row;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that are bad when true, and their taints.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Brings the taints of a node in line with its state. Taints of others stay as they are, but one
/// that evicts gets the time when it was first seen, if it has none: `kubectl taint` sets none, and
/// what is left of a pod's toleration must not begin anew whenever the controller does.
pub(super) fn plan(node: &Node, now: Timestamp) -> Option<Write> {
    let have: Vec<_> = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten().cloned()).collect();
    let wanted = wanted(node);
    let same = |taint: &Taint, (key, effect): &(&str, &str)| taint.key == *key && taint.effect == *effect;
    let mut taints: Vec<_> =
        have.iter().filter(|taint| !is_ours(taint) || wanted.iter().any(|want| same(taint, want))).cloned().collect();
    for taint in taints.iter_mut().filter(|taint| eviction::is_evicting(taint)) {
        taint.time_added.get_or_insert(Time(now));
    }
    for (key, effect) in &wanted {
        if !taints.iter().any(|taint| same(taint, &(key, effect))) {
            taints.push(Taint {
                key: (*key).to_owned(),
                effect: (*effect).to_owned(),
                // Eviction counts from here.
                time_added: Some(Time(now)),
                value: None,
            });
        }
    }
    let taints_or_null = if taints.is_empty() { serde_json::Value::Null } else { json!(taints) };
    (taints != have).then(|| Write::Merge {
        kind: row::<Node>(),
        key: Key::of_meta(&node.metadata),
        part: None,
        patch: json!({
            "metadata": { "uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version },
            "spec": { "taints": taints_or_null },
        }),
    })
}

fn is_ours(taint: &Taint) -> bool {
    [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&taint.key.as_str())
        || PRESSURES.iter().any(|(_, key)| *key == taint.key)
}

fn wanted(node: &Node) -> Vec<(&'static str, &'static str)> {
    let status = |type_: &str| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.as_str())
    };
    let mut wanted = Vec::new();
    match status("Ready") {
        Some("True") => {}
        Some("Unknown") => wanted.extend([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        Some(_) => wanted.extend([(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
        // Not heard of yet: new pods wait, running ones stay.
        None => wanted.push((NOT_READY, "NoSchedule")),
    }
    wanted.extend(
        PRESSURES.iter().filter(|(type_, _)| status(type_) == Some("True")).map(|(_, key)| (*key, "NoSchedule")),
    );
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    wanted
}
