//! Which pods make way for new ones, and where new ones come first. Pure. Follows upstream's
//! `rollingUpdate`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::DaemonSet, core::v1::Pod},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::history;
use crate::controllers::pod_facts;

/// What moves a rollout on.
#[derive(Default)]
pub(super) struct Step {
    /// Pods to delete.
    pub(super) leaving: Vec<Arc<Pod>>,
    /// Nodes that get a new pod beside the old one.
    pub(super) surging: Vec<String>,
}

/// How many nodes may be without a pod, and how many may have two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    unavailable: usize,
    pub(super) surge: usize,
}

impl Pace {
    /// The pace of a set that wants pods on so many nodes; none for a set that only replaces what
    /// others delete.
    pub(super) fn of(set: &DaemonSet, desired: usize) -> Option<Self> {
        let strategy = set.spec.as_ref()?.update_strategy.as_ref()?;
        if strategy.type_.as_deref() == Some("OnDelete") {
            return None;
        }
        let rolling = strategy.rolling_update.clone().unwrap_or_default();
        Some(Self {
            unavailable: share(rolling.max_unavailable.as_ref(), 1, desired),
            surge: share(rolling.max_surge.as_ref(), 0, desired),
        })
    }
}

/// A number, or a percentage of the nodes, rounded up.
fn share(value: Option<&IntOrString>, usual: usize, desired: usize) -> usize {
    match value {
        None => usual,
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or(0),
        Some(IntOrString::String(text)) => {
            let percent: usize = text.trim_end_matches('%').parse().unwrap_or(0);
            (desired * percent).div_ceil(100)
        }
    }
}

/// A node with pods of a set.
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    /// Whether it is to have a pod.
    pub(super) runs: bool,
    pub(super) pods: &'a [Arc<Pod>],
}

/// The next step of a rollout over these nodes, for a set that wants pods on `desired` nodes.
pub(super) fn step<'a>(
    pace: Pace,
    desired: usize,
    nodes: impl Iterator<Item = Node<'a>>,
    is_new: &dyn Fn(&Pod) -> bool,
    is_available: &dyn Fn(&Pod) -> bool,
) -> Step {
    let places = nodes.map(|node| {
        let place = Place::of(node.pods, is_new);
        (node, place)
    });
    if pace.surge == 0 { replace(pace, places, is_available) } else { surge(pace, desired, places, is_available) }
}

/// The pods of a node that stay: of the new template and of an old one.
enum Place {
    Settled {
        new: Option<Arc<Pod>>,
        old: Option<Arc<Pod>>,
    },
    /// More than belong there; they are being cleared away.
    Crowded,
}

impl Place {
    fn of(pods: &[Arc<Pod>], is_new: &dyn Fn(&Pod) -> bool) -> Self {
        let (mut new, mut old) = (None, None);
        for pod in pods.iter().filter(|pod| !pod_facts::is_terminating(pod)) {
            let slot = if is_new(pod) { &mut new } else { &mut old };
            if slot.replace(pod.clone()).is_some() {
                return Self::Crowded;
            }
        }
        Self::Settled { new, old }
    }
}

/// Old pods go first. Those that do nothing may go at once; of the others, as many as nodes may
/// be without.
fn replace<'a>(
    pace: Pace,
    places: impl Iterator<Item = (Node<'a>, Place)>,
    is_available: &dyn Fn(&Pod) -> bool,
) -> Step {
    let (mut missing, mut useless, mut useful) = (0, Vec::new(), Vec::new());
    for (_, place) in places {
        match place {
            Place::Settled { new: None, old: Some(old) } if is_available(&old) => useful.push(old),
            Place::Settled { new: None, old: Some(old) } => {
                missing += 1;
                useless.push(old);
            }
            Place::Settled { new: Some(new), old: None } if is_available(&new) => {}
            _ => missing += 1,
        }
    }
    useful.truncate(pace.unavailable.saturating_sub(missing));
    Step { leaving: useless.into_iter().chain(useful).collect(), surging: Vec::new() }
}

/// New pods come first, and old ones go when these are there. Where no pod is to run any more, the
/// old one goes when it does nothing, or when enough others do.
fn surge<'a>(
    pace: Pace,
    desired: usize,
    places: impl Iterator<Item = (Node<'a>, Place)>,
    is_available: &dyn Fn(&Pod) -> bool,
) -> Step {
    let (mut surged, mut available) = (0, 0);
    let (mut step, mut candidates, mut unwanted) = (Step::default(), Vec::new(), Vec::new());
    for (node, place) in places {
        let Place::Settled { new, old } = place else {
            surged += 1;
            continue;
        };
        available += usize::from(old.as_ref().or(new.as_ref()).is_some_and(|pod| is_available(pod)));
        match (new, old) {
            (_, None) => {}
            (Some(new), Some(old)) if is_available(&new) => step.leaving.push(old),
            (Some(_), Some(_)) => surged += 1,
            (None, Some(old)) if !node.runs => {
                let list = if is_available(&old) { &mut unwanted } else { &mut step.leaving };
                list.push(old);
            }
            (None, Some(old)) if is_available(&old) => candidates.push(node.name.to_owned()),
            // Where the old one does nothing, a new one does no harm.
            (None, Some(_)) => step.surging.push(node.name.to_owned()),
        }
    }
    candidates.truncate(pace.surge.saturating_sub(surged));
    step.surging.extend(candidates);
    unwanted.truncate(available.saturating_sub(desired));
    step.leaving.extend(unwanted);
    step
}

/// Whether a pod has been ready for as long as its set asks for.
pub(super) fn is_available(set: &DaemonSet, now: Timestamp) -> impl Fn(&Pod) -> bool {
    let min_ready = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or_default();
    move |pod| pod_facts::is_available(pod, min_ready, now)
}

/// Whether a pod is made from the present template.
pub(super) fn is_new(hash: &str) -> impl Fn(&Pod) -> bool {
    move |pod| history::is_updated(pod, hash)
}
