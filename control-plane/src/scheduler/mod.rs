//! Finds a node for every pod that has none.
//!
//! In: pods and nodes, from caches shared with the controllers. Out: bindings, a `PodScheduled`
//! condition that says why a pod has to wait, events. Which node it shall be is decided in
//! [`decide`], a pure function of a snapshot; here the decision is carried out. What is known of
//! the cluster and of the pods that wait is on the [`board`]. Never preempts. Follows the default
//! profile of upstream's kube-scheduler.

pub(crate) mod affinity;
mod board;
mod cluster;
mod decide;
mod filter;
mod neighbours;
mod pod_info;
mod resources;
mod score;
mod snapshot;
mod spread;
mod waiting;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Client, ResourceExt};
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    controllers::{
        caches::{Caches, row},
        pod_facts,
    },
    metrics::scheduling::{self, Attempt},
};

use board::{Board, Turn};
use decide::{Decision, decide};
use pod_info::PodInfo;
use waiting::{FLUSH, LONGEST_PAUSE};

/// The scheduler that pods ask for when they ask for none.
const NAME: &str = "default-scheduler";

/// Runs the scheduler until `shutdown`.
pub async fn run(client: Client, caches: Caches, shutdown: CancellationToken) {
    let board = Arc::new(Board::default());
    let (for_pods, for_nodes, for_namespaces, unheard) = (board.clone(), board.clone(), board.clone(), board.clone());
    let controller = Controller::new("scheduler", Hands::new(client.clone()))
        .on_change(&caches.namespaces, move |change| for_namespaces.namespace_changed(change))
        .on_change(&caches.nodes, move |change| for_nodes.node_changed(change))
        .on_change(&caches.pods, move |change| for_pods.pod_changed(change))
        .resync(LONGEST_PAUSE, move || unheard.unheard());
    let recorder = Recorder::new(client, NAME, "");
    // One at a time: each decision counts on the ones before it.
    controller.run(1, Scheduler { caches, recorder, board }, shutdown).await;
}

/// Whether it is ours to find a node for.
fn is_pending(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    pod_facts::node(pod).is_empty()
        && pod_facts::is_active(pod)
        && spec.scheduler_name.as_deref().unwrap_or(NAME) == NAME
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}

struct Scheduler {
    caches: Caches,
    recorder: Recorder,
    board: Arc<Board>,
}

impl Reconcile for Scheduler {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let pod = self.caches.pods.get(key).filter(|pod| is_pending(pod));
        let Some(pod) = pod.filter(|pod| !self.board.is_assumed(key, pod)) else {
            self.board.settle(key);
            return Ok(Next::Wait);
        };
        let info = Arc::new(PodInfo::new(pod.clone()));
        let since = Instant::now();
        let snapshot = match self.board.turn(&info, since) {
            Turn::Later(left) => return Ok(Next::After(left)),
            Turn::Now(snapshot) => snapshot,
        };
        let decision = decide(&snapshot, &info);
        scheduling::decided(since.elapsed());
        match decision {
            Decision::Bind { node } => {
                self.board.settle(key);
                let bound = self.bind(key, &pod, &node, apply).await;
                let attempt = if bound.is_ok() { Attempt::Scheduled } else { Attempt::Error };
                scheduling::attempted(attempt, since.elapsed());
                bound.map(|()| Next::Wait)
            }
            Decision::Wait { message, causes } => {
                if self.board.fail(key, causes, &message, Instant::now()) {
                    self.recorder.about(&*pod, Severity::Warning, "FailedScheduling", message.clone());
                }
                scheduling::attempted(Attempt::Unschedulable, since.elapsed());
                apply.all(unschedulable(&pod, &message, Timestamp::now()).as_slice()).await?;
                Ok(Next::After(FLUSH))
            }
        }
    }
}

impl Scheduler {
    async fn bind(&self, key: &Key, pod: &Arc<Pod>, node: &str, apply: &Apply) -> Result<(), WriteError> {
        self.board.assume(pod, node);
        if let Err(error) = apply.one(&binding(key, pod, node)).await {
            self.board.forget(key, pod);
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

#[cfg(test)]
mod tests;
