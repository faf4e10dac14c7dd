//! Which nodes cannot take a pod, and why. Pure. The checks and their words are those of
//! upstream's default filter plugins, in their order.

use k8s_openapi::api::core::v1::{ContainerPort, Node, Pod, Taint};

use super::{
    affinity,
    neighbours::{Demands, Unwelcome},
    pod_info::PodInfo,
    resources::{Amounts, PODS},
    snapshot::{NodeInfo, Snapshot},
    spread::{Spread, Uneven},
};
use crate::controllers::node::eviction::tolerates;

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What kind of thing keeps a pod away from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// There is no node at all.
    NoNodes,
    Cordoned,
    Taint,
    NodeAffinity,
    Ports,
    Resources,
    Spread,
    /// Wanted neighbours are missing.
    Lonely,
    /// Unwanted neighbours are there.
    Disturbed,
    /// Somebody there does not want it.
    Disturbing,
}

/// Why a node cannot take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) cause: Cause,
    /// One or more, as they are counted in the message.
    pub(super) reasons: Vec<String>,
    /// Whether it would help if some pods were not there.
    pub(super) is_curable: bool,
}

/// A pod that looks for a node, with what needs to be known only once.
pub(super) struct Seeker<'a> {
    pod: &'a PodInfo,
    spread: Spread<'a>,
    demands: Demands<'a>,
}

impl<'a> Seeker<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, pod: &'a PodInfo) -> Self {
        Self { pod, spread: Spread::new(snapshot, pod), demands: Demands::new(snapshot, pod) }
    }
}

/// Why this node cannot take the pod, if it cannot.
pub(super) fn reject(seeker: &Seeker<'_>, node: &NodeInfo) -> Option<Rejection> {
    reject_alone(seeker.pod, node).or_else(|| uneven(seeker, node)).or_else(|| unwelcome(seeker, node))
}

/// Whether a node can take a pod as far as only this node is concerned.
pub(super) fn fits_alone(pod: &PodInfo, node: &NodeInfo) -> bool {
    reject_alone(pod, node).is_none()
}

fn reject_alone(pod: &PodInfo, node: &NodeInfo) -> Option<Rejection> {
    if is_cordoned(&pod.pod, &node.node) {
        return Some(for_good(Cause::Cordoned, "node(s) were unschedulable"));
    }
    if let Some(taint) = untolerated(&pod.pod, &node.node) {
        let value = taint.value.as_deref().unwrap_or_default();
        let reason = format!("node(s) had untolerated taint {{{}: {value}}}", taint.key);
        return Some(for_good(Cause::Taint, &reason));
    }
    if !affinity::allows(&pod.pod, &node.node) {
        return Some(for_good(Cause::NodeAffinity, "node(s) didn't match Pod's node affinity/selector"));
    }
    if conflicts_on_ports(&pod.pod, node) {
        return Some(for_now(Cause::Ports, "node(s) didn't have free ports for the requested pod ports"));
    }
    exceeds(&pod.requests, node)
}

fn uneven(seeker: &Seeker<'_>, node: &NodeInfo) -> Option<Rejection> {
    let words = "node(s) didn't match pod topology spread constraints";
    Some(match seeker.spread.check(node)? {
        Uneven::MissingLabel => for_good(Cause::Spread, &format!("{words} (missing required label)")),
        Uneven::TooMany => for_now(Cause::Spread, words),
    })
}

fn unwelcome(seeker: &Seeker<'_>, node: &NodeInfo) -> Option<Rejection> {
    Some(match seeker.demands.check(node)? {
        Unwelcome::Lonely => for_good(Cause::Lonely, "node(s) didn't match pod affinity rules"),
        Unwelcome::Disturbed => for_now(Cause::Disturbed, "node(s) didn't match pod anti-affinity rules"),
        Unwelcome::Disturbing => for_now(Cause::Disturbing, "node(s) didn't satisfy existing pods anti-affinity rules"),
    })
}

fn for_good(cause: Cause, reason: &str) -> Rejection {
    Rejection { cause, reasons: vec![reason.to_owned()], is_curable: false }
}

fn for_now(cause: Cause, reason: &str) -> Rejection {
    Rejection { cause, reasons: vec![reason.to_owned()], is_curable: true }
}

fn is_cordoned(pod: &Pod, node: &Node) -> bool {
    let taint = Taint { key: UNSCHEDULABLE.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) && !tolerates_any(pod, &taint)
}

fn tolerates_any(pod: &Pod, taint: &Taint) -> bool {
    let tolerations = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    tolerations.into_iter().any(|toleration| tolerates(toleration, taint))
}

/// The first taint that keeps the pod away.
pub(super) fn untolerated<'a>(pod: &Pod, node: &'a Node) -> Option<&'a Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let hard = taints.filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    hard.into_iter().find(|taint| !tolerates_any(pod, taint))
}

/// How many taints the pod would rather avoid.
pub(super) fn avoided(pod: &Pod, node: &Node) -> usize {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates_any(pod, taint)).count()
}

fn host_ports(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let containers = pod.spec.iter().flat_map(|spec| {
        let sidecars = spec.init_containers.iter().flatten();
        spec.containers.iter().chain(sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always")))
    });
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.filter(|port| port.host_port.is_some_and(|number| number > 0))
}

fn conflicts_on_ports(pod: &Pod, node: &NodeInfo) -> bool {
    host_ports(pod)
        .any(|port| node.pods.values().flat_map(|other| host_ports(&other.pod)).any(|other| overlaps(port, other)))
}

fn overlaps(a: &ContainerPort, b: &ContainerPort) -> bool {
    let address =
        |port: &ContainerPort| port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
    let protocol = |port: &ContainerPort| port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let (at, other) = (address(a), address(b));
    a.host_port == b.host_port && protocol(a) == protocol(b) && (at == other || at == "0.0.0.0" || other == "0.0.0.0")
}

/// What the pod asks for and the node cannot give.
fn exceeds(requests: &Amounts, node: &NodeInfo) -> Option<Rejection> {
    const ONE: i128 = 1_000_000_000;
    let amount = |amounts: &Amounts, resource: &str| amounts.get(resource).copied().unwrap_or_default();
    let mut rejection = Rejection { cause: Cause::Resources, reasons: Vec::new(), is_curable: true };
    let pods = i128::try_from(node.pods.len()).unwrap_or(i128::MAX / ONE);
    if (pods + 1) * ONE > amount(&node.allocatable, PODS) {
        rejection.reasons.push("Too many pods".to_owned());
    }
    for (resource, wanted) in requests.iter().filter(|(_, wanted)| **wanted > 0) {
        let all = amount(&node.allocatable, resource);
        if *wanted > all - amount(&node.requested, resource) {
            rejection.reasons.push(format!("Insufficient {resource}"));
            // More than the whole node: no use in making room.
            rejection.is_curable &= *wanted <= all;
        }
    }
    (!rejection.reasons.is_empty()).then_some(rejection)
}
