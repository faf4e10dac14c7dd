//! Runs a pod of each DaemonSet on every node that it names.
//!
//! In: a DaemonSet, all nodes, and the pods and revisions of its namespace, from caches. Out:
//! adopted and released objects, the history of its template, one pod per node, replaced at the
//! pace that it asks for, `.status`, events. What to do is decided in [`plan`]; here it is carried
//! out.

mod backoff;
mod history;
mod nodes;
mod plan;
mod rolling;
mod status;

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet, DaemonSetStatus},
    core::v1::{Node, Pod},
};
use kube::Resource;
use nodeplane_api::{
    kinds::Subresource,
    meta::{self, Key},
};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::{Informer, Object},
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::backoff::Backoff;
use super::{
    caches::{Caches, row},
    ownership, pod_control,
};

pub use plan::{Facts, Plan, plan};

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, recorder: Recorder, shutdown: CancellationToken) {
    let (of_pods, of_revisions, of_nodes) =
        (caches.daemon_sets.clone(), caches.daemon_sets.clone(), caches.daemon_sets.clone());
    let controller = Controller::new("daemonset", hands)
        .on(&caches.daemon_sets, |set: &DaemonSet| vec![Key::of_meta(&set.metadata)])
        .on(&caches.pods, move |pod: &Pod| sets_of(&of_pods, pod))
        .on(&caches.controller_revisions, move |revision: &ControllerRevision| sets_of(&of_revisions, revision))
        .on_change(&caches.nodes, move |change| match (change.old, change.new) {
            // Agents tell often that they are well; that moves no pods.
            (Some(old), Some(new)) if nodes::says_the_same(old, new) => Vec::new(),
            _ => of_nodes.with(|sets| sets.keys().cloned().collect()),
        });
    let backoff = Mutex::default();
    controller.run(4, DaemonSets { caches, recorder, backoff }, shutdown).await;
}

/// The set that controls an object; for one that nobody controls, the sets that may adopt it.
fn sets_of<K: Resource<DynamicType = ()>>(sets: &Informer<DaemonSet>, object: &K) -> Vec<Key> {
    let object = object.meta();
    if ownership::controller_of(object).is_some() {
        return ownership::controller_key::<DaemonSet>(object).into_iter().collect();
    }
    sets.with(|sets| {
        let here = sets.values().filter(|set| set.metadata.namespace == object.namespace);
        let selecting = here.filter(|set| {
            ownership::selector(&set.spec.clone().unwrap_or_default().selector)
                .is_some_and(|selector| ownership::selects(&selector, object))
        });
        selecting.map(|set| Key::of_meta(&set.metadata)).collect()
    })
}

struct DaemonSets {
    caches: Caches,
    recorder: Recorder,
    backoff: Mutex<Backoff>,
}

impl Reconcile for DaemonSets {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(set) = self.caches.daemon_sets.get(key) else { return Ok(Next::Wait) };
        let nodes: Vec<Arc<Node>> = self.caches.nodes.with(|nodes| nodes.values().cloned().collect());
        let pods = in_namespace(&self.caches.pods, key);
        let revisions = in_namespace(&self.caches.controller_revisions, key);
        let now = Timestamp::now();
        let plan = {
            let backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
            plan(&Facts { set: &set, nodes: &nodes, pods: &pods, revisions: &revisions, backoff: &backoff, now })
        };
        if plan.adopts {
            pod_control::confirm_alive(apply, key, &*set).await?;
        }
        apply.all(&plan.claims).await?;
        if let Some(write) = &plan.revision {
            self.note_revision(&set, write, apply).await?;
        }
        self.tell_endings(&set, &plan, now);
        let managed =
            apply.in_batches(&plan.pods, |write, answer| pod_control::tell(&self.recorder, &*set, write, answer)).await;
        if let Some(status) = plan.status.filter(|status| set.status.as_ref() != Some(status)) {
            apply.one(&status_write(&set, status)).await?;
        }
        managed.map_err(|(error, _)| error)?;
        apply.all(&plan.cleanup).await?;
        Ok(Next::after(plan.recheck))
    }
}

impl DaemonSets {
    /// Writes the revision of the present template. When there is one of that name it is either
    /// ours, made in a moment that the cache does not show, or another template has the same hash:
    /// then the next hash counts the collision in.
    async fn note_revision(&self, set: &DaemonSet, write: &Write, apply: &Apply) -> Result<(), WriteError> {
        let (message, object, namespace) = match (apply.one(write).await, write) {
            (Err(WriteError::AlreadyExists(message)), Write::Create { object, namespace, .. }) => {
                (message, object, namespace)
            }
            (answer, _) => return answer.map(drop),
        };
        let key = Key::new(namespace, meta::name(object));
        let live = apply.hands().get(row::<ControllerRevision>(), &key).await?;
        if live.is_some_and(|live| live["data"] != object["data"]) {
            info!(revision = %key, "another template has the same hash; trying the next one");
            let mut status = set.status.clone().unwrap_or_default();
            status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
            apply.one(&status_write(set, status)).await?;
        }
        Err(WriteError::AlreadyExists(message))
    }

    /// Says which pods ended that should go on, and remembers where, so that what fails at once
    /// is not tried again at once.
    fn tell_endings(&self, set: &DaemonSet, plan: &Plan, now: Timestamp) {
        for (node, pod) in &plan.failed {
            let message = format!("Found failed daemon pod {pod} on node {node}, will try to kill it");
            self.recorder.about(set, Severity::Warning, "FailedDaemonPod", message);
            let mut backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
            backoff.failed(set, node, now);
        }
        for (node, pod) in &plan.succeeded {
            let message = format!("Found succeeded daemon pod {pod} on node {node}, will try to delete it");
            self.recorder.about(set, Severity::Normal, "SucceededDaemonPod", message);
        }
    }
}

fn in_namespace<K: Object>(informer: &Informer<K>, set: &Key) -> Vec<Arc<K>> {
    informer.with(|objects| {
        objects.iter().filter(|(key, _)| key.namespace == set.namespace).map(|(_, object)| object.clone()).collect()
    })
}

fn status_write(set: &DaemonSet, status: DaemonSetStatus) -> Write {
    let changed = DaemonSet { status: Some(status), ..set.clone() };
    Write::replace(row::<DaemonSet>(), Some(Subresource::Status), &changed)
}

#[cfg(test)]
mod tests;
