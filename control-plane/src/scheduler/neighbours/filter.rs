//! Where a pod may be for the sake of its neighbours.

use std::collections::HashSet;

use super::Term;
use crate::scheduler::{
    pod_info::PodInfo,
    snapshot::{NodeInfo, Snapshot},
};

/// A label of nodes and its value.
type Place<'a> = (&'a str, &'a str);

/// What one pod and its neighbours to be demand of each other.
pub(in crate::scheduler) struct Demands<'a> {
    pod: &'a PodInfo,
    /// Where pods are that match all of the pod's wishes.
    near: HashSet<Place<'a>>,
    /// Where pods are that it does not want.
    away: HashSet<Place<'a>>,
    /// Where pods are that do not want it.
    forbidden: HashSet<Place<'a>>,
    /// Whether it is itself what it wishes to be near to.
    wants_itself: bool,
}

/// Why a node does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler) enum Unwelcome {
    /// Wanted neighbours are missing.
    Lonely,
    /// Unwanted ones are there.
    Disturbed,
    /// Somebody there does not want it.
    Disturbing,
}

impl<'a> Demands<'a> {
    pub(in crate::scheduler) fn new(snapshot: &'a Snapshot, pod: &'a PodInfo) -> Self {
        let (wanted, unwanted) = (&pod.neighbours.wanted, &pod.neighbours.unwanted);
        let selects = |term: &Term, other: &PodInfo| term.selects(&other.pod, &snapshot.namespaces);
        let selected_by_all = |other: &PodInfo| !wanted.is_empty() && wanted.iter().all(|term| selects(term, other));
        let mut demands = Self {
            pod,
            near: HashSet::new(),
            away: HashSet::new(),
            forbidden: HashSet::new(),
            wants_itself: selected_by_all(pod),
        };
        for node in &snapshot.nodes {
            let place = |term: &'a Term| Some((term.topology.as_str(), node.label(&term.topology)?));
            for other in node.pods.values() {
                if selected_by_all(other) {
                    demands.near.extend(wanted.iter().filter_map(place));
                }
                demands.away.extend(unwanted.iter().filter(|term| selects(term, other)).filter_map(place));
                let theirs = other.neighbours.unwanted.iter().filter(|term| selects(term, pod));
                demands.forbidden.extend(theirs.filter_map(place));
            }
        }
        demands
    }

    pub(in crate::scheduler) fn check(&self, node: &NodeInfo) -> Option<Unwelcome> {
        let is_at = |places: &HashSet<Place<'_>>, topology: &str| {
            node.label(topology).is_some_and(|value| places.contains(&(topology, value)))
        };
        let (wanted, unwanted) = (&self.pod.neighbours.wanted, &self.pod.neighbours.unwanted);
        let has_topology = wanted.iter().all(|term| node.label(&term.topology).is_some());
        // The first of pods that want to be near each other has nobody to be near to.
        let is_first = || self.near.is_empty() && self.wants_itself;
        if !has_topology || !(wanted.iter().all(|term| is_at(&self.near, &term.topology)) || is_first()) {
            return Some(Unwelcome::Lonely);
        }
        if unwanted.iter().any(|term| is_at(&self.away, &term.topology)) {
            return Some(Unwelcome::Disturbed);
        }
        let is_forbidden = self.forbidden.iter().any(|(topology, value)| node.label(topology) == Some(value));
        is_forbidden.then_some(Unwelcome::Disturbing)
    }
}
