//! Whether a node is heard of, and what follows for its conditions and its pods. Pure.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, NodeCondition, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use nodeplane_api::kinds::Subresource;
use nodeplane_client::write::Write;

use super::GRACE;
use crate::controllers::{caches::row, pod_facts};

/// The conditions that only the node itself can know.
const KNOWN_BY_NODE: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What changes while a node is alive: when its lease was renewed, and its heartbeat.
pub(super) type Sign = (Option<Timestamp>, Option<Timestamp>);

/// The newest sign of life.
pub(super) fn sign(node: &Node, lease: Option<&Lease>) -> Sign {
    let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0);
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let beat = conditions.filter(|condition| condition.status != "Unknown");
    (renewed, beat.filter_map(|condition| condition.last_heartbeat_time.as_ref().map(|time| time.0)).max())
}

/// Whether `new` shows that the node lives, after `old`. That nothing is left to see does not.
pub(super) fn is_life(old: Sign, new: Sign) -> bool {
    new.0.is_some_and(|renewed| Some(renewed) != old.0) || new.1.is_some_and(|beat| Some(beat) != old.1)
}

pub(super) fn is_silent(silent_for: Duration) -> bool {
    silent_for >= GRACE
}

/// The node with all that nobody knows any more marked so; nothing when it already is, or when
/// the node is heard of.
pub(super) fn mark(node: &Node, silent_for: Duration, now: Timestamp) -> Option<Node> {
    if !is_silent(silent_for) {
        return None;
    }
    let mut node = node.clone();
    let conditions = node.status.get_or_insert_default().conditions.get_or_insert_default();
    let mut news = false;
    for type_ in KNOWN_BY_NODE {
        match conditions.iter_mut().find(|condition| condition.type_ == type_) {
            Some(condition) if condition.status == "Unknown" => continue,
            Some(condition) => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: type_.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_transition_time: Some(Time(now)),
                last_heartbeat_time: None,
            }),
        }
        news = true;
    }
    news.then_some(node)
}

/// Takes the pods of a silent node out of traffic: nobody says that they are ready any more.
pub(super) fn mark_pods(pods: &[Arc<Pod>], now: Timestamp) -> Vec<Write> {
    let ready = pods.iter().filter(|pod| pod_facts::is_ready(pod));
    let marked = ready.map(|pod| {
        let mut pod = (**pod).clone();
        let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
        for condition in conditions.iter_mut().filter(|condition| condition.type_ == "Ready") {
            condition.status = "False".to_owned();
            condition.last_transition_time = Some(Time(now));
        }
        Write::replace(row::<Pod>(), Some(Subresource::Status), &pod)
    });
    marked.collect()
}
