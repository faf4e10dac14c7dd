//! How well a pod and its neighbours would like each other.

use std::{collections::HashMap, sync::Arc};

use super::Term;
use crate::scheduler::{
    pod_info::PodInfo,
    snapshot::{NodeInfo, Snapshot},
};

const BEST: i64 = 100;
/// What it counts when a neighbour wants the pod without having to (upstream's
/// `hardPodAffinityWeight`).
const REQUIRED_BY_OTHERS: i64 = 1;

/// 0 to 100 for each of these nodes; all 0 when nobody has a preference.
pub(in crate::scheduler) fn scores(snapshot: &Snapshot, pod: &PodInfo, nodes: &[&Arc<NodeInfo>]) -> Vec<i64> {
    let liked = liked_places(snapshot, pod);
    let sum = |node: &NodeInfo| -> i64 {
        let here = liked.iter().filter(|((topology, value), _)| node.label(topology) == Some(value));
        here.map(|(_, weight)| weight).sum()
    };
    let sums: Vec<i64> = nodes.iter().map(|node| sum(node)).collect();
    let (least, most) = (sums.iter().copied().min().unwrap_or(0), sums.iter().copied().max().unwrap_or(0));
    let stretch = |sum: i64| if most == least { 0 } else { BEST * (sum - least) / (most - least) };
    sums.into_iter().map(stretch).collect()
}

fn liked_places<'a>(snapshot: &'a Snapshot, pod: &'a PodInfo) -> HashMap<(&'a str, &'a str), i64> {
    let mut liked = HashMap::new();
    for node in &snapshot.nodes {
        let mut like = |weight: i64, term: &'a Term, whom: &PodInfo| {
            if let Some(value) = node.label(&term.topology)
                && term.selects(&whom.pod, &snapshot.namespaces)
            {
                *liked.entry((term.topology.as_str(), value)).or_default() += weight;
            }
        };
        for other in node.pods.values() {
            for (weight, term) in &pod.neighbours.preferred {
                like(*weight, term, other);
            }
            for (weight, term) in &other.neighbours.preferred {
                like(*weight, term, pod);
            }
            for term in &other.neighbours.wanted {
                like(REQUIRED_BY_OTHERS, term, pod);
            }
        }
    }
    liked
}
