//! Deletes what its owners no longer need: collection by owner references.
//!
//! In: the metadata of all objects of every kind in the table ([`super::inventory`]). Out:
//! deletions of objects whose owners are all gone; foreground deletion (dependents first);
//! orphaning (dependents let go). An owner counts as gone only when the server itself says so:
//! never on the word of a cache.
//!
//! What to do is decided in [`plan`]; here it is carried out. Behaviour of upstream's
//! `pkg/controller/garbagecollector`.

mod graph;
mod plan;

use std::{fmt, sync::Arc};

use nodeplane_api::{
    kinds::{KINDS, Kind},
    meta::Key,
};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Change,
    write::{Hands, WriteError},
};
use tokio_util::sync::CancellationToken;

use graph::{Graph, Node};
use plan::{Decision, Found, Item};

use super::inventory::{Inventory, Metadata};

/// Names an object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Position of the kind in the table.
    kind: usize,
    key: Key,
}

impl Name {
    fn kind(&self) -> &'static Kind {
        &KINDS[self.kind]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind().plural, self.key)
    }
}

/// Runs the controller until `shutdown`.
pub async fn run(hands: Hands, inventory: Inventory, shutdown: CancellationToken) {
    let graph = Arc::new(Graph::default());
    let mut controller = Controller::new("garbage", hands);
    for (kind, row, informer) in inventory.all() {
        let graph = graph.clone();
        controller = controller.on_untyped(row, informer, move |change| note(&graph, kind, change));
    }
    controller.run(4, Garbage { graph }, shutdown).await;
}

/// Takes a change into the graph and returns who is concerned.
fn note(graph: &Graph, kind: usize, change: &Change<'_, Metadata>) -> Vec<Name> {
    let name = Name { kind, key: change.key.clone() };
    graph.set(&name, change.new.map(|object| Node::of(&object.metadata)))
}

struct Garbage {
    graph: Arc<Graph>,
}

impl Reconcile<Name> for Garbage {
    async fn reconcile(&self, name: &Name, apply: &Apply) -> Result<Next, WriteError> {
        let Some(cached) = self.graph.get(name) else { return Ok(Next::Wait) };
        if !self.graph.may_need_work(name, &cached) {
            return Ok(Next::Wait);
        }
        // From here on only what the server itself says counts for this object and its owners.
        let live = apply.hands().get(name.kind(), &name.key).await?;
        let Some(node) = live.and_then(|live| Node::from_value(&live)).filter(|node| node.uid == cached.uid) else {
            return Ok(Next::Wait);
        };
        let mut owners = Vec::new();
        for owner in &node.owners {
            owners.push(find(&name.key, owner, apply).await?);
        }
        let dependents = self.graph.dependents(&node.uid);
        let decision = plan::plan(&Item { name, node: &node, owners: &owners, dependents: &dependents });
        match decision {
            Decision::Nothing => {}
            Decision::Write(writes) => apply.all(&writes).await?,
        }
        Ok(Next::Wait)
    }
}

/// What has become of an owner.
async fn find(dependent: &Key, owner: &graph::Owner, apply: &Apply) -> Result<Found, WriteError> {
    // A kind that nobody serves cannot be asked for, so nothing is deleted for its sake.
    let Some(name) = owner.name(dependent) else { return Ok(Found::Solid) };
    let live = apply.hands().get(name.kind(), &name.key).await?;
    Ok(match live.and_then(|live| Node::from_value(&live)) {
        Some(node) if node.uid != owner.uid => Found::Absent,
        Some(node) if node.deletes_dependents() => Found::WaitsForDependents,
        Some(_) => Found::Solid,
        None => Found::Absent,
    })
}

#[cfg(test)]
mod tests;
