//! Which of the nodes that can take a pod is best. Pure. Each score is 0 to 100; kinds and
//! weights follow upstream's default profile.

use kube::ResourceExt;

use super::{
    affinity, filter,
    resources::{self, Amounts, CPU, MEMORY},
    snapshot::NodeFacts,
};
use crate::controllers::ownership;
use k8s_openapi::api::core::v1::Pod;

const BEST: i64 = 100;
const BILLION: i128 = 1_000_000_000;

/// The total score of each node, in order.
pub(super) fn scores(pod: &Pod, nodes: &[&NodeFacts]) -> Vec<i64> {
    let asked = resources::assumed_requests(pod);
    let loads: Vec<_> = nodes.iter().map(|node| load(node, &asked)).collect();
    let free = loads.iter().map(|load| (load.iter().map(|share| 100 - share).sum::<i64>()) / 2);
    let balanced = loads.iter().map(|[cpu, memory]| BEST - (cpu - memory).abs() / 2);
    let preferred = normalise(nodes.iter().map(|node| affinity::preference(pod, &node.node)).collect());
    let avoided = nodes.iter().map(|node| i64::try_from(filter::avoided(pod, &node.node)).unwrap_or(i64::MAX));
    let avoided = reverse(normalise(avoided.collect()));
    let crowd = nodes.iter().map(|node| i64::try_from(siblings(pod, node)).unwrap_or(i64::MAX));
    let lonely = reverse(normalise(crowd.collect()));
    let weighted = free.zip(balanced).zip(preferred).zip(avoided).zip(lonely);
    weighted
        .map(|((((free, balanced), preferred), avoided), lonely)| {
            free + balanced + 2 * preferred + 3 * avoided + 2 * lonely
        })
        .collect()
}

/// The load of CPU and memory in per cent if the pod went there.
fn load(node: &NodeFacts, asked: &Amounts) -> [i64; 2] {
    let mut used = asked.clone();
    for pod in &node.pods {
        resources::add(&mut used, &resources::assumed_requests(pod));
    }
    [CPU, MEMORY].map(|resource| {
        let all = node.allocatable.get(resource).copied().unwrap_or_default();
        let used = used.get(resource).copied().unwrap_or_default();
        // In thousandths, so that no product overflows.
        let share = if all <= 0 { 100 } else { (used / (BILLION / 1000) * 100) / (all / (BILLION / 1000)).max(1) };
        i64::try_from(share.clamp(0, 100)).unwrap_or(100)
    })
}

/// How many pods of the same controller the node has; without a controller, of the same labels.
fn siblings(pod: &Pod, node: &NodeFacts) -> usize {
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
    node.pods.iter().filter(|other| same(other)).count()
}

/// Stretches to 0 to 100; all zero stays so.
fn normalise(scores: Vec<i64>) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or_default();
    if most <= 0 { scores } else { scores.into_iter().map(|score| score * BEST / most).collect() }
}

fn reverse(scores: Vec<i64>) -> Vec<i64> {
    scores.into_iter().map(|score| BEST - score).collect()
}
