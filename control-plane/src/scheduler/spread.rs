//! How evenly pods must be spread: `topologySpreadConstraints` that forbid. Pure. Follows
//! upstream's `plugins/podtopologyspread/filtering.go`.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use super::{
    affinity, filter,
    snapshot::{NodeFacts, Snapshot},
};
use crate::controllers::pod_facts;

/// The constraints of one pod, with the cluster counted.
pub(super) struct Spread<'a> {
    constraints: Vec<Counted<'a>>,
}

struct Counted<'a> {
    constraint: &'a TopologySpreadConstraint,
    /// Matching pods by domain.
    domains: HashMap<String, i32>,
    /// Whether the pod itself will be counted.
    counts_itself: bool,
}

/// Why a node does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uneven {
    MissingLabel,
    TooMany,
}

impl<'a> Spread<'a> {
    pub(super) fn new(snapshot: &Snapshot, pod: &'a Pod) -> Self {
        let all = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
        let hard: Vec<_> = all.filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule").collect();
        let constraints = hard.iter().map(|constraint| count(snapshot, pod, &hard, constraint)).collect();
        Self { constraints }
    }

    pub(super) fn check(&self, node: &NodeFacts) -> Option<Uneven> {
        self.constraints.iter().find_map(|counted| counted.check(node))
    }
}

impl Counted<'_> {
    fn check(&self, node: &NodeFacts) -> Option<Uneven> {
        let Some(domain) = node.node.labels().get(&self.constraint.topology_key) else {
            return Some(Uneven::MissingLabel);
        };
        let domains = i32::try_from(self.domains.len()).unwrap_or(i32::MAX);
        // Domains that are still to come count as empty.
        let least = match self.constraint.min_domains.unwrap_or(1) > domains {
            true => 0,
            false => self.domains.values().copied().min().unwrap_or_default(),
        };
        let here = self.domains.get(domain).copied().unwrap_or_default();
        (here + i32::from(self.counts_itself) - least > self.constraint.max_skew).then_some(Uneven::TooMany)
    }
}

fn count<'a>(
    snapshot: &Snapshot,
    pod: &Pod,
    hard: &[&TopologySpreadConstraint],
    constraint: &'a TopologySpreadConstraint,
) -> Counted<'a> {
    let selector = selector(constraint, pod);
    let matches = |other: &Pod| {
        other.metadata.namespace == pod.metadata.namespace
            && !pod_facts::is_terminating(other)
            && selector.as_ref().is_some_and(|selector| selector.matches(other.labels()))
    };
    let eligible = snapshot.nodes.iter().filter(|node| is_eligible(node, pod, hard, constraint));
    let mut domains = HashMap::new();
    for node in eligible {
        if let Some(domain) = node.node.labels().get(&constraint.topology_key) {
            let here = node.pods.iter().filter(|other| matches(other)).count();
            *domains.entry(domain.clone()).or_default() += i32::try_from(here).unwrap_or(i32::MAX);
        }
    }
    Counted { constraint, domains, counts_itself: matches(pod) }
}

/// Whether pods on a node count: it has all the labels that are spread over, and the pod could go
/// there by affinity (unless told otherwise) and by taints (if told so).
fn is_eligible(
    node: &NodeFacts,
    pod: &Pod,
    hard: &[&TopologySpreadConstraint],
    constraint: &TopologySpreadConstraint,
) -> bool {
    let labelled = hard.iter().all(|constraint| node.node.labels().contains_key(&constraint.topology_key));
    let by_affinity = constraint.node_affinity_policy.as_deref() == Some("Ignore") || affinity::allows(pod, &node.node);
    let by_taints =
        constraint.node_taints_policy.as_deref() != Some("Honor") || filter::untolerated(pod, &node.node).is_none();
    labelled && by_affinity && by_taints
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
