//! The decision: filter, score, choose, or say why not. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    filter::{self, Cause, Rejection, Seeker},
    pod_info::PodInfo,
    score,
    snapshot::Snapshot,
    waiting::Causes,
};

/// What is to become of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It goes to this node.
    Bind {
        /// The node's name.
        node: String,
    },
    /// No node can take it now.
    Wait {
        /// Why, as upstream says it.
        message: String,
        /// The same, to know what would help.
        causes: Causes,
    },
}

/// Finds the best node for a pod. Of equals, the first by name.
pub(super) fn decide(snapshot: &Snapshot, pod: &PodInfo) -> Decision {
    if snapshot.nodes.is_empty() {
        let message = "no nodes available to schedule pods".to_owned();
        return Decision::Wait { message, causes: Causes::from([Cause::NoNodes]) };
    }
    let seeker = Seeker::new(snapshot, pod);
    let (mut fitting, mut rejections) = (Vec::new(), Vec::new());
    for node in &snapshot.nodes {
        match filter::reject(&seeker, node) {
            None => fitting.push(node),
            Some(rejection) => rejections.push(rejection),
        }
    }
    let scores = score::scores(snapshot, pod, &fitting);
    let best = fitting.iter().zip(scores).rev().max_by_key(|(_, score)| *score);
    match best {
        Some((node, _)) => Decision::Bind { node: node.node.name_any() },
        None => Decision::Wait {
            message: explain(&pod.pod, &rejections),
            causes: rejections.iter().map(|rejection| rejection.cause).collect(),
        },
    }
}

/// `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. preemption: ...`
fn explain(pod: &Pod, rejections: &[Rejection]) -> String {
    let nodes = rejections.len();
    let reasons = rejections.iter().flat_map(|rejection| rejection.reasons.iter().map(String::as_str));
    format!("{} preemption: {}", sentence(nodes, reasons), preemption(pod, rejections))
}

/// Pods are never preempted here; the words say what upstream says
/// when it finds nobody to preempt.
fn preemption(pod: &Pod, rejections: &[Rejection]) -> String {
    if pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return "not eligible due to preemptionPolicy=Never.".to_owned();
    }
    let outlook = |rejection: &Rejection| match rejection.is_curable {
        true => "No preemption victims found for incoming pod",
        false => "Preemption is not helpful for scheduling",
    };
    sentence(rejections.len(), rejections.iter().map(outlook))
}

fn sentence<'a>(nodes: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut counted: Vec<_> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}
