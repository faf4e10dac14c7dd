//! Which nodes run a pod of a set, and what that pod is. Pure. Follows upstream's
//! `NodeShouldRunDaemonPod`.

use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{
            Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec,
            Toleration,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;

use super::history;
use crate::{
    controllers::{node::eviction::tolerates, ownership, pod_facts},
    scheduler::affinity,
};

/// The field by which a pod names its node.
const NODE_NAME: &str = "metadata.name";
/// What a pod on every node bears: the troubles that keep other pods away.
const TROUBLES: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const NO_NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// What a node is to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// It is to have a pod.
    pub(super) runs: bool,
    /// It may keep the pod that it has.
    pub(super) keeps: bool,
}

/// The pod of a set, as it is before a node is chosen.
pub(super) fn draft(set: &DaemonSet) -> Pod {
    let template = set.spec.clone().unwrap_or_default().template;
    let meta = template.metadata.unwrap_or_default();
    let mut spec = template.spec.unwrap_or_default();
    let network = (spec.host_network == Some(true)).then_some(NO_NETWORK);
    for (key, effect) in TROUBLES.into_iter().chain(network) {
        bear(&mut spec, key, effect);
    }
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", set.name_any())),
            namespace: set.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![ownership::controller_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

fn bear(spec: &mut PodSpec, key: &str, effect: &str) {
    let wanted = Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    };
    let all = spec.tolerations.get_or_insert_default();
    let is_same = |other: &Toleration| {
        other.key == wanted.key
            && other.operator == wanted.operator
            && other.effect == wanted.effect
            && other.value.as_deref().unwrap_or_default().is_empty()
    };
    match all.iter_mut().find(|other| is_same(other)) {
        Some(other) => *other = wanted,
        None => all.push(wanted),
    }
}

/// The pod for a node, of a revision of the template.
pub(super) fn pod_for(set: &DaemonSet, draft: &Pod, node: &str, hash: &str) -> Pod {
    let mut pod = draft.clone();
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(history::HASH.to_owned(), hash.to_owned());
    if let Some(generation) = set.annotations().get(history::TEMPLATE_GENERATION) {
        labels.insert("pod-template-generation".to_owned(), generation.clone());
    }
    let affinity = pod.spec.get_or_insert_default().affinity.get_or_insert_with(Affinity::default);
    let only_here = NodeSelectorTerm {
        match_fields: Some(vec![NodeSelectorRequirement {
            key: NODE_NAME.to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        }]),
        match_expressions: None,
    };
    let affinity = affinity.node_affinity.get_or_insert_with(NodeAffinity::default);
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![only_here] });
    pod
}

/// The node on which a pod runs or is to run.
pub(super) fn target(pod: &Pod) -> Option<&str> {
    let bound = pod_facts::node(pod);
    if !bound.is_empty() {
        return Some(bound);
    }
    let required = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &required.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut named = fields.filter(|field| field.key == NODE_NAME && field.operator == "In");
    named.find_map(|field| field.values.as_deref().and_then(|values| values.first()).map(String::as_str))
}

/// What a node is to the set of a draft.
pub(super) fn fit(draft: &Pod, node: &Node) -> Fit {
    let named = pod_facts::node(draft);
    if (!named.is_empty() && named != node.name_any()) || !affinity::allows(draft, node) {
        return Fit { runs: false, keeps: false };
    }
    let tolerations: Vec<&Toleration> = draft.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten()).collect();
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let untolerated = taints.filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)));
    let effects: Vec<&str> = untolerated.map(|taint| taint.effect.as_str()).collect();
    Fit {
        runs: !effects.iter().any(|effect| matches!(*effect, "NoSchedule" | "NoExecute")),
        keeps: !effects.contains(&"NoExecute"),
    }
}

/// Whether a node that was told again is the same to every set.
pub(super) fn says_the_same(old: &Node, new: &Node) -> bool {
    old.metadata.labels == new.metadata.labels && old.spec == new.spec
}
