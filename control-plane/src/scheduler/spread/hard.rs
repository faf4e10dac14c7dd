//! Constraints that forbid.

use std::collections::HashMap;

use super::Constraint;
use crate::scheduler::{
    pod_info::PodInfo,
    snapshot::{NodeInfo, Snapshot},
};

/// The hard constraints of one pod, with the cluster counted.
pub(in crate::scheduler) struct Spread<'a> {
    constraints: Vec<Counted<'a>>,
}

struct Counted<'a> {
    constraint: &'a Constraint,
    /// Pods by domain.
    domains: HashMap<&'a str, i32>,
    /// Whether the pod itself will be counted.
    counts_itself: bool,
}

/// Why a node does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler) enum Uneven {
    MissingLabel,
    TooMany,
}

impl<'a> Spread<'a> {
    pub(in crate::scheduler) fn new(snapshot: &'a Snapshot, pod: &'a PodInfo) -> Self {
        let hard: Vec<_> = pod.spread.iter().filter(|constraint| constraint.is_hard).collect();
        let is_labelled = |node: &NodeInfo| hard.iter().all(|hard| node.label(&hard.topology).is_some());
        let nodes: Vec<&NodeInfo> = snapshot
            .nodes
            .iter()
            .map(AsRef::as_ref)
            .filter(|node: &&NodeInfo| !hard.is_empty() && is_labelled(node))
            .collect();
        Self { constraints: hard.iter().map(|constraint| count(&nodes, pod, constraint)).collect() }
    }

    pub(in crate::scheduler) fn check(&self, node: &NodeInfo) -> Option<Uneven> {
        self.constraints.iter().find_map(|counted| counted.check(node))
    }
}

impl Counted<'_> {
    fn check(&self, node: &NodeInfo) -> Option<Uneven> {
        let Some(domain) = node.label(&self.constraint.topology) else { return Some(Uneven::MissingLabel) };
        let domains = i32::try_from(self.domains.len()).unwrap_or(i32::MAX);
        // Domains that are still to come count as empty.
        let least = match self.constraint.min_domains > domains {
            true => 0,
            false => self.domains.values().copied().min().unwrap_or_default(),
        };
        let here = self.domains.get(domain).copied().unwrap_or_default();
        (here + i32::from(self.counts_itself) - least > self.constraint.max_skew).then_some(Uneven::TooMany)
    }
}

fn count<'a>(nodes: &[&'a NodeInfo], pod: &PodInfo, constraint: &'a Constraint) -> Counted<'a> {
    let mut domains = HashMap::new();
    for node in nodes.iter().filter(|node| constraint.looks_at(pod, node)) {
        if let Some(domain) = node.label(&constraint.topology) {
            *domains.entry(domain).or_default() += constraint.count(&pod.pod, node);
        }
    }
    Counted { constraint, domains, counts_itself: constraint.counts(&pod.pod, &pod.pod) }
}
