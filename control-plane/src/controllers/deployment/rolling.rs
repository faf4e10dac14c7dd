//! The next step of a rollout. Pure. Follows upstream's `rolling.go` and `recreate.go`.

use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};

use super::{model, plan::Draft};
use crate::controllers::{ownership, pod_facts};

/// How many replicas the new set may have now.
pub(super) fn new_replicas(draft: &Draft<'_>, new: usize) -> i32 {
    let bounds = draft.bounds;
    if draft.recreates {
        return bounds.replicas;
    }
    let have = model::wanted(&draft.sets[new]);
    let all = model::sum(&draft.sets, model::wanted);
    if all >= bounds.most() {
        return have;
    }
    have + (bounds.most() - all).min(bounds.replicas - have)
}

/// One step of a rolling update: up if there is room, else down if enough are available.
pub(super) fn roll(draft: &mut Draft<'_>, new: usize) {
    let have = model::wanted(&draft.sets[new]);
    let target = if have > draft.bounds.replicas { draft.bounds.replicas } else { new_replicas(draft, new) };
    if have != target {
        draft.scale(new, target);
        return;
    }
    shrink_old(draft, new);
}

fn shrink_old(draft: &mut Draft<'_>, new: usize) {
    let all = model::sum(&draft.sets, model::wanted);
    if all == model::wanted(&draft.sets[new]) {
        return;
    }
    let missing_in_new = model::wanted(&draft.sets[new]) - model::available(&draft.sets[new]);
    let most = all - draft.bounds.least_available() - missing_in_new;
    if most <= 0 {
        return;
    }
    drop_unhealthy(draft, most);
    drop_healthy(draft);
}

/// Old pods that are not available serve nobody: they go first, whatever is available.
fn drop_unhealthy(draft: &mut Draft<'_>, most: i32) {
    let mut left = most;
    for old in draft.old() {
        let set = &draft.sets[old];
        let unhealthy = (model::wanted(set) - model::available(set)).max(0).min(left);
        if unhealthy > 0 {
            draft.scale(old, model::wanted(set) - unhealthy);
            left -= unhealthy;
        }
    }
}

/// How many pods of a set are available and stay. Its status may still count some that its spec
/// has given up already; relying on those (as upstream does) could take too many at once.
fn staying(set: &ReplicaSet) -> i32 {
    model::available(set).min(model::wanted(set))
}

fn drop_healthy(draft: &mut Draft<'_>) {
    let mut left = model::sum(&draft.sets, staying) - draft.bounds.least_available();
    for old in draft.old() {
        let have = model::wanted(&draft.sets[old]);
        let down = have.min(left);
        if down > 0 {
            draft.scale(old, have - down);
            left -= down;
        }
    }
}

/// One step of a recreation before there is a new set: the old ones go down. Returns whether all
/// old pods are gone.
pub(super) fn stop_old(draft: &mut Draft<'_>, pods: &[std::sync::Arc<Pod>]) -> bool {
    let running = draft.old().into_iter().any(|old| {
        let set = &draft.sets[old];
        model::wanted(set) > 0 || model::actual(set) > 0 || pods.iter().any(|pod| holds_up(pod, set))
    });
    for old in draft.old() {
        draft.scale(old, 0);
    }
    !running
}

/// Whether a pod of an old set may still run.
fn holds_up(pod: &Pod, set: &ReplicaSet) -> bool {
    let owned =
        ownership::controller_of(&pod.metadata).is_some_and(|owner| Some(&owner.uid) == set.metadata.uid.as_ref());
    owned && !pod_facts::is_finished(pod)
}
