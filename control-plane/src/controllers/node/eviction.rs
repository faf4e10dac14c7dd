//! Which pods must leave a tainted node, and when. Pure. Follows upstream's
//! `pkg/controller/tainteviction`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;

use crate::controllers::{caches::row, pod_facts};

/// What to delete now, and when to look again.
pub(super) struct Evictions {
    pub(super) writes: Vec<Write>,
    pub(super) recheck: Option<Duration>,
}

/// Whether a node has a taint that drives pods away.
pub(super) fn evicts(node: &Node) -> bool {
    taints(node).next().is_some()
}

pub(super) fn plan(node: &Node, pods: &[Arc<Pod>], now: Timestamp) -> Evictions {
    let taints: Vec<_> = taints(node).collect();
    let mut evictions = Evictions { writes: Vec::new(), recheck: None };
    for pod in pods.iter().filter(|pod| pod_facts::is_active(pod)) {
        match time_left(pod, &taints, now) {
            None => {}
            Some(left) if left.is_zero() => evictions.writes.push(Write::delete(
                row::<Pod>(),
                Key::of_meta(&pod.metadata),
                pod.uid().unwrap_or_default(),
            )),
            Some(left) => evictions.recheck = Some(evictions.recheck.map_or(left, |other| other.min(left))),
        }
    }
    evictions
}

/// Whether this taint drives pods away.
pub(super) fn is_evicting(taint: &Taint) -> bool {
    taint.effect == "NoExecute"
}

fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| is_evicting(taint))
}

/// How long the pod may stay; for ever when none.
fn time_left(pod: &Pod, taints: &[&Taint], now: Timestamp) -> Option<Duration> {
    let tolerations: Vec<_> = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten()).collect();
    taints.iter().filter_map(|taint| tolerated_for(&tolerations, taint, arrival(pod), now)).min()
}

/// When the pod came to its node.
fn arrival(pod: &Pod) -> Option<Timestamp> {
    let bound = pod_facts::condition(pod, "PodScheduled").filter(|condition| condition.status == "True");
    let bound = bound.and_then(|condition| condition.last_transition_time.as_ref());
    // Whoever made it may have chosen the node.
    bound.or(pod.metadata.creation_timestamp.as_ref()).map(|time| time.0)
}

/// How long one taint is tolerated; for ever when none. Counts from when taint and pod came
/// together.
fn tolerated_for(
    tolerations: &[&Toleration],
    taint: &Taint,
    arrival: Option<Timestamp>,
    now: Timestamp,
) -> Option<Duration> {
    let tolerating: Vec<_> = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).collect();
    if tolerating.is_empty() {
        return Some(Duration::ZERO);
    }
    // Of several limits the shortest counts; one without limit does not lift the others.
    let seconds = tolerating.iter().filter_map(|toleration| toleration.toleration_seconds).min()?;
    let allowed = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    // A taint without a time is about to get one.
    let added = taint.time_added.as_ref().map_or(now, |time| time.0);
    let since = arrival.map_or(added, |arrival| arrival.max(added));
    Some(allowed.saturating_sub(pod_facts::elapsed(since, now)))
}

/// Whether a toleration is for this taint. Follows `Toleration.ToleratesTaint` of the API.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let fits = |mine: Option<&str>, its: &str| mine.is_none_or(|mine| mine.is_empty() || mine == its);
    if !fits(toleration.effect.as_deref(), &taint.effect) || !fits(toleration.key.as_deref(), &taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => {
            // Without a key, only `Exists` is for all taints.
            toleration.key.as_deref().is_some_and(|key| !key.is_empty())
                && toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        "Exists" => true,
        _ => false,
    }
}
