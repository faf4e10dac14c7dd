//! What a DaemonSet needs next. Pure. Follows upstream's `daemon_controller.go`.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet, DaemonSetStatus},
    core::v1::{Node, Pod},
};
use kube::{Resource, ResourceExt};
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;

use super::{
    backoff::Backoff,
    history::{self, History},
    nodes::{self, Fit},
    rolling::{self, Pace},
    status,
};
use crate::controllers::{
    caches::row,
    ownership::{self, Claim},
    pod_facts,
};

/// The most pods that are created or deleted in one go.
const BURST: usize = 250;

/// What a plan is made from.
pub struct Facts<'a> {
    /// The set.
    pub set: &'a DaemonSet,
    /// All nodes.
    pub nodes: &'a [Arc<Node>],
    /// All pods in its namespace.
    pub pods: &'a [Arc<Pod>],
    /// All revisions in its namespace.
    pub revisions: &'a [Arc<ControllerRevision>],
    /// Where pods have failed.
    pub backoff: &'a Backoff,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Adoptions and releases.
    pub claims: Vec<Write>,
    /// Whether there are adoptions.
    pub adopts: bool,
    /// The revision of the present template, when it is not the newest.
    pub revision: Option<Write>,
    /// Pods to create or to delete.
    pub pods: Vec<Write>,
    /// Node and name of pods that failed, and are deleted.
    pub failed: Vec<(String, String)>,
    /// Node and name of pods that ended, and are deleted.
    pub succeeded: Vec<(String, String)>,
    /// Revisions that are not needed any more.
    pub cleanup: Vec<Write>,
    /// The status with the pods that the plan was made from.
    pub status: Option<DaemonSetStatus>,
    /// When time alone makes a difference.
    pub recheck: Option<Duration>,
}

/// What is to be done for a set.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let mut plan = Plan::default();
    let set = facts.set;
    let Some(selector) = set.spec.as_ref().and_then(|spec| ownership::selector(&spec.selector)) else { return plan };
    let pods = plan.claim(set, &selector, facts.pods);
    let revisions = plan.claim(set, &selector, facts.revisions);
    if set.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let mut history = History::of(set, &revisions);
    plan.revision = history.write.take();
    let draft = nodes::draft(set);
    let places = Places::of(&draft, facts.nodes, &pods);
    Manager { facts, draft: &draft, history: &history, plan: &mut plan }.manage(&places);
    plan.cleanup = history.cleanup(set, pods.iter().map(AsRef::as_ref));
    let all = places.nodes.values().map(|place| (place.fit, place.pods.as_slice()));
    plan.status = Some(status::status(set, all, &history.hash, facts.now));
    let min_ready = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or_default();
    let left = pods.iter().filter_map(|pod| pod_facts::available_in(pod, min_ready, facts.now));
    plan.recheck = left.filter(|left| !left.is_zero()).chain(plan.recheck).min();
    plan
}

impl Plan {
    /// The objects that belong to the set, with the writes that make it so.
    fn claim<K: Resource<DynamicType = ()>>(
        &mut self,
        set: &DaemonSet,
        selector: &kube::core::Selector,
        objects: &[Arc<K>],
    ) -> Vec<Arc<K>> {
        let mut mine = Vec::new();
        for object in objects {
            match ownership::claim(&set.metadata, selector, object.meta()) {
                Claim::Mine => mine.push(object.clone()),
                Claim::Adopt => {
                    let owner = ownership::controller_reference(set);
                    self.claims.push(ownership::adopt(row::<K>(), object.meta(), owner));
                    self.adopts = true;
                    mine.push(object.clone());
                }
                Claim::Release => {
                    let uid = set.uid().unwrap_or_default();
                    self.claims.push(ownership::release(row::<K>(), object.meta(), &uid));
                }
                Claim::Foreign => {}
            }
        }
        mine
    }

    fn delete(&mut self, pod: &Pod) {
        let uid = pod.uid().unwrap_or_default();
        self.pods.push(Write::delete(row::<Pod>(), Key::of_meta(&pod.metadata), uid));
    }
}

/// A node and the pods there.
struct Place {
    fit: Fit,
    pods: Vec<Arc<Pod>>,
}

/// All nodes by name, and pods that wait for a node that is gone.
struct Places {
    nodes: BTreeMap<String, Place>,
    stranded: Vec<Arc<Pod>>,
}

impl Places {
    fn of(draft: &Pod, all: &[Arc<Node>], pods: &[Arc<Pod>]) -> Self {
        let place = |node: &Arc<Node>| (node.name_any(), Place { fit: nodes::fit(draft, node), pods: Vec::new() });
        let mut places = Self { nodes: all.iter().map(place).collect(), stranded: Vec::new() };
        // What has ended and is on its way out holds no place; its node has nothing more to do with it.
        for pod in pods.iter().filter(|pod| !(pod_facts::is_finished(pod) && pod_facts::is_terminating(pod))) {
            let place = nodes::target(pod).and_then(|node| places.nodes.get_mut(node));
            match place {
                Some(place) => place.pods.push(pod.clone()),
                // What is bound to a node goes with it; others see to that.
                None if pod_facts::node(pod).is_empty() => places.stranded.push(pod.clone()),
                None => {}
            }
        }
        places
    }
}

struct Manager<'a> {
    facts: &'a Facts<'a>,
    draft: &'a Pod,
    history: &'a History,
    plan: &'a mut Plan,
}

impl Manager<'_> {
    /// One pod for every node; when that is so, a rollout goes on.
    fn manage(&mut self, places: &Places) {
        let desired = places.nodes.values().filter(|place| place.fit.runs).count();
        let pace = Pace::of(self.facts.set, desired);
        let may_surge = pace.is_some_and(|pace| pace.surge > 0);
        for (node, place) in &places.nodes {
            match (place.fit, place.pods.is_empty()) {
                (Fit { runs: true, .. }, true) => self.create(node),
                (Fit { keeps: true, .. }, false) => self.tidy(node, place, may_surge),
                (Fit { keeps: false, .. }, false) => self.clear(&place.pods),
                _ => {}
            }
        }
        self.clear(&places.stranded);
        if let (Some(pace), true) = (pace, self.plan.pods.is_empty()) {
            self.roll(pace, desired, places);
        }
        self.plan.pods.truncate(BURST);
    }

    fn create(&mut self, node: &str) {
        let pod = nodes::pod_for(self.facts.set, self.draft, node, &self.history.hash);
        self.plan.pods.push(Write::create(row::<Pod>(), &pod));
    }

    fn clear(&mut self, pods: &[Arc<Pod>]) {
        for pod in pods.iter().filter(|pod| !pod_facts::is_terminating(pod)) {
            self.plan.delete(pod);
        }
    }

    /// Takes away what has ended and what is too many.
    fn tidy(&mut self, node: &str, place: &Place, may_surge: bool) {
        let mut running = Vec::new();
        for pod in place.pods.iter().filter(|pod| !pod_facts::is_terminating(pod)) {
            match pod_facts::phase(pod) {
                "Failed" => self.replace_failed(node, pod),
                "Succeeded" => {
                    self.plan.succeeded.push((node.to_owned(), pod.name_any()));
                    self.plan.delete(pod);
                }
                _ => running.push(pod.clone()),
            }
        }
        running.sort_by(by_age);
        if !may_surge {
            running.iter().skip(1).for_each(|pod| self.plan.delete(pod));
        } else if place.fit.runs && place.pods.iter().all(|pod| pod_facts::is_terminating(pod)) {
            // Where there may be two, a new pod need not wait for the end of the old one.
            self.create(node);
        } else if running.len() > 1 {
            self.tidy_surge(&running);
        }
    }

    fn replace_failed(&mut self, node: &str, pod: &Pod) {
        if let Some(rest) = self.facts.backoff.rest(self.facts.set, node, self.facts.now) {
            self.plan.recheck = Some(self.plan.recheck.map_or(rest, |other| other.min(rest)));
            return;
        }
        self.plan.failed.push((node.to_owned(), pod.name_any()));
        self.plan.delete(pod);
    }

    /// Of several pods on a node, the oldest new and the oldest old one stay, the old one until the
    /// new one is there or it does nothing itself.
    fn tidy_surge(&mut self, running: &[Arc<Pod>]) {
        let (mut new, mut old): (Option<&Arc<Pod>>, Option<&Arc<Pod>>) = (None, None);
        for pod in running {
            let slot = if history::is_updated(pod, &self.history.hash) { &mut new } else { &mut old };
            match slot {
                None => *slot = Some(pod),
                Some(_) => self.plan.delete(pod),
            }
        }
        let is_available = rolling::is_available(self.facts.set, self.facts.now);
        if let (Some(new), Some(old)) = (new, old)
            && (!pod_facts::is_ready(old) || is_available(new))
        {
            self.plan.delete(old);
        }
    }

    fn roll(&mut self, pace: Pace, desired: usize, places: &Places) {
        let taken = places.nodes.iter().filter(|(_, place)| !place.pods.is_empty());
        let taken = taken.map(|(node, place)| rolling::Node { name: node, runs: place.fit.runs, pods: &place.pods });
        let is_new = rolling::is_new(&self.history.hash);
        let is_available = rolling::is_available(self.facts.set, self.facts.now);
        let step = rolling::step(pace, desired, taken, &is_new, &is_available);
        step.leaving.iter().for_each(|pod| self.plan.delete(pod));
        step.surging.iter().for_each(|node| self.create(node));
    }
}

/// Bound pods first, then the older ones.
pub(super) fn by_age(a: &Arc<Pod>, b: &Arc<Pod>) -> Ordering {
    let key = |pod: &Pod| {
        (pod_facts::node(pod).is_empty(), pod.metadata.creation_timestamp.as_ref().map(|at| at.0), pod.name_any())
    };
    key(a).cmp(&key(b))
}
