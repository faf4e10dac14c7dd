//! What the scheduler knows while it works: the cluster, and the pods that wait for a change of it.
//!
//! In: changes from the caches, turns of pods, and how they ended. Out: snapshots, and keys of
//! pods worth another look. Locks are held for as long as one change takes, never for a decision.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::informer::Change;
use tokio::time::Instant;

use super::{
    cluster::Cluster,
    is_pending,
    pod_info::PodInfo,
    snapshot::Snapshot,
    waiting::{Causes, Happening, Waiting},
};
use crate::controllers::pod_facts;

/// Cluster and waiting pods. Whoever locks both locks the cluster first.
#[derive(Default)]
pub(super) struct Board {
    cluster: Mutex<Cluster>,
    waiting: Mutex<Waiting>,
    unheard: Mutex<Vec<Key>>,
}

/// What a pod gets that asks for a node.
pub(super) enum Turn {
    /// It has failed a moment ago and comes again after this time.
    Later(Duration),
    /// The cluster to choose from.
    Now(Snapshot),
}

impl Board {
    /// A pod changed. Returns whom to look at: itself if it is new here, and those who wait for
    /// such a change.
    pub(super) fn pod_changed(&self, change: &Change<'_, Pod>) -> Vec<Key> {
        let mut cluster = lock(&self.cluster);
        let (before, after) = cluster.set_pod(change.key, change.new);
        let mut waiting = lock(&self.waiting);
        let mut keys = Vec::new();
        if !change.new.is_some_and(|pod| is_pending(pod)) {
            waiting.remove(change.key);
        } else if !is_same(change) {
            keys.push(change.key.clone());
        }
        keys.extend(helped(&waiting, &cluster, before.as_deref(), after.as_deref()));
        keys
    }

    /// A node changed. Returns whom that may help.
    pub(super) fn node_changed(&self, change: &Change<'_, Node>) -> Vec<Key> {
        let mut cluster = lock(&self.cluster);
        cluster.set_node(&change.key.name, change.new);
        if !matters(change) {
            return Vec::new();
        }
        let happening = cluster.node(&change.key.name).map_or(Happening::NodeGone, |node| Happening::Node(node));
        lock(&self.waiting).helped_by(&happening)
    }

    /// A namespace changed. Returns whom that may help.
    pub(super) fn namespace_changed(&self, change: &Change<'_, Namespace>) -> Vec<Key> {
        lock(&self.cluster).set_namespace(&change.key.name, change.new.map(AsRef::as_ref));
        let labels = |namespace: Option<&Arc<Namespace>>| namespace.map(|namespace| namespace.labels().clone());
        if labels(change.old) == labels(change.new) {
            return Vec::new();
        }
        lock(&self.waiting).helped_by(&Happening::Namespace)
    }

    /// A pod that looks for a node gets its turn. From now on it counts as waiting: what changes
    /// after the snapshot brings it here again.
    pub(super) fn turn(&self, pod: &Arc<PodInfo>, now: Instant) -> Turn {
        if let Some(left) = lock(&self.waiting).begin(pod, now) {
            return Turn::Later(left);
        }
        Turn::Now(lock(&self.cluster).snapshot())
    }

    /// The pod found no node. Returns whether that is worth telling.
    pub(super) fn fail(&self, key: &Key, causes: Causes, message: &str, now: Instant) -> bool {
        lock(&self.waiting).fail(key, causes, message, now)
    }

    /// The pod does not look for a node any more.
    pub(super) fn settle(&self, key: &Key) {
        lock(&self.waiting).remove(key);
    }

    /// Counts a pod on a node before the caches show it there.
    pub(super) fn assume(&self, pod: &Pod, node: &str) {
        lock(&self.cluster).assume(pod, node);
    }

    /// Takes back [`Self::assume`]. No change of the caches tells of it: see [`Self::unheard`].
    pub(super) fn forget(&self, key: &Key, pod: &Pod) {
        let mut cluster = lock(&self.cluster);
        let before = cluster.forget(key, pod);
        let keys = helped(&lock(&self.waiting), &cluster, before.as_deref(), None);
        lock(&self.unheard).extend(keys);
    }

    /// Who may have been helped by something that no change told of.
    pub(super) fn unheard(&self) -> Vec<Key> {
        std::mem::take(&mut *lock(&self.unheard))
    }

    /// Whether the pod has got its node already.
    pub(super) fn is_assumed(&self, key: &Key, pod: &Pod) -> bool {
        lock(&self.cluster).is_assumed(key, pod)
    }
}

/// Whom it helps that a pod took room, or takes it now, or both.
fn helped(waiting: &Waiting, cluster: &Cluster, before: Option<&PodInfo>, after: Option<&PodInfo>) -> Vec<Key> {
    let mut keys = Vec::new();
    if let Some(before) = before.filter(|before| gave_room(before, after)) {
        let node = cluster.node(pod_facts::node(&before.pod));
        keys.extend(waiting.helped_by(&Happening::Room(node.map(AsRef::as_ref))));
    }
    if looks_other(before, after) {
        for pod in before.into_iter().chain(after) {
            keys.extend(waiting.helped_by(&Happening::Neighbour(pod, cluster.namespaces())));
        }
    }
    keys
}

/// Whether a pending pod is as it was but for what we write into its status ourselves.
fn is_same(change: &Change<'_, Pod>) -> bool {
    change.old.zip(change.new).is_some_and(|(old, new)| {
        old.metadata.uid == new.metadata.uid && old.spec == new.spec && old.labels() == new.labels()
    })
}

/// Whether there is more room than before.
fn gave_room(before: &PodInfo, after: Option<&PodInfo>) -> bool {
    after.is_none_or(|after| after.uid() != before.uid() || after.requests != before.requests)
}

/// Whether other pods see a difference.
fn looks_other(before: Option<&PodInfo>, after: Option<&PodInfo>) -> bool {
    let look =
        |pod: &PodInfo| (pod.pod.metadata.uid.clone(), pod.pod.labels().clone(), pod_facts::is_terminating(&pod.pod));
    before.map(look) != after.map(look)
}

/// Whether a change of a node can make a difference to a pod that waits. Heartbeats do not.
fn matters(change: &Change<'_, Node>) -> bool {
    let (Some(old), Some(new)) = (change.old, change.new) else { return true };
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    old.spec != new.spec || old.labels() != new.labels() || allocatable(old) != allocatable(new)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
