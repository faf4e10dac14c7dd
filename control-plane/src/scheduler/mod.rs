//! Finds a node for every pod that has none.
//!
//! In: pods and nodes, from caches shared with the controllers. Out: bindings, a `PodScheduled`
//! condition that says why a pod has to wait, events. Which node it shall be is decided in
//! [`decide`], a pure function of a [`Snapshot`]; here the decision is carried out. Follows the
//! default profile of upstream's kube-scheduler.

mod affinity;
mod decide;
mod filter;
mod resources;
mod score;
mod snapshot;
mod spread;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Client, ResourceExt};
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Change,
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::controllers::{
    caches::{Caches, row},
    pod_facts,
};

pub use decide::{Decision, decide};
pub use snapshot::{NodeFacts, Snapshot};

/// The scheduler that pods ask for when they ask for none.
const NAME: &str = "default-scheduler";
/// A pod that found no node is looked at again after this time even if nothing changed.
const FLUSH: Duration = Duration::from_secs(300);

/// Runs the scheduler until `shutdown`.
pub async fn run(client: Client, caches: Caches, shutdown: CancellationToken) {
    let waiting = Arc::new(Waiting::default());
    let (for_pods, for_nodes) = (waiting.clone(), waiting.clone());
    let controller = Controller::new("scheduler", Hands::new(client.clone()))
        .on_change(&caches.pods, move |change| concerned_by_pod(&for_pods, change))
        .on_change(&caches.nodes, move |change| if matters(change) { for_nodes.all() } else { Vec::new() });
    let recorder = Recorder::new(client, NAME, "");
    // One at a time: each decision counts on the ones before it.
    controller.run(1, Scheduler { caches, recorder, waiting, assumed: Mutex::default() }, shutdown).await;
}

/// Pods that found no node.
#[derive(Default)]
struct Waiting(Mutex<HashSet<Key>>);

impl Waiting {
    fn all(&self) -> Vec<Key> {
        lock(&self.0).iter().cloned().collect()
    }

    fn set(&self, key: &Key, waits: bool) {
        let mut keys = lock(&self.0);
        if waits {
            keys.insert(key.clone())
        } else {
            keys.remove(key)
        };
    }
}

/// Whom to look at after a change of a pod: itself if it is new here, and everybody who waits if
/// it made room.
fn concerned_by_pod(waiting: &Waiting, change: &Change<'_, Pod>) -> Vec<Key> {
    if change.new.is_some_and(|pod| is_pending(pod)) {
        let (old, new) = (change.old, change.new);
        // What we write into its status ourselves is no reason to look again.
        let same = old.zip(new).is_some_and(|(old, new)| old.spec == new.spec && old.labels() == new.labels());
        return if same { Vec::new() } else { vec![change.key.clone()] };
    }
    let occupies = |pod: Option<&Arc<Pod>>| {
        pod.is_some_and(|pod| !pod_facts::node(pod).is_empty() && !pod_facts::is_finished(pod))
    };
    let labels = |pod: Option<&Arc<Pod>>| pod.map(|pod| pod.labels().clone());
    let made_room = occupies(change.old) && !occupies(change.new);
    // Constraints on how pods spread can be met by more pods elsewhere, too.
    let spread = occupies(change.new) && (!occupies(change.old) || labels(change.old) != labels(change.new));
    if made_room || spread { waiting.all() } else { Vec::new() }
}

/// Whether it is ours to find a node for.
fn is_pending(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    pod_facts::node(pod).is_empty()
        && pod_facts::is_active(pod)
        && spec.scheduler_name.as_deref().unwrap_or(NAME) == NAME
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}

/// Whether a change of a node can make a difference to a pod that waits. Heartbeats do not.
fn matters(change: &Change<'_, Node>) -> bool {
    let (Some(old), Some(new)) = (change.old, change.new) else { return change.new.is_some() };
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    old.spec != new.spec || old.labels() != new.labels() || allocatable(old) != allocatable(new)
}

struct Scheduler {
    caches: Caches,
    recorder: Recorder,
    waiting: Arc<Waiting>,
    /// Pods that were bound, as they will be, until the cache shows them so.
    assumed: Mutex<HashMap<Key, Arc<Pod>>>,
}

impl Reconcile for Scheduler {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let pod = self.caches.pods.get(key).filter(|pod| is_pending(pod));
        let Some(pod) = pod.filter(|pod| !self.is_assumed(key, pod)) else {
            self.waiting.set(key, false);
            return Ok(Next::Wait);
        };
        match decide(&self.snapshot(), &pod) {
            Decision::Bind { node } => {
                self.waiting.set(key, false);
                self.bind(key, &pod, &node, apply).await?;
                Ok(Next::Wait)
            }
            Decision::Wait { message } => {
                self.waiting.set(key, true);
                self.recorder.about(&*pod, Severity::Warning, "FailedScheduling", message.clone());
                apply.all(unschedulable(&pod, &message, Timestamp::now()).as_slice()).await?;
                Ok(Next::After(FLUSH))
            }
        }
    }
}

impl Scheduler {
    /// The cluster as the caches show it, with what was bound meanwhile.
    fn snapshot(&self) -> Snapshot {
        let mut assumed = lock(&self.assumed);
        self.caches.pods.with(|pods| {
            assumed.retain(|key, pod| {
                pods.get(key).is_some_and(|cached| cached.uid() == pod.uid() && pod_facts::node(cached).is_empty())
            });
            let cached = pods.iter().filter(|(key, _)| !assumed.contains_key(*key)).map(|(_, pod)| pod.clone());
            let bound = assumed.values().cloned();
            Snapshot::new(self.caches.nodes.list(), cached.chain(bound))
        })
    }

    fn is_assumed(&self, key: &Key, pod: &Pod) -> bool {
        lock(&self.assumed).get(key).is_some_and(|assumed| assumed.uid() == pod.uid())
    }

    async fn bind(&self, key: &Key, pod: &Arc<Pod>, node: &str, apply: &Apply) -> Result<(), WriteError> {
        let mut bound = (**pod).clone();
        bound.spec.get_or_insert_default().node_name = Some(node.to_owned());
        lock(&self.assumed).insert(key.clone(), Arc::new(bound));
        if let Err(error) = apply.one(&binding(key, pod, node)).await {
            lock(&self.assumed).remove(key);
            return match error {
                // Deleted meanwhile: nothing left to bind.
                WriteError::NotFound(_) => Ok(()),
                error => {
                    let message = format!("binding rejected: {}", error.message());
                    self.recorder.about(&**pod, Severity::Warning, "FailedScheduling", message);
                    Err(error)
                }
            };
        }
        info!(pod = %key, node, "bound");
        let message = format!("Successfully assigned {key} to {node}");
        self.recorder.about(&**pod, Severity::Normal, "Scheduled", message);
        Ok(())
    }
}

fn binding(key: &Key, pod: &Pod, node: &str) -> Write {
    Write::Post {
        kind: row::<Pod>(),
        key: key.clone(),
        part: Subresource::Binding,
        body: json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": { "name": key.name, "namespace": key.namespace, "uid": pod.uid() },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        }),
    }
}

/// Writes into the status why a pod waits, if that is news.
fn unschedulable(pod: &Pod, message: &str, now: Timestamp) -> Option<Write> {
    let old = pod_facts::condition(pod, "PodScheduled");
    if old.is_some_and(|old| old.status == "False" && old.message.as_deref() == Some(message)) {
        return None;
    }
    let since = old.filter(|old| old.status == "False").and_then(|old| old.last_transition_time.clone());
    let mut pod = pod.clone();
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "PodScheduled");
    conditions.push(PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.or(Some(Time(now))),
        ..PodCondition::default()
    });
    Some(Write::replace(row::<Pod>(), Some(Subresource::Status), &pod))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
