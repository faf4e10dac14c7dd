//! What is to become of one object. Pure. Follows upstream's `garbagecollector.go`.

use nodeplane_client::write::{Propagation, Write};
use serde_json::json;

use super::{
    Name,
    graph::{FOREGROUND, Node, ORPHAN, Owner},
};

/// What the server says about an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there.
    Solid,
    /// It is gone, or another object has its name.
    Absent,
    /// It is on its way out and waits for its dependents.
    WaitsForDependents,
}

/// An object as the server shows it, and its surroundings.
pub(super) struct Item<'a> {
    pub(super) name: &'a Name,
    pub(super) node: &'a Node,
    /// In the order of `node.owners`.
    pub(super) owners: &'a [Found],
    pub(super) dependents: &'a [(Name, Node)],
}

#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    Nothing,
    Write(Vec<Write>),
}

pub(super) fn plan(item: &Item<'_>) -> Decision {
    let writes = if item.node.orphans_dependents() {
        let_dependents_go(item)
    } else if item.node.deletes_dependents() {
        delete_dependents_first(item)
    } else if item.node.is_deleting || item.owners.is_empty() {
        Vec::new()
    } else {
        judge_by_owners(item)
    };
    if writes.is_empty() { Decision::Nothing } else { Decision::Write(writes) }
}

/// Takes the object out of the owners of all its dependents, and then its finalizer.
fn let_dependents_go(item: &Item<'_>) -> Vec<Write> {
    let released = item.dependents.iter().map(|(name, node)| without_owners(name, node, |o| o.uid == item.node.uid));
    released.chain([without_finalizer(item, ORPHAN)]).collect()
}

/// Deletes the dependents; when none is left that blocks, takes the finalizer.
fn delete_dependents_first(item: &Item<'_>) -> Vec<Write> {
    let blocks = |node: &Node| node.owners.iter().any(|owner| owner.uid == item.node.uid && owner.blocks);
    if !item.dependents.iter().any(|(_, node)| blocks(node)) {
        return vec![without_finalizer(item, FOREGROUND)];
    }
    // Each is looked at by itself, with its other owners; the change of their owner has queued
    // them already. What is left for this object is to wait.
    Vec::new()
}

fn judge_by_owners(item: &Item<'_>) -> Vec<Write> {
    let is = |owner: &Owner, wanted: &[Found]| {
        let index = item.node.owners.iter().position(|other| other == owner);
        index.and_then(|index| item.owners.get(index)).is_some_and(|found| wanted.contains(found))
    };
    if item.owners.contains(&Found::Solid) {
        // One owner is enough; the others are forgotten.
        if item.owners.iter().all(|found| *found == Found::Solid) {
            return Vec::new();
        }
        return vec![without_owners(item.name, item.node, |o| is(o, &[Found::Absent, Found::WaitsForDependents]))];
    }
    let waits = item.owners.contains(&Found::WaitsForDependents);
    if waits && !item.dependents.is_empty() {
        let mut writes = Vec::new();
        // A dependent that waits for this one in turn closes a circle: it is broken here, where
        // nobody waits for this object any more.
        if item.dependents.iter().any(|(_, node)| node.deletes_dependents()) {
            writes.push(unblocked(item));
        }
        writes.push(deletion(item, Propagation::Foreground, writes.is_empty()));
        return writes;
    }
    let propagation = if item.node.has_finalizer(ORPHAN) {
        Propagation::Orphan
    } else if item.node.has_finalizer(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    vec![deletion(item, propagation, true)]
}

/// `as_seen`: only if the object has not changed since its owners were asked for.
fn deletion(item: &Item<'_>, propagation: Propagation, as_seen: bool) -> Write {
    Write::Delete {
        kind: item.name.kind(),
        key: item.name.key.clone(),
        uid: item.node.uid.clone(),
        revision: as_seen.then(|| item.node.revision.clone()),
        propagation,
        grace: None,
    }
}

fn without_owners(name: &Name, node: &Node, forget: impl Fn(&Owner) -> bool) -> Write {
    let kept: Vec<_> = node.owners.iter().filter(|owner| !forget(owner)).map(|owner| &owner.reference).collect();
    let kept = if kept.is_empty() { serde_json::Value::Null } else { json!(kept) };
    merge(name, node, json!({ "ownerReferences": kept }))
}

fn unblocked(item: &Item<'_>) -> Write {
    let mut owners: Vec<_> = item.node.owners.iter().map(|owner| owner.reference.clone()).collect();
    for owner in &mut owners {
        owner.block_owner_deletion = Some(false);
    }
    merge(item.name, item.node, json!({ "ownerReferences": owners }))
}

fn without_finalizer(item: &Item<'_>, finalizer: &str) -> Write {
    let kept: Vec<_> = item.node.finalizers.iter().filter(|have| *have != finalizer).collect();
    let kept = if kept.is_empty() { serde_json::Value::Null } else { json!(kept) };
    merge(item.name, item.node, json!({ "finalizers": kept }))
}

fn merge(name: &Name, node: &Node, mut metadata: serde_json::Value) -> Write {
    metadata["uid"] = node.uid.clone().into();
    metadata["resourceVersion"] = node.revision.clone().into();
    Write::Merge { kind: name.kind(), key: name.key.clone(), part: None, patch: json!({ "metadata": metadata }) }
}
