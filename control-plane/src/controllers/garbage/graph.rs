//! Who owns whom, by uid. Pure bookkeeping.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use nodeplane_api::{
    kinds::{self, KINDS},
    meta::{self, Key},
};
use serde_json::Value;

use super::Name;

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";

/// What matters of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) uid: String,
    pub(super) revision: String,
    pub(super) owners: Vec<Owner>,
    pub(super) finalizers: Vec<String>,
    pub(super) is_deleting: bool,
}

/// A reference to an owner.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owner {
    pub(super) uid: String,
    pub(super) blocks: bool,
    /// As written, to write it again.
    pub(super) reference: OwnerReference,
}

impl Owner {
    /// Which object an owner of `dependent` is; none when its kind is not served or it lives in a
    /// namespace while the dependent does not.
    pub(super) fn name(&self, dependent: &Key) -> Option<Name> {
        let owner = &self.reference;
        let named = kinds::by_api_version(&owner.api_version, &owner.kind)?;
        let kind = KINDS.iter().position(|row| row == named.stored())?;
        let namespace = match (KINDS[kind].is_namespaced(), dependent.namespace.is_empty()) {
            (true, true) => return None,
            (true, false) => dependent.namespace.as_str(),
            (false, _) => "",
        };
        Some(Name { kind, key: Key::new(namespace, &owner.name) })
    }
}

impl Node {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        let owner = |reference: &OwnerReference| Owner {
            uid: reference.uid.clone(),
            blocks: reference.block_owner_deletion == Some(true),
            reference: reference.clone(),
        };
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            revision: meta.resource_version.clone().unwrap_or_default(),
            owners: meta.owner_references.iter().flatten().map(owner).collect(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            is_deleting: meta.deletion_timestamp.is_some(),
        }
    }

    pub(super) fn from_value(object: &Value) -> Option<Self> {
        if meta::uid(object).is_empty() {
            return None;
        }
        serde_json::from_value(object["metadata"].clone()).ok().map(|meta| Self::of(&meta))
    }

    pub(super) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|have| have == finalizer)
    }

    /// Whether it waits for its dependents to go first.
    pub(super) fn deletes_dependents(&self) -> bool {
        self.is_deleting && self.has_finalizer(FOREGROUND)
    }

    /// Whether it waits for its dependents to be let go.
    pub(super) fn orphans_dependents(&self) -> bool {
        self.is_deleting && self.has_finalizer(ORPHAN)
    }
}

/// All objects.
#[derive(Default)]
pub(super) struct Graph {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: HashMap<Name, Node>,
    /// The object with a uid.
    names: HashMap<String, Name>,
    /// Dependents by their owner's uid.
    dependents: HashMap<String, HashSet<Name>>,
}

impl Graph {
    pub(super) fn get(&self, name: &Name) -> Option<Node> {
        self.lock().nodes.get(name).cloned()
    }

    /// Takes in an object as it is now (or that it is gone) and returns who should be looked at:
    /// itself, its owners that wait for dependents, and its dependents when it goes or begins to
    /// wait for them.
    pub(super) fn set(&self, name: &Name, new: Option<Node>) -> Vec<Name> {
        let mut state = self.lock();
        let old = state.nodes.get(name).cloned();
        let mut concerned = Vec::new();
        if let Some(old) = &old {
            concerned.extend(state.owners_of(old));
            if new.as_ref().is_none_or(|new| new.uid != old.uid) {
                concerned.extend(state.dependents_of(old));
            }
            state.unlink(name, old);
        }
        if let Some(new) = new {
            concerned.extend(state.owners_of(&new));
            // It may have been on its way out for long, deleted in another way.
            if new.deletes_dependents() && old.is_none_or(|old| old.uid != new.uid || !old.deletes_dependents()) {
                concerned.extend(state.dependents_of(&new));
            }
            if !new.owners.is_empty() || new.is_deleting {
                concerned.push(name.clone());
            }
            state.link(name, new);
        }
        concerned
    }

    /// Objects that name this uid as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<(Name, Node)> {
        let state = self.lock();
        let names = state.dependents.get(uid).into_iter().flatten();
        names.filter_map(|name| Some((name.clone(), state.nodes.get(name)?.clone()))).collect()
    }

    /// Whether an object is worth asking the server about: it is on its way out and waits for
    /// something of ours, or one of its owners is not here as it should be.
    pub(super) fn may_need_work(&self, name: &Name, node: &Node) -> bool {
        if node.is_deleting {
            return node.deletes_dependents() || node.orphans_dependents();
        }
        let state = self.lock();
        node.owners.iter().any(|owner| {
            let here = owner.name(&name.key).and_then(|owner| state.nodes.get(&owner));
            here.is_none_or(|here| here.uid != owner.uid || here.deletes_dependents())
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The owners of a node that are on their way out.
    fn owners_of(&self, node: &Node) -> Vec<Name> {
        let owners = node.owners.iter().filter_map(|owner| self.names.get(&owner.uid));
        owners.filter(|owner| self.nodes.get(owner).is_some_and(|owner| owner.is_deleting)).cloned().collect()
    }

    /// The objects that name a node as an owner.
    fn dependents_of(&self, node: &Node) -> impl Iterator<Item = Name> {
        self.dependents.get(&node.uid).into_iter().flatten().cloned()
    }

    fn link(&mut self, name: &Name, node: Node) {
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(name.clone());
        }
        self.names.insert(node.uid.clone(), name.clone());
        self.nodes.insert(name.clone(), node);
    }

    fn unlink(&mut self, name: &Name, node: &Node) {
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(name);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        self.names.remove(&node.uid);
        self.nodes.remove(name);
    }
}
