//! How evenly pods are to be spread: `topologySpreadConstraints`. Pure. Follows upstream's
//! `plugins/podtopologyspread`.

mod hard;
mod soft;

use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use super::{affinity, filter, pod_info::PodInfo, snapshot::NodeInfo};
use crate::controllers::pod_facts;

pub(super) use hard::{Spread, Uneven};
pub(super) use soft::scores;

/// One constraint of one pod.
#[derive(Debug)]
pub(super) struct Constraint {
    topology: String,
    /// Whether it forbids or only prefers.
    pub(super) is_hard: bool,
    max_skew: i32,
    min_domains: i32,
    honors_affinity: bool,
    honors_taints: bool,
    /// Nothing without.
    selector: Option<Selector>,
}

impl Constraint {
    pub(super) fn all_of(pod: &Pod) -> Vec<Self> {
        let constraints = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
        constraints.map(|constraint| Self::new(pod, constraint)).collect()
    }

    fn new(pod: &Pod, constraint: &TopologySpreadConstraint) -> Self {
        Self {
            topology: constraint.topology_key.clone(),
            is_hard: constraint.when_unsatisfiable == "DoNotSchedule",
            max_skew: constraint.max_skew,
            min_domains: constraint.min_domains.unwrap_or(1),
            honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
            selector: selector(constraint, pod),
        }
    }

    /// Whether `other` is one of the pods that are to be spread, `pod` being who asks for it.
    fn counts(&self, pod: &Pod, other: &Pod) -> bool {
        other.metadata.namespace == pod.metadata.namespace && !pod_facts::is_terminating(other) && self.selects(other)
    }

    /// Whether its selector selects a pod.
    pub(super) fn selects(&self, pod: &Pod) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(pod.labels()))
    }

    /// How many such pods a node has.
    fn count(&self, pod: &Pod, node: &NodeInfo) -> i32 {
        let counted = node.pods.values().filter(|other| self.counts(pod, &other.pod)).count();
        i32::try_from(counted).unwrap_or(i32::MAX)
    }

    /// Whether the pods of a node count: the pod could go there by affinity (unless told
    /// otherwise) and by taints (if told so).
    fn looks_at(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        (!self.honors_affinity || affinity::allows(&pod.pod, &node.node))
            && (!self.honors_taints || filter::untolerated(&pod.pod, &node.node).is_none())
    }
}

/// What the constraint selects, narrowed by the pod's own values of `matchLabelKeys`. Nothing
/// without a selector.
fn selector(constraint: &TopologySpreadConstraint, pod: &Pod) -> Option<Selector> {
    let mut selector = Selector::try_from(constraint.label_selector.clone()?).ok()?;
    let keys = constraint.match_label_keys.iter().flatten();
    let own = keys.filter_map(|key| Some((key.clone(), pod.labels().get(key)?.clone())));
    selector.extend(own.collect::<Selector>());
    Some(selector)
}
