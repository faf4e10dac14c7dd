//! Pods that found no node, until when each is left alone, and whom a change may help.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use nodeplane_api::meta::Key;
use tokio::time::Instant;

use super::{
    filter::{self, Cause},
    neighbours::Term,
    pod_info::PodInfo,
    snapshot::{Namespaces, NodeInfo},
};
use crate::metrics::scheduling::UNSCHEDULABLE;

/// A pod that found no node is looked at again after this time even if nothing changed, and
/// its reason to wait is told again.
pub(super) const FLUSH: Duration = Duration::from_secs(300);
/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Causes that concern one node alone.
const ALONE: [Cause; 5] = [Cause::Cordoned, Cause::Taint, Cause::NodeAffinity, Cause::Ports, Cause::Resources];

/// What keeps a pod waiting.
pub(super) type Causes = BTreeSet<Cause>;

/// The pods that wait.
#[derive(Default)]
pub(super) struct Waiting(HashMap<Key, Wait>);

struct Wait {
    pod: Arc<PodInfo>,
    /// None while that is being found out: then every change may help.
    causes: Option<Causes>,
    failures: u32,
    /// Not to be looked at before.
    rests_until: Instant,
    told: Option<(String, Instant)>,
}

/// Something that changed, as far as it concerns pods that wait.
pub(super) enum Happening<'a> {
    /// A node is new or another than before.
    Node(&'a NodeInfo),
    /// A node is gone.
    NodeGone,
    /// A pod on this node, if that is there, takes less room than before.
    Room(Option<&'a NodeInfo>),
    /// A pod that takes room came, went, or has other labels.
    Neighbour(&'a PodInfo, &'a Namespaces),
    /// The labels of a namespace.
    Namespace,
}

impl Waiting {
    /// Enters a pod before it is looked at, so that no change meanwhile is lost on it. Returns how
    /// long it has to be left alone instead, if it has.
    pub(super) fn begin(&mut self, pod: &Arc<PodInfo>, now: Instant) -> Option<Duration> {
        let same = |wait: &Wait| wait.pod.uid() == pod.uid();
        let known = self.take(&pod.key).filter(same);
        let mut wait = known.unwrap_or_else(|| Wait::new(pod.clone(), now));
        wait.pod = pod.clone();
        let left = wait.rests_until.checked_duration_since(now).filter(|left| !left.is_zero());
        if left.is_none() {
            wait.causes = None;
        }
        UNSCHEDULABLE.add(wait.causes.is_some().into());
        self.0.insert(pod.key.clone(), wait);
        left
    }

    /// The pod found no node. Returns whether that is worth telling.
    pub(super) fn fail(&mut self, key: &Key, causes: Causes, message: &str, now: Instant) -> bool {
        // Gone meanwhile.
        let Some(wait) = self.0.get_mut(key) else { return false };
        UNSCHEDULABLE.add(wait.causes.is_none().into());
        wait.causes = Some(causes);
        wait.rests_until = now + pause(wait.failures);
        wait.failures = wait.failures.saturating_add(1);
        let is_old = |(told, at): &(String, Instant)| told == message && now.duration_since(*at) < FLUSH;
        if wait.told.as_ref().is_some_and(is_old) {
            return false;
        }
        wait.told = Some((message.to_owned(), now));
        true
    }

    /// The pod waits no more.
    pub(super) fn remove(&mut self, key: &Key) {
        self.take(key);
    }

    fn take(&mut self, key: &Key) -> Option<Wait> {
        let wait = self.0.remove(key)?;
        UNSCHEDULABLE.add(-i64::from(wait.causes.is_some()));
        Some(wait)
    }

    /// Whom it may help.
    pub(super) fn helped_by(&self, happening: &Happening<'_>) -> Vec<Key> {
        let helped = self.0.iter().filter(|(_, wait)| wait.may_be_helped_by(happening));
        helped.map(|(key, _)| key.clone()).collect()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Whoever schedules next counts them anew.
        let counted = self.0.values().filter(|wait| wait.causes.is_some()).count();
        UNSCHEDULABLE.add(-i64::try_from(counted).unwrap_or(i64::MAX));
    }
}

impl Wait {
    fn new(pod: Arc<PodInfo>, now: Instant) -> Self {
        Self { pod, causes: None, failures: 0, rests_until: now, told: None }
    }

    fn may_be_helped_by(&self, happening: &Happening<'_>) -> bool {
        let Some(causes) = &self.causes else { return true };
        let has_any = |some: &[Cause]| some.iter().any(|cause| causes.contains(cause));
        let neighbours = || has_any(&[Cause::Lonely, Cause::Disturbed, Cause::Disturbing]);
        match happening {
            Happening::Node(node) => {
                has_any(&[Cause::NoNodes, Cause::Spread]) || neighbours() || filter::fits_alone(&self.pod, node)
            }
            Happening::NodeGone => has_any(&[Cause::Spread]) || neighbours(),
            // Not only causes that room cures: one that was cured on a full node is still noted.
            Happening::Room(node) => has_any(&ALONE) && node.is_some_and(|node| filter::fits_alone(&self.pod, node)),
            Happening::Neighbour(other, namespaces) => {
                (has_any(&[Cause::Spread]) && is_spread_with(&self.pod, other))
                    || neighbour_helps(&self.pod, causes, other, namespaces)
            }
            Happening::Namespace => neighbours(),
        }
    }
}

fn is_spread_with(pod: &PodInfo, other: &PodInfo) -> bool {
    let in_same_namespace = pod.pod.metadata.namespace == other.pod.metadata.namespace;
    in_same_namespace && pod.spread.iter().any(|constraint| constraint.is_hard && constraint.selects(&other.pod))
}

fn neighbour_helps(pod: &PodInfo, causes: &Causes, other: &PodInfo, namespaces: &Namespaces) -> bool {
    let any = |terms: &[Term], pod: &PodInfo| terms.iter().any(|term| term.selects(&pod.pod, namespaces));
    (causes.contains(&Cause::Lonely) && any(&pod.neighbours.wanted, other))
        || (causes.contains(&Cause::Disturbed) && any(&pod.neighbours.unwanted, other))
        || (causes.contains(&Cause::Disturbing) && any(&other.neighbours.unwanted, pod))
}

/// The pause after a failure with `failures` others before it.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(8)).min(LONGEST_PAUSE)
}
