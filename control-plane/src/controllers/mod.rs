//! Move the cluster toward what was asked: objects in, objects out.
//!
//! In: a client and a [`ControllerConfig`]. Every controller decides in pure code (`plan`) from
//! the one set of [`caches`], and writes through the one controller runtime of the client crate.
//! Nothing here knows how objects are stored or served: controllers are ordinary API clients.

pub mod caches;
pub mod certificates;
pub mod daemonset;
pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod events;
pub mod garbage;
pub mod inventory;
pub mod namespace;
pub mod node;
pub mod ownership;
pub mod pod_control;
pub mod pod_facts;
pub mod pod_gc;
pub mod quota;
pub mod replicaset;
#[cfg(test)]
pub(crate) mod world;

use std::{net::Ipv4Addr, sync::Arc};

use kube::Client;
use nodeplane_client::{recorder::Recorder, write::Hands};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use caches::Caches;
use inventory::Inventory;

use crate::pki::Signer;

/// Namespace and name of the Lease by which servers that share a store agree which of them runs
/// controllers and scheduler.
pub const LEADER: [&str; 2] = ["kube-system", "nodeplane-controllers"];

/// What the controllers must be told.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The cluster's CA in PEM, for the config map that every namespace gets.
    pub root_ca: String,
    /// The range that nodes get their pod addresses from: address and prefix length.
    pub pod_cidr: (Ipv4Addr, u8),
    /// What signs certificates that are asked for and approved; without it nobody does.
    pub signer: Option<Arc<Signer>>,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self { root_ca: String::new(), pod_cidr: (Ipv4Addr::new(10, 244, 0, 0), 16), signer: None }
    }
}

/// Runs all controllers until `shutdown`, with informers that others (the scheduler) share.
pub async fn run_with(client: Client, caches: Caches, config: ControllerConfig, shutdown: CancellationToken) {
    let hands = || Hands::new(client.clone());
    let recorder = |component: &str| Recorder::new(client.clone(), component, "");
    let mut running = JoinSet::new();
    let recorded = recorder("deployment-controller");
    running.spawn(deployment::run(hands(), caches.clone(), recorded, shutdown.clone()));
    let recorded = recorder("controllermanager");
    running.spawn(disruption::run(hands(), caches.clone(), recorded, shutdown.clone()));
    let recorded = recorder("replicaset-controller");
    running.spawn(replicaset::run(hands(), caches.clone(), recorded, shutdown.clone()));
    let recorded = recorder("daemonset-controller");
    running.spawn(daemonset::run(hands(), caches.clone(), recorded, shutdown.clone()));
    let recorded = recorder("endpoint-slice-mirroring-controller");
    running.spawn(endpoints::run(hands(), caches.clone(), recorded, shutdown.clone()));
    running.spawn(namespace::run(hands(), caches.clone(), config.root_ca, shutdown.clone()));
    let recorded = recorder("node-controller");
    running.spawn(node::run(hands(), caches.clone(), recorded, config.pod_cidr, shutdown.clone()));
    running.spawn(pod_gc::run(hands(), caches.clone(), shutdown.clone()));
    let inventory = Inventory::start(&client);
    running.spawn(quota::run(hands(), caches, inventory.clone(), shutdown.clone()));
    running.spawn(garbage::run(hands(), inventory, shutdown.clone()));
    if let Some(signer) = config.signer {
        running.spawn(certificates::run(client.clone(), hands(), signer, shutdown.clone()));
    }
    running.spawn(events::run(hands(), shutdown));
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            // A cluster with half its controllers is worse than one that starts over.
            std::panic::resume_unwind(error.into_panic());
        }
    }
    info!("controllers ended");
}
