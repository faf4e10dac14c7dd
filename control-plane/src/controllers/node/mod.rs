//! Gives nodes their pod addresses, notices when they fall silent, and clears away their pods.
//!
//! In: Nodes, their Leases and Pods, from caches; the time. Out: `.spec.podCIDR`; conditions
//! `Unknown` and taints for nodes that do not report; deletion of pods that do not tolerate a
//! taint. Decided in [`cidr`], [`health`], [`taints`] and [`eviction`]; carried out here. Follows
//! upstream's `pkg/controller/nodelifecycle`, `tainteviction` and `nodeipam`.

mod cidr;
pub(crate) mod eviction;
mod health;
mod taints;

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, ObjectReference, Pod},
};
use kube::ResourceExt;
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Informer,
    recorder::{Recorder, Severity},
    write::{Hands, Write, WriteError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    caches::{Caches, row},
    pod_facts,
};

/// How long a node may be silent. Upstream's `--node-monitor-grace-period`.
pub const GRACE: Duration = Duration::from_secs(40);
/// How often nodes are looked at, besides when something changes.
const PERIOD: Duration = Duration::from_secs(5);

/// Runs the controllers until `shutdown`. `pod_cidr` is the cluster's range: address and prefix
/// length.
pub async fn run(
    hands: Hands,
    caches: Caches,
    recorder: Recorder,
    pod_cidr: (Ipv4Addr, u8),
    shutdown: CancellationToken,
) {
    // All nodes are one key: who decides alone cannot give the same range away twice.
    let ranges = Controller::new("pod-cidr", hands.clone()).on(&caches.nodes, |_: &Node| vec![Key::new("", "nodes")]);
    let ranges = ranges.run(1, Ranges { caches: caches.clone(), pod_cidr }, shutdown.clone());
    // What an informer's handlers hold lives as long as the informer: never the informer itself.
    let (all, of_pods) = (caches.nodes.clone(), caches.nodes.clone());
    let nodes = Controller::new("node", hands)
        .on(&caches.nodes, |node: &Node| vec![Key::new("", node.name_any())])
        .on(&caches.node_leases, |lease: &Lease| vec![Key::new("", lease.name_any())])
        .on(&caches.pods, move |pod: &Pod| driven_from(&of_pods, pod).into_iter().collect())
        .resync(PERIOD, move || all.with(|nodes| nodes.keys().cloned().collect()));
    let nodes = nodes.run(2, Nodes { caches, recorder, pulses: Mutex::default() }, shutdown);
    tokio::join!(ranges, nodes);
}

/// The node of a pod, if the pod may have to go from there: nearly all changes of pods concern
/// no node.
fn driven_from(nodes: &Informer<Node>, pod: &Pod) -> Option<Key> {
    let key = Key::new("", Some(pod_facts::node(pod)).filter(|node| !node.is_empty())?);
    nodes.get(&key).is_some_and(|node| eviction::evicts(&node)).then_some(key)
}

struct Ranges {
    caches: Caches,
    pod_cidr: (Ipv4Addr, u8),
}

impl Reconcile for Ranges {
    async fn reconcile(&self, _: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let nodes = self.caches.nodes.list();
        apply.all(&cidr::plan(self.pod_cidr, &nodes)).await?;
        Ok(Next::Wait)
    }
}

/// The last sign of life of a node, and when it was noticed by our own clock: clocks of nodes are
/// not to be trusted.
struct Pulse {
    sign: health::Sign,
    at: Instant,
}

struct Nodes {
    caches: Caches,
    recorder: Recorder,
    pulses: Mutex<HashMap<String, Pulse>>,
}

impl Reconcile for Nodes {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(node) = self.caches.nodes.get(key) else {
            lock(&self.pulses).remove(&key.name);
            return Ok(Next::Wait);
        };
        let pods = self
            .caches
            .pods
            .with(|pods| pods.values().filter(|pod| pod_facts::node(pod) == key.name).cloned().collect::<Vec<_>>());
        let now = Timestamp::now();
        let silent_for = self.silent_for(&node);
        if let Some(changed) = health::mark(&node, silent_for, now) {
            self.tell(&node, "NodeNotReady", format!("Node {} status is now: NodeNotReady", key.name));
            apply.one(&Write::replace(row::<Node>(), Some(Subresource::Status), &changed)).await?;
        }
        if health::is_silent(silent_for) {
            apply.all(&health::mark_pods(&pods, now)).await?;
        }
        apply.all(taints::plan(&node, now).as_slice()).await?;
        let evictions = eviction::plan(&node, &pods, now);
        for write in &evictions.writes {
            if let Write::Delete { key, .. } = write {
                self.tell_eviction(&pods, key);
            }
            apply.one(write).await?;
        }
        let until_silent = GRACE.checked_sub(silent_for);
        Ok(Next::after(until_silent.into_iter().chain(evictions.recheck).min()))
    }
}

impl Nodes {
    fn silent_for(&self, node: &Node) -> Duration {
        let name = node.name_any();
        let lease = self.caches.node_leases.get(&Key::new(super::caches::LEASE_NAMESPACE, &name));
        let sign = health::sign(node, lease.as_deref());
        let mut pulses = lock(&self.pulses);
        let pulse = pulses.entry(name).or_insert_with(|| Pulse { sign, at: Instant::now() });
        if health::is_life(pulse.sign, sign) {
            *pulse = Pulse { sign, at: Instant::now() };
        }
        pulse.at.elapsed()
    }

    /// Events about nodes name the node as uid: kubectl looks for them so.
    fn tell(&self, node: &Node, reason: &str, message: String) {
        let name = node.name_any();
        let object = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            uid: Some(name.clone()),
            name: Some(name),
            ..ObjectReference::default()
        };
        self.recorder.event(object, Severity::Normal, reason, message);
    }

    fn tell_eviction(&self, pods: &[Arc<Pod>], key: &Key) {
        if let Some(pod) = pods.iter().find(|pod| Key::of_meta(&pod.metadata) == *key) {
            let message = format!("Marking for deletion Pod {key}");
            self.recorder.about(&**pod, Severity::Normal, "TaintManagerEviction", message);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
