//! Which nodes a pod names by labels. Pure. Follows upstream's
//! `component-helpers/scheduling/corev1/nodeaffinity`.

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod};
use kube::ResourceExt;

/// Whether a node is one that the pod's selector and required affinity allow.
pub(crate) fn allows(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| node.labels().get(key) == Some(value));
    let required = spec.affinity.as_ref().and_then(|affinity| {
        affinity.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
    });
    selected && required.is_none_or(|required| required.node_selector_terms.iter().any(|term| matches(term, node)))
}

/// How much the pod prefers a node: the sum of the weights of the terms that match.
pub(super) fn preference(pod: &Pod, node: &Node) -> i64 {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
    let terms = affinity
        .iter()
        .flat_map(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten());
    // Unlike a required term, an empty preferred one matches every node.
    let matching = terms.filter(|term| is_empty(&term.preference) || matches(&term.preference, node));
    matching.map(|term| i64::from(term.weight)).sum()
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.iter().flatten().next().is_none() && term.match_fields.iter().flatten().next().is_none()
}

fn matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let name = node.name_any();
    let label = |key: &str| node.labels().get(key).map(String::as_str);
    let field = |key: &str| (key == "metadata.name").then_some(name.as_str());
    !is_empty(term)
        && term.match_expressions.iter().flatten().all(|requirement| is_met(requirement, label(&requirement.key)))
        && term.match_fields.iter().flatten().all(|requirement| is_met(requirement, field(&requirement.key)))
}

fn is_met(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = || requirement.values.iter().flatten().map(String::as_str);
    let compared = |holds: fn(i64, i64) -> bool| {
        let (value, bound) = (value.and_then(|value| value.parse().ok()), values().next().and_then(|v| v.parse().ok()));
        value.zip(bound).is_some_and(|(value, bound)| holds(value, bound))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values().any(|wanted| wanted == value)),
        "NotIn" => value.is_none_or(|value| values().all(|unwanted| unwanted != value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(|value, bound| value > bound),
        "Lt" => compared(|value, bound| value < bound),
        _ => false,
    }
}
