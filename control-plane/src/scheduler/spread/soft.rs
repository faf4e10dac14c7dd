//! Constraints that only prefer.

use std::{collections::HashMap, sync::Arc};

use super::Constraint;
use crate::scheduler::{
    pod_info::PodInfo,
    snapshot::{NodeInfo, Snapshot},
};

const BEST: i64 = 100;
/// Each node is a domain of its own.
const HOST: &str = "kubernetes.io/hostname";

/// A soft constraint with its domains counted.
struct Counted<'a> {
    constraint: &'a Constraint,
    /// Pods by domain; unused when each node is one.
    domains: HashMap<&'a str, i32>,
    /// Makes up for that pods are fewer per domain when there are many domains.
    weight: f64,
}

/// 0 to 100 for each of these nodes: the fewer pods in its domains, the more; 0 without all
/// labels, or when the pod prefers nothing.
pub(in crate::scheduler) fn scores(snapshot: &Snapshot, pod: &PodInfo, nodes: &[&Arc<NodeInfo>]) -> Vec<i64> {
    let soft: Vec<_> = pod.spread.iter().filter(|constraint| !constraint.is_hard).collect();
    if soft.is_empty() {
        return vec![0; nodes.len()];
    }
    let is_labelled = |node: &NodeInfo| soft.iter().all(|soft| node.label(&soft.topology).is_some());
    let candidates: Vec<&NodeInfo> =
        nodes.iter().map(AsRef::as_ref).filter(|node: &&NodeInfo| is_labelled(node)).collect();
    let everywhere: Vec<&NodeInfo> =
        snapshot.nodes.iter().map(AsRef::as_ref).filter(|node: &&NodeInfo| is_labelled(node)).collect();
    let counted: Vec<_> = soft.iter().map(|constraint| count(constraint, pod, &candidates, &everywhere)).collect();
    let crowd = |node: &NodeInfo| -> f64 { counted.iter().map(|counted| counted.crowd(pod, node)).sum() };
    let crowds: Vec<Option<i64>> =
        nodes.iter().map(|node| is_labelled(node).then(|| crowd(node).round() as i64)).collect();
    let least = crowds.iter().flatten().copied().min().unwrap_or(0);
    let most = crowds.iter().flatten().copied().max().unwrap_or(0);
    let score = |crowd: i64| if most == 0 { BEST } else { BEST * (most + least - crowd) / most };
    crowds.into_iter().map(|crowd| crowd.map_or(0, score)).collect()
}

fn count<'a>(
    constraint: &'a Constraint,
    pod: &PodInfo,
    candidates: &[&'a NodeInfo],
    everywhere: &[&NodeInfo],
) -> Counted<'a> {
    let mut domains: HashMap<&str, i32> =
        candidates.iter().filter_map(|node| Some((node.label(&constraint.topology)?, 0))).collect();
    if constraint.topology != HOST {
        for node in everywhere.iter().filter(|node| constraint.looks_at(pod, node)) {
            let domain = node.label(&constraint.topology).and_then(|value| domains.get_mut(value));
            if let Some(domain) = domain {
                *domain += constraint.count(&pod.pod, node);
            }
        }
    }
    let size = if constraint.topology == HOST { candidates.len() } else { domains.len() };
    Counted { constraint, domains, weight: ((size + 2) as f64).ln() }
}

impl Counted<'_> {
    /// How crowded the node's domain is.
    fn crowd(&self, pod: &PodInfo, node: &NodeInfo) -> f64 {
        let count = match self.constraint.topology == HOST {
            true => self.constraint.count(&pod.pod, node),
            false => {
                let domain = node.label(&self.constraint.topology).and_then(|value| self.domains.get(value));
                domain.copied().unwrap_or_default()
            }
        };
        // What may be uneven by much must not decide by little.
        f64::from(count) * self.weight + f64::from(self.constraint.max_skew - 1)
    }
}
