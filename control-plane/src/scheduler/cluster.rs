//! The cluster as it is kept up to date, change by change: each change costs what it changes, and
//! a snapshot costs one pointer per node.
//!
//! In: nodes, pods and namespaces as they change, and pods that were given a node that the caches
//! do not show yet ("assumed"). Out: [`Snapshot`]s, which later changes leave alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt;
use nodeplane_api::meta::Key;

use super::{
    is_pending,
    pod_info::PodInfo,
    snapshot::{Namespaces, NodeInfo, Snapshot},
};
use crate::controllers::pod_facts;

/// All nodes, and all pods that take room.
#[derive(Default)]
pub(super) struct Cluster {
    nodes: BTreeMap<String, Arc<NodeInfo>>,
    places: HashMap<Key, Place>,
    namespaces: Arc<Namespaces>,
}

/// A pod and the node that it is on; that node need not be there.
struct Place {
    info: Arc<PodInfo>,
    node: String,
    /// Whether the caches still show the pod without a node.
    is_assumed: bool,
}

impl Cluster {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { nodes: self.nodes.values().cloned().collect(), namespaces: self.namespaces.clone() }
    }

    pub(super) fn node(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.nodes.get(name)
    }

    pub(super) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    pub(super) fn set_namespace(&mut self, name: &str, namespace: Option<&Namespace>) {
        let labels = namespace.map(|namespace| namespace.labels().clone());
        if self.namespaces.get(name) == labels.as_ref() {
            return;
        }
        let namespaces = Arc::make_mut(&mut self.namespaces);
        match labels {
            Some(labels) => namespaces.insert(name.to_owned(), labels),
            None => namespaces.remove(name),
        };
    }

    pub(super) fn set_node(&mut self, name: &str, node: Option<&Arc<Node>>) {
        let Some(node) = node else {
            self.nodes.remove(name);
            return;
        };
        if let Some(info) = self.nodes.get_mut(name) {
            Arc::make_mut(info).set_node(node.clone());
            return;
        }
        let mut info = NodeInfo::new(node.clone());
        for place in self.places.values().filter(|place| place.node == name) {
            info.add(place.info.clone());
        }
        self.nodes.insert(name.to_owned(), Arc::new(info));
    }

    /// A pod as the caches show it. Returns what others may see of the change: the pod as it took
    /// room before, and as it does now.
    pub(super) fn set_pod(
        &mut self,
        key: &Key,
        pod: Option<&Arc<Pod>>,
    ) -> (Option<Arc<PodInfo>>, Option<Arc<PodInfo>>) {
        let assumed = pod.is_some_and(|pod| self.is_assumed(key, pod));
        if assumed && pod.is_some_and(|pod| is_pending(pod)) {
            return (None, None);
        }
        // To others, an assumed pod comes when the caches show it, or goes when they never do.
        let before = self.remove(key).filter(|_| !assumed);
        let after = pod.filter(|pod| PodInfo::occupies(pod)).map(|pod| Arc::new(PodInfo::new(pod.clone())));
        if let Some(after) = &after {
            self.place(after.clone(), false);
        }
        (before, after)
    }

    /// Counts a pod on a node before the caches show it there.
    pub(super) fn assume(&mut self, pod: &Pod, node: &str) {
        let mut bound = pod.clone();
        bound.spec.get_or_insert_default().node_name = Some(node.to_owned());
        let info = Arc::new(PodInfo::new(Arc::new(bound)));
        self.remove(&info.key);
        self.place(info, true);
    }

    /// Takes back [`Self::assume`], unless the caches have shown the pod there meanwhile. Returns
    /// what had been counted.
    pub(super) fn forget(&mut self, key: &Key, pod: &Pod) -> Option<Arc<PodInfo>> {
        if self.is_assumed(key, pod) { self.remove(key) } else { None }
    }

    pub(super) fn is_assumed(&self, key: &Key, pod: &Pod) -> bool {
        let same = |place: &Place| place.is_assumed && place.info.uid() == pod.metadata.uid.as_deref();
        self.places.get(key).is_some_and(same)
    }

    fn place(&mut self, info: Arc<PodInfo>, is_assumed: bool) {
        let node = pod_facts::node(&info.pod).to_owned();
        if let Some(facts) = self.nodes.get_mut(&node) {
            Arc::make_mut(facts).add(info.clone());
        }
        self.places.insert(info.key.clone(), Place { info, node, is_assumed });
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<PodInfo>> {
        let place = self.places.remove(key)?;
        if let Some(facts) = self.nodes.get_mut(&place.node) {
            Arc::make_mut(facts).remove(key);
        }
        Some(place.info)
    }
}
