//! Replaces a Deployment's pods by new ones at the pace that it asks for.
//!
//! In: a Deployment, the ReplicaSets of its namespace and, for `Recreate`, their pods, from
//! caches. Out: one ReplicaSet per template, scaled; the revision; `.status`; events. What to do
//! is decided in [`plan`]; here it is carried out.

mod model;
mod plan;
mod progress;
pub(in crate::controllers) mod revision;
mod rolling;
mod scale;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus, ReplicaSet},
    core::v1::Pod,
};
use nodeplane_api::{
    kinds::Subresource,
    meta::{self, Key},
};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Informer,
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    caches::{Caches, row},
    ownership, pod_control,
};

pub use model::Facts;
pub use plan::{Plan, plan};

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, recorder: Recorder, shutdown: CancellationToken) {
    // What an informer's handlers hold lives as long as the informer: never the informer itself.
    let of_sets = caches.deployments.clone();
    let of_pods = (caches.replica_sets.clone(), caches.deployments.clone());
    let controller = Controller::new("deployment", hands)
        .on(&caches.deployments, |deployment: &Deployment| vec![Key::of_meta(&deployment.metadata)])
        .on(&caches.replica_sets, move |set: &ReplicaSet| deployments_of(&of_sets, set))
        .on(&caches.pods, move |pod: &Pod| recreated_by(&of_pods.0, &of_pods.1, pod).into_iter().collect());
    controller.run(4, Deployments { caches, recorder }, shutdown).await;
}

/// The deployment that controls a set; for a set that nobody controls, those that may adopt it.
fn deployments_of(deployments: &Informer<Deployment>, set: &ReplicaSet) -> Vec<Key> {
    if ownership::controller_of(&set.metadata).is_some() {
        return ownership::controller_key::<Deployment>(&set.metadata).into_iter().collect();
    }
    deployments.with(|deployments| {
        let here = deployments.values().filter(|deployment| deployment.metadata.namespace == set.metadata.namespace);
        let selecting = here.filter(|deployment| {
            ownership::selector(&deployment.spec.clone().unwrap_or_default().selector)
                .is_some_and(|selector| ownership::selects(&selector, &set.metadata))
        });
        selecting.map(|deployment| Key::of_meta(&deployment.metadata)).collect()
    })
}

/// The deployment that waits for this pod to be gone before it makes new ones.
fn recreated_by(sets: &Informer<ReplicaSet>, deployments: &Informer<Deployment>, pod: &Pod) -> Option<Key> {
    let set = sets.get(&ownership::controller_key::<ReplicaSet>(&pod.metadata)?)?;
    let key = ownership::controller_key::<Deployment>(&set.metadata)?;
    let deployment = deployments.get(&key)?;
    model::recreates(deployment.spec.as_ref()?).then_some(key)
}

struct Deployments {
    caches: Caches,
    recorder: Recorder,
}

impl Reconcile for Deployments {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(deployment) = self.caches.deployments.get(key) else { return Ok(Next::Wait) };
        let sets = self.caches.replica_sets.with(|sets| {
            sets.values().filter(|set| set.metadata.namespace.as_deref() == Some(&key.namespace)).cloned().collect()
        });
        let pods = self.pods_of(&deployment, key);
        let plan = plan(&Facts { deployment: &deployment, sets, pods: &pods, now: Timestamp::now() });
        if plan.adopts {
            pod_control::confirm_alive(apply, key, &*deployment).await?;
        }
        apply.all(&plan.claims).await?;
        if let Some(write) = &plan.creation {
            self.create(&deployment, write, &plan, apply).await?;
        }
        apply.all(&plan.writes).await?;
        for (reason, message) in &plan.events {
            self.recorder.about(&*deployment, Severity::Normal, *reason, message.clone());
        }
        if let Some(status) = &plan.status {
            apply.one(&status_write(&deployment, status.clone())).await?;
        }
        apply.all(plan.revision.as_slice()).await?;
        apply.all(&plan.cleanup).await?;
        Ok(Next::after(plan.recheck))
    }
}

impl Deployments {
    /// The pods of a deployment that recreates them; others do not look at pods.
    fn pods_of(&self, deployment: &Deployment, key: &Key) -> Vec<Arc<Pod>> {
        if !deployment.spec.as_ref().is_some_and(model::recreates) {
            return Vec::new();
        }
        self.caches.pods.with(|pods| {
            pods.iter().filter(|(pod, _)| pod.namespace == key.namespace).map(|(_, pod)| pod.clone()).collect()
        })
    }

    /// Creates the new set. When there is one of that name it is either ours, made in a moment
    /// that the cache does not show, or another template has the same hash: then the next hash
    /// counts the collision in.
    async fn create(
        &self,
        deployment: &Deployment,
        write: &Write,
        plan: &Plan,
        apply: &Apply,
    ) -> Result<(), WriteError> {
        let Write::Create { object, namespace, .. } = write else { return Ok(()) };
        match apply.one(write).await {
            Ok(_) => Ok(()),
            Err(WriteError::AlreadyExists(message)) => {
                let key = Key::new(namespace, meta::name(object));
                let live = apply.hands().get(row::<ReplicaSet>(), &key).await?;
                let live = live.and_then(|live| serde_json::from_value::<ReplicaSet>(live).ok());
                if live.is_none_or(|live| revision::is_set_of(deployment, &live)) {
                    return Err(WriteError::AlreadyExists(message));
                }
                info!(set = %key, "another template has the same hash; trying the next one");
                let mut status = deployment.status.clone().unwrap_or_default();
                status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
                apply.one(&status_write(deployment, status)).await?;
                Err(WriteError::AlreadyExists(message))
            }
            Err(error @ WriteError::Refused { .. }) => {
                if let Some(status) = progress::failed_to_create(deployment, meta::name(object), &error.message(), plan)
                {
                    apply.one(&status_write(deployment, status)).await?;
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

fn status_write(deployment: &Deployment, status: DeploymentStatus) -> Write {
    let changed = Deployment { status: Some(status), ..deployment.clone() };
    Write::replace(row::<Deployment>(), Some(Subresource::Status), &changed)
}

#[cfg(test)]
mod tests;
