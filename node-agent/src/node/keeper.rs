//! Keeps the Node object at what the machine is.
//!
//! One look does it all, at the start and later: no Node, it is registered; another status than there should be, it is
//! written. So it does not matter who changed what: a server that took the node for dead is told that it lives.

use std::{
    collections::BTreeMap,
    future::pending,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, NodeCondition, NodeStatus},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use nodeplane_api::{meta::Key, quantity};
use nodeplane_client::informer::Informer;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Identity,
    facts::{Facts, Pressure},
    health::Health,
    object::{self, Reading},
};
use crate::net::cidr::Cidr;

/// How often the machine is looked at (the kubelet's `nodeStatusUpdateFrequency`).
const PERIOD: Duration = Duration::from_secs(10);
/// A status without news is written so often all the same (`nodeStatusReportFrequency`).
const REPORT_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// The pause after a write, which makes one of several changes.
const REST: Duration = Duration::from_millis(100);

/// For so long a node that was ready before the agent started is not called unready because a part has not started.
const EARLY: Duration = Duration::from_secs(10);

/// Keeps one node.
pub struct Keeper {
    identity: Identity,
    facts: Facts,
    /// Where pods' files go.
    folder: PathBuf,
    health: Health,
    api: Api<Node>,
    informer: Arc<Informer<Node>>,
    runtime: Mutex<String>,
    started: Instant,
}

/// The range of pod addresses that the server has given a node.
pub fn pod_range(node: &Node) -> Option<&str> {
    node.spec.as_ref()?.pod_cidr.as_deref().filter(|range| !range.is_empty())
}

impl Keeper {
    /// A keeper of a node whose pods' files lie in `folder`. `informer` reflects that node.
    pub fn new(
        identity: Identity,
        folder: PathBuf,
        health: Health,
        client: &Client,
        informer: Arc<Informer<Node>>,
    ) -> Self {
        let (facts, api) = (Facts::read(&folder), Api::all(client.clone()));
        Self { identity, facts, folder, health, api, informer, runtime: Mutex::default(), started: Instant::now() }
    }

    /// What the machine is.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Which runtime there is.
    pub fn set_runtime(&self, version: &str) {
        version.clone_into(&mut self.runtime.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The Node as the server has it.
    pub fn node(&self) -> Option<Arc<Node>> {
        self.informer.get(&Key::new("", self.identity.name.as_str()))
    }

    /// Waits for the range of pod addresses that the server gives this node.
    ///
    /// # Errors
    /// It is none; then the server's text.
    pub async fn range(&self) -> Result<Cidr, String> {
        let mut changes = self.informer.generation();
        loop {
            changes.borrow_and_update();
            if let Some(range) = self.node().as_deref().and_then(pod_range) {
                return range.parse().map_err(|_| range.to_owned());
            }
            if changes.changed().await.is_err() {
                // The informer lives as long as we do.
                pending::<()>().await;
            }
        }
    }

    /// Keeps the node until `stop`. `known_range` is asked for the range of pod addresses that is in use, for the case
    /// that somebody has deleted the Node.
    pub async fn run(&self, known_range: impl Fn() -> Option<String>, stop: &CancellationToken) {
        let keep = async {
            self.informer.ready().await;
            let (mut health, mut changes) = (self.health.watch(), self.informer.generation());
            loop {
                health.borrow_and_update();
                changes.borrow_and_update();
                let pause = match self.look(known_range()).await {
                    Ok(()) => PERIOD,
                    Err(error) => {
                        warn!(%error, "cannot tell the API server how this node does; trying again");
                        // Not sooner, whatever changes meanwhile.
                        sleep(RETRY).await;
                        Duration::ZERO
                    }
                };
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = health.changed() => {}
                    _ = changes.changed() => {}
                }
            }
        };
        let _: Option<()> = stop.run_until_cancelled(keep).await;
    }

    /// Writes what is not as it should be.
    async fn look(&self, known_range: Option<String>) -> kube::Result<()> {
        let Some(node) = self.node() else { return self.register(known_range).await };
        self.label(&node).await?;
        if self.health.watch().borrow().is_early() && self.started.elapsed() < EARLY {
            return Ok(());
        }
        let before = node.status.clone().unwrap_or_default();
        let now = Timestamp::now();
        let wanted = self.status(before.conditions.as_deref().unwrap_or_default(), now);
        if !is_news(&before, &wanted) && !is_due(&before, now) {
            return Ok(());
        }
        let patch = Patch::Strategic(json!({ "status": wanted }));
        self.api.patch_status(&self.identity.name, &PatchParams::default(), &patch).await?;
        sleep(REST).await;
        Ok(())
    }

    async fn register(&self, known_range: Option<String>) -> kube::Result<()> {
        let status = self.status(&[], Timestamp::now());
        let node = object::node(&self.identity, &self.facts, status, known_range);
        match self.api.create(&PostParams::default(), &node).await {
            Ok(_) => info!(node = self.identity.name, "node registered"),
            // The cache is behind; it will come by.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Labels of the machine that are missing or wrong; others' labels stay.
    async fn label(&self, node: &Node) -> kube::Result<()> {
        let wanted = object::labels(&self.identity, &self.facts);
        let known = node.metadata.labels.as_ref();
        if wanted.iter().all(|(label, value)| known.and_then(|known| known.get(label)) == Some(value)) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({ "metadata": { "labels": wanted } }));
        self.api.patch(&self.identity.name, &PatchParams::default(), &patch).await.map(drop)
    }

    fn status(&self, before: &[NodeCondition], now: Timestamp) -> NodeStatus {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let report = self.health.watch().borrow().clone();
        let pressure = Pressure::read(&self.folder);
        let reading = Reading { facts: &self.facts, pressure, runtime: &runtime, report: &report };
        object::status(&self.identity, &reading, before, now)
    }
}

/// Whether the server's status differs from what it should be, in something else than times. What others have added is
/// no difference.
fn is_news(before: &NodeStatus, wanted: &NodeStatus) -> bool {
    let told = |wanted: &NodeCondition| {
        before.conditions.iter().flatten().any(|known| {
            (&known.type_, &known.status, &known.reason, &known.message)
                == (&wanted.type_, &wanted.status, &wanted.reason, &wanted.message)
        })
    };
    !wanted.conditions.iter().flatten().all(told)
        || !same_amounts(before.capacity.as_ref(), wanted.capacity.as_ref())
        || !same_amounts(before.allocatable.as_ref(), wanted.allocatable.as_ref())
        || before.addresses != wanted.addresses
        || before.node_info != wanted.node_info
        || before.daemon_endpoints != wanted.daemon_endpoints
}

type Amounts = BTreeMap<String, Quantity>;

/// Servers write amounts in other units than we do.
fn same_amounts(known: Option<&Amounts>, wanted: Option<&Amounts>) -> bool {
    let exact = |amounts: Option<&Amounts>| -> BTreeMap<String, Option<quantity::Quantity>> {
        amounts.into_iter().flatten().map(|(name, amount)| (name.clone(), amount.0.parse().ok())).collect()
    };
    exact(known) == exact(wanted)
}

fn is_due(before: &NodeStatus, now: Timestamp) -> bool {
    let beats = before.conditions.iter().flatten().filter_map(|condition| condition.last_heartbeat_time.as_ref());
    let last = beats.map(|beat| beat.0).max();
    last.is_none_or(|last| now.duration_since(last) >= REPORT_EVERY)
}
