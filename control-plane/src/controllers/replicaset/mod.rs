//! Keeps the number of pods that a ReplicaSet asks for.
//!
//! In: a ReplicaSet and the pods of its namespace, from caches. Out: adopted and released pods,
//! pods created from the template, pods deleted in a sensible order, `.status`, events. What to do
//! is decided in [`plan`]; here it is carried out.

mod plan;
mod rank;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ReplicaSet, ReplicaSetStatus},
    core::v1::Pod,
};
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Informer,
    recorder::Recorder,
    write::{Hands, Write, WriteError},
};
use tokio_util::sync::CancellationToken;

use super::{
    caches::{Caches, row},
    ownership, pod_control,
};

pub use plan::{Facts, Plan, plan, status};

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, recorder: Recorder, shutdown: CancellationToken) {
    let sets = caches.replica_sets.clone();
    let controller = Controller::new("replicaset", hands)
        .on(&caches.replica_sets, |set: &ReplicaSet| vec![Key::of_meta(&set.metadata)])
        .on(&caches.pods, move |pod: &Pod| sets_of(&sets, pod));
    controller.run(4, ReplicaSets { caches, recorder }, shutdown).await;
}

/// The set that controls a pod; for a pod that nobody controls, the sets that may adopt it.
fn sets_of(sets: &Informer<ReplicaSet>, pod: &Pod) -> Vec<Key> {
    if ownership::controller_of(&pod.metadata).is_some() {
        return ownership::controller_key::<ReplicaSet>(&pod.metadata).into_iter().collect();
    }
    sets.with(|sets| {
        let here = sets.values().filter(|set| set.metadata.namespace == pod.metadata.namespace);
        let selecting = here.filter(|set| {
            ownership::selector(&set.spec.clone().unwrap_or_default().selector)
                .is_some_and(|selector| ownership::selects(&selector, &pod.metadata))
        });
        selecting.map(|set| Key::of_meta(&set.metadata)).collect()
    })
}

struct ReplicaSets {
    caches: Caches,
    recorder: Recorder,
}

impl Reconcile for ReplicaSets {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(set) = self.caches.replica_sets.get(key) else { return Ok(Next::Wait) };
        let pods = self.pods_in(&key.namespace);
        let siblings = self.siblings(&set);
        let plan = plan(&Facts { set: &set, pods: &pods, siblings: &siblings, now: Timestamp::now() });
        if plan.adopts {
            pod_control::confirm_alive(apply, key, &*set).await?;
        }
        apply.all(&plan.claims).await?;
        let managed =
            apply.in_batches(&plan.pods, |write, answer| pod_control::tell(&self.recorder, &*set, write, answer)).await;
        let failure = managed.as_ref().err().map(|(error, _)| (plan.failure_reason(), error.message()));
        let status = plan.status(&set, failure, Timestamp::now());
        if set.status.as_ref() != Some(&status) {
            apply.one(&status_write(&set, status)).await?;
        }
        managed.map_err(|(error, _)| error)?;
        Ok(Next::after(plan.recheck))
    }
}

impl ReplicaSets {
    fn pods_in(&self, namespace: &str) -> Vec<Arc<Pod>> {
        self.caches.pods.with(|pods| {
            pods.iter().filter(|(key, _)| key.namespace == namespace).map(|(_, pod)| pod.clone()).collect()
        })
    }

    /// The uids of all sets that belong to the same controller as `set`.
    fn siblings(&self, set: &ReplicaSet) -> Vec<String> {
        let Some(owner) = ownership::controller_of(&set.metadata) else { return Vec::new() };
        self.caches.replica_sets.with(|sets| {
            let same = sets
                .values()
                .filter(|other| ownership::controller_of(&other.metadata).is_some_and(|other| other.uid == owner.uid));
            same.filter_map(|other| other.metadata.uid.clone()).collect()
        })
    }
}

fn status_write(set: &ReplicaSet, status: ReplicaSetStatus) -> Write {
    let changed = ReplicaSet { status: Some(status), ..set.clone() };
    Write::replace(row::<ReplicaSet>(), Some(Subresource::Status), &changed)
}
