//! The cluster at one moment, as decisions see it.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use nodeplane_api::meta::Key;

use super::{
    pod_info::PodInfo,
    resources::{self, Amounts},
};

/// Labels of namespaces, by name.
pub(super) type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// All nodes with their pods, in the order of the nodes' names. It shares what it shows with the
/// [`super::cluster::Cluster`] that it was taken from, and does not change with it.
#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub(super) nodes: Vec<Arc<NodeInfo>>,
    pub(super) namespaces: Arc<Namespaces>,
}

/// A node and what runs there, with the sums that decisions need.
#[derive(Clone)]
pub(super) struct NodeInfo {
    pub(super) node: Arc<Node>,
    /// Pods that are bound to it and have not ended.
    pub(super) pods: BTreeMap<Key, Arc<PodInfo>>,
    /// What it can give.
    pub(super) allocatable: Amounts,
    /// What its pods ask for.
    pub(super) requested: Amounts,
    /// The same, with something for containers that ask for nothing.
    pub(super) assumed: Amounts,
}

impl NodeInfo {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            allocatable: resources::allocatable(&node),
            node,
            pods: BTreeMap::new(),
            requested: Amounts::new(),
            assumed: Amounts::new(),
        }
    }

    /// Changes the node under its pods.
    pub(super) fn set_node(&mut self, node: Arc<Node>) {
        self.allocatable = resources::allocatable(&node);
        self.node = node;
    }

    /// Adds a pod that is not here.
    pub(super) fn add(&mut self, pod: Arc<PodInfo>) {
        resources::add(&mut self.requested, &pod.requests);
        resources::add(&mut self.assumed, &pod.assumed);
        self.pods.insert(pod.key.clone(), pod);
    }

    /// Removes a pod, if it is here.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(pod) = self.pods.remove(key) {
            resources::subtract(&mut self.requested, &pod.requests);
            resources::subtract(&mut self.assumed, &pod.assumed);
        }
    }

    /// The node's value of a label.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.node.labels().get(key).map(String::as_str)
    }
}
