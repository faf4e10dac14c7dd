//! Which pods a pod wants near it, and which not: `podAffinity` and `podAntiAffinity`. Pure.
//! Follows upstream's `plugins/interpodaffinity`.

mod filter;
mod score;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use super::snapshot::Namespaces;

pub(super) use filter::{Demands, Unwelcome};
pub(super) use score::scores;

/// What one pod says about its neighbours.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// All of these must be near.
    pub(super) wanted: Vec<Term>,
    /// None of these may be near.
    pub(super) unwanted: Vec<Term>,
    /// These count for a place, or, when negative, against it.
    pub(super) preferred: Vec<(i64, Term)>,
}

/// Some pods, and how near is near: on nodes with the same value of a label.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) topology: String,
    namespaces: BTreeSet<String>,
    namespace_selector: Option<Selector>,
    /// Nothing without.
    selector: Option<Selector>,
}

impl Neighbours {
    pub(super) fn of(pod: &Pod) -> Self {
        let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else { return Self::default() };
        let (near, away) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
        let required = |terms: Option<&Vec<PodAffinityTerm>>| -> Vec<Term> {
            terms.into_iter().flatten().map(|term| Term::new(pod, term)).collect()
        };
        let weighted = |sign: i64, terms: Option<&Vec<WeightedPodAffinityTerm>>| -> Vec<(i64, Term)> {
            let weigh = |term: &WeightedPodAffinityTerm| {
                (sign * i64::from(term.weight), Term::new(pod, &term.pod_affinity_term))
            };
            terms.into_iter().flatten().map(weigh).collect()
        };
        let mut preferred =
            weighted(1, near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref()));
        preferred.extend(weighted(
            -1,
            away.and_then(|away| away.preferred_during_scheduling_ignored_during_execution.as_ref()),
        ));
        Self {
            wanted: required(near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref())),
            unwanted: required(away.and_then(|away| away.required_during_scheduling_ignored_during_execution.as_ref())),
            preferred,
        }
    }
}

impl Term {
    /// A term of this pod.
    fn new(pod: &Pod, term: &PodAffinityTerm) -> Self {
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.extend(pod.namespace());
        }
        // The server has put `matchLabelKeys` and `mismatchLabelKeys` into the selector.
        let read = |selector: Option<&LabelSelector>| Selector::try_from(selector?.clone()).ok();
        Self {
            topology: term.topology_key.clone(),
            namespaces,
            namespace_selector: read(term.namespace_selector.as_ref()),
            selector: read(term.label_selector.as_ref()),
        }
    }

    /// Whether a pod is one of those.
    pub(super) fn selects(&self, pod: &Pod, namespaces: &Namespaces) -> bool {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let is_selected = |selector: &Selector| selector.matches(namespaces.get(namespace).unwrap_or(&NONE));
        (self.namespaces.contains(namespace) || self.namespace_selector.as_ref().is_some_and(is_selected))
            && self.selector.as_ref().is_some_and(|selector| selector.matches(pod.labels()))
    }
}
