//! Removes pods that nobody else will: those that have ended, when there are too many of them,
//! and those whose node cannot let them go.
//!
//! In: Pods and Nodes, from caches; the time. Out: such pods marked failed, unless they have ended,
//! and deleted without grace. A node counts as gone only when it has been missing for a while and
//! the server itself says so. Which pods is decided in [`plan`]; never touches a pod that runs on
//! a node that exists. Behaviour of upstream's `pkg/controller/podgc`.

mod plan;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use nodeplane_api::meta::Key;
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    write::{Hands, WriteError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::caches::{Caches, row};

/// How many pods that have ended are kept. Upstream's `--terminated-pod-gc-threshold`.
const THRESHOLD: usize = 12_500;
/// How often all pods are looked at.
const PERIOD: Duration = Duration::from_secs(20);
/// How long pods of a node that is gone are left alone, in case it comes back.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, caches: Caches, shutdown: CancellationToken) {
    // All pods are one key: which are too many is a question to all of them.
    let all = || Key::new("", "pods");
    let controller = Controller::new("pod-garbage", hands)
        .reads(&caches.pods)
        .on_change(&caches.nodes, move |change| change.new.is_none().then(all).into_iter().collect())
        .resync(PERIOD, move || vec![all()]);
    controller.run(1, Pods { caches, quarantine: Quarantine::default() }, shutdown).await;
}

struct Pods {
    caches: Caches,
    quarantine: Quarantine,
}

impl Reconcile for Pods {
    async fn reconcile(&self, _: &Key, apply: &Apply) -> Result<Next, WriteError> {
        // Nodes after pods: none is missing only because it is newer than its pods.
        let (pods, nodes) = (self.caches.pods.list(), self.caches.nodes.list());
        let (due, recheck) = self.quarantine.look(plan::missing(&pods, &nodes), Instant::now());
        let mut gone = BTreeSet::new();
        for node in due {
            if apply.hands().get(row::<Node>(), &Key::new("", &node)).await?.is_none() {
                gone.insert(node);
            }
        }
        let mut failure = None;
        for removal in plan::plan(&pods, &nodes, &gone, THRESHOLD) {
            info!(pod = %Key::of(&*removal.pod), why = ?removal.why, "pod is removed");
            // One that cannot be removed does not keep the others.
            if let Err(error) = apply.all(&removal.writes(Timestamp::now())).await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(Next::after(recheck)), Err)
    }
}

/// Nodes that have pods but do not exist, and since when.
#[derive(Default)]
struct Quarantine(Mutex<HashMap<String, Instant>>);

impl Quarantine {
    /// Takes in the nodes that are missing now. Returns those that have been for long enough, and
    /// when the next one will have been.
    fn look(&self, missing: BTreeSet<String>, now: Instant) -> (Vec<String>, Option<Duration>) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|node, _| missing.contains(node));
        let mut due = Vec::new();
        let mut next = None;
        for node in missing {
            let left = QUARANTINE.saturating_sub(now - *since.entry(node.clone()).or_insert(now));
            match left.is_zero() {
                true => due.push(node),
                false => next = Some(next.map_or(left, |next: Duration| next.min(left))),
            }
        }
        (due, next)
    }
}

#[cfg(test)]
mod tests;
