//! A pod with everything that decisions ask about it, worked out once.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use nodeplane_api::meta::Key;

use super::{
    neighbours::Neighbours,
    resources::{self, Amounts},
    spread::Constraint,
};
use crate::controllers::{ownership, pod_facts};

/// A pod, whether it looks for a node or has one.
#[derive(Debug)]
pub(super) struct PodInfo {
    pub(super) key: Key,
    pub(super) pod: Arc<Pod>,
    /// What it asks for.
    pub(super) requests: Amounts,
    /// The same, with something for containers that ask for nothing.
    pub(super) assumed: Amounts,
    pub(super) neighbours: Neighbours,
    pub(super) spread: Vec<Constraint>,
}

impl PodInfo {
    pub(super) fn new(pod: Arc<Pod>) -> Self {
        Self {
            key: ownership::key_of(&pod.metadata),
            requests: resources::requests(&pod),
            assumed: resources::assumed_requests(&pod),
            neighbours: Neighbours::of(&pod),
            spread: Constraint::all_of(&pod),
            pod,
        }
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.pod.metadata.uid.as_deref()
    }

    /// Whether it takes room on a node.
    pub(super) fn occupies(pod: &Pod) -> bool {
        !pod_facts::node(pod).is_empty() && !pod_facts::is_finished(pod)
    }
}
