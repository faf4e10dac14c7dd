//! Which of the nodes that can take a pod is best. Pure. Each score is 0 to 100; kinds and
//! weights follow upstream's default profile.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    affinity, filter, neighbours,
    pod_info::PodInfo,
    resources::{Amounts, CPU, MEMORY},
    snapshot::{NodeInfo, Snapshot},
    spread,
};
use crate::controllers::ownership;

const BEST: i64 = 100;
const BILLION: i128 = 1_000_000_000;

/// The total score of each node, in order.
pub(super) fn scores(snapshot: &Snapshot, pod: &PodInfo, nodes: &[&Arc<NodeInfo>]) -> Vec<i64> {
    let loads: Vec<_> = nodes.iter().map(|node| load(node, pod)).collect();
    let free = loads.iter().map(|load| (load.iter().map(|share| 100 - share).sum::<i64>()) / 2).collect();
    let balanced = loads.iter().map(|[cpu, memory]| BEST - (cpu - memory).abs() / 2).collect();
    let preferred = normalise(nodes.iter().map(|node| affinity::preference(&pod.pod, &node.node)).collect());
    let avoided = nodes.iter().map(|node| i64::try_from(filter::avoided(&pod.pod, &node.node)).unwrap_or(i64::MAX));
    let untainted = reverse(normalise(avoided.collect()));
    let weighted: [(i64, Vec<i64>); 6] = [
        (1, free),
        (1, balanced),
        (2, preferred),
        (3, untainted),
        (2, spread(snapshot, pod, nodes)),
        (2, neighbours::scores(snapshot, pod, nodes)),
    ];
    (0..nodes.len()).map(|node| weighted.iter().map(|(weight, scores)| weight * scores[node]).sum()).collect()
}

/// How evenly pods would be spread: as the pod asks for, or when it asks for nothing, away from
/// others of its kind.
fn spread(snapshot: &Snapshot, pod: &PodInfo, nodes: &[&Arc<NodeInfo>]) -> Vec<i64> {
    if !pod.spread.is_empty() {
        return spread::scores(snapshot, pod, nodes);
    }
    let crowd = nodes.iter().map(|node| i64::try_from(siblings(&pod.pod, node)).unwrap_or(i64::MAX));
    reverse(normalise(crowd.collect()))
}

/// The load of CPU and memory in per cent if the pod went there.
fn load(node: &NodeInfo, pod: &PodInfo) -> [i64; 2] {
    [CPU, MEMORY].map(|resource| {
        let amount = |amounts: &Amounts| amounts.get(resource).copied().unwrap_or_default();
        let (all, used) = (amount(&node.allocatable), amount(&node.assumed) + amount(&pod.assumed));
        // In thousandths, so that no product overflows.
        let share = if all <= 0 { 100 } else { (used / (BILLION / 1000) * 100) / (all / (BILLION / 1000)).max(1) };
        i64::try_from(share.clamp(0, 100)).unwrap_or(100)
    })
}

/// How many pods of the same controller the node has; without a controller, of the same labels.
fn siblings(pod: &Pod, node: &NodeInfo) -> usize {
    let same = |other: &Pod| {
        if other.metadata.namespace != pod.metadata.namespace {
            return false;
        }
        match (ownership::controller_of(&pod.metadata), ownership::controller_of(&other.metadata)) {
            (Some(owner), Some(other)) => owner.uid == other.uid,
            (None, None) => !pod.labels().is_empty() && pod.labels() == other.labels(),
            _ => false,
        }
    };
    node.pods.values().filter(|other| same(&other.pod)).count()
}

/// Stretches to 0 to 100; all zero stays so.
fn normalise(scores: Vec<i64>) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or_default();
    if most <= 0 { scores } else { scores.into_iter().map(|score| score * BEST / most).collect() }
}

fn reverse(scores: Vec<i64>) -> Vec<i64> {
    scores.into_iter().map(|score| BEST - score).collect()
}
