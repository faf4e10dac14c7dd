//! The cluster at one moment, as decisions see it.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;

use super::resources::{self, Amounts};
use crate::controllers::pod_facts;

/// All nodes with their pods, in the order of the nodes' names.
pub struct Snapshot {
    /// The nodes.
    pub nodes: Vec<NodeFacts>,
}

/// A node and what runs there.
pub struct NodeFacts {
    /// The node.
    pub node: Arc<Node>,
    /// Pods that are bound to it and have not ended.
    pub pods: Vec<Arc<Pod>>,
    /// What it can give.
    pub(super) allocatable: Amounts,
    /// What its pods ask for.
    pub(super) requested: Amounts,
}

impl Snapshot {
    /// The cluster with these nodes and pods. Pods that are not bound, that have ended, or whose
    /// node is not there, do not count.
    pub fn new(nodes: Vec<Arc<Node>>, pods: impl IntoIterator<Item = Arc<Pod>>) -> Self {
        let mut by_node: HashMap<String, Vec<Arc<Pod>>> = HashMap::new();
        for pod in pods {
            let node = pod_facts::node(&pod);
            if !node.is_empty() && !pod_facts::is_finished(&pod) {
                by_node.entry(node.to_owned()).or_default().push(pod);
            }
        }
        let facts = nodes.into_iter().map(|node| {
            let pods = by_node.remove(&node.name_any()).unwrap_or_default();
            let mut requested = Amounts::new();
            for pod in &pods {
                resources::add(&mut requested, &resources::requests(pod));
            }
            NodeFacts { allocatable: resources::allocatable(&node), requested, node, pods }
        });
        let mut nodes: Vec<_> = facts.collect();
        nodes.sort_by_key(|facts| facts.node.name_any());
        Self { nodes }
    }
}
