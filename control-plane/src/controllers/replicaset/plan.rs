//! What a ReplicaSet needs next. Pure. Follows upstream's `replica_set.go`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;

use super::rank;
use crate::controllers::{
    caches::row,
    ownership::{self, Claim},
    pod_facts,
};

/// The most pods that are created or deleted in one go.
const BURST: usize = 500;
/// The longest name prefix that leaves room for a generated suffix in a pod's name.
const LONGEST_PREFIX: usize = 253;

/// What a plan is made from.
pub struct Facts<'a> {
    /// The set.
    pub set: &'a ReplicaSet,
    /// All pods in its namespace.
    pub pods: &'a [Arc<Pod>],
    /// The uids of all sets under the same controller, for spreading.
    pub siblings: &'a [String],
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// Adoptions and releases.
    pub claims: Vec<Write>,
    /// Whether there are adoptions.
    pub adopts: bool,
    /// Pods to create or to delete.
    pub pods: Vec<Write>,
    /// When time alone makes a difference.
    pub recheck: Option<Duration>,
    active: Vec<Arc<Pod>>,
}

/// What is to be done for a set.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let set = facts.set;
    let mut plan = Plan { claims: Vec::new(), adopts: false, pods: Vec::new(), recheck: None, active: Vec::new() };
    let Some(spec) = &set.spec else { return plan };
    let Some(selector) = ownership::selector(&spec.selector) else { return plan };
    for pod in facts.pods.iter().filter(|pod| pod_facts::is_active(pod)) {
        match ownership::claim(&set.metadata, &selector, &pod.metadata) {
            Claim::Mine => plan.active.push(pod.clone()),
            Claim::Adopt => {
                let owner = ownership::controller_reference(set);
                plan.claims.push(ownership::adopt(row::<Pod>(), &pod.metadata, owner));
                plan.adopts = true;
                plan.active.push(pod.clone());
            }
            Claim::Release => {
                let uid = set.uid().unwrap_or_default();
                plan.claims.push(ownership::release(row::<Pod>(), &pod.metadata, &uid));
            }
            Claim::Foreign => {}
        }
    }
    if set.metadata.deletion_timestamp.is_none() {
        plan.pods = manage(facts, &plan.active);
    }
    plan.recheck = next_availability(spec.min_ready_seconds.unwrap_or_default(), &plan.active, facts.now);
    plan
}

impl Plan {
    /// The reason of the `ReplicaFailure` condition when the writes to pods fail.
    pub fn failure_reason(&self) -> &'static str {
        match self.pods.first() {
            Some(Write::Delete { .. }) => "FailedDelete",
            _ => "FailedCreate",
        }
    }

    /// The status of the set with the pods that the plan was made from. `failure` is reason and
    /// message of a failure to create or delete pods.
    pub fn status(&self, set: &ReplicaSet, failure: Option<(&str, String)>, now: Timestamp) -> ReplicaSetStatus {
        status(set, &self.active, failure, now)
    }
}

fn manage(facts: &Facts<'_>, active: &[Arc<Pod>]) -> Vec<Write> {
    let wanted = facts.set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or_default();
    if active.len() < wanted {
        let missing = (wanted - active.len()).min(BURST);
        return (0..missing).map(|_| Write::create(row::<Pod>(), &pod(facts.set))).collect();
    }
    let excess = (active.len() - wanted).min(BURST);
    let mut ranked = active.to_vec();
    if excess < active.len() {
        let crowd: Vec<_> = facts.pods.iter().filter(|pod| is_related(facts, pod)).cloned().collect();
        rank::by_dispensability(&mut ranked, &crowd);
    }
    let doomed = ranked.iter().take(excess);
    doomed.map(|pod| Write::delete(row::<Pod>(), Key::of_meta(&pod.metadata), pod.uid().unwrap_or_default())).collect()
}

/// Whether a pod belongs to this set or one under the same controller.
fn is_related(facts: &Facts<'_>, pod: &Pod) -> bool {
    ownership::controller_of(&pod.metadata)
        .is_some_and(|owner| Some(&owner.uid) == facts.set.metadata.uid.as_ref() || facts.siblings.contains(&owner.uid))
}

/// A new pod from the set's template.
fn pod(set: &ReplicaSet) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let name = set.name_any();
    let prefix = if name.len() < LONGEST_PREFIX { format!("{name}-") } else { name };
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(prefix),
            namespace: set.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![ownership::controller_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// When the next ready pod turns available.
fn next_availability(min_ready_seconds: i32, active: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let left = active.iter().filter_map(|pod| pod_facts::available_in(pod, min_ready_seconds, now));
    left.filter(|left| !left.is_zero()).min()
}

/// The status of a set with these active pods.
pub fn status(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    failure: Option<(&str, String)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = set.spec.clone().unwrap_or_default();
    let template = spec.template.and_then(|template| template.metadata?.labels).unwrap_or_default();
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let count = |matches: &dyn Fn(&Pod) -> bool| {
        Some(count(active.iter().filter(|pod| matches(pod)).count())).filter(|count| *count > 0)
    };
    let old = set.status.clone().unwrap_or_default();
    ReplicaSetStatus {
        replicas: self::count(active.len()),
        fully_labeled_replicas: count(&|pod| has_labels(pod, &template)),
        ready_replicas: count(&pod_facts::is_ready),
        available_replicas: count(&|pod| pod_facts::is_available(pod, min_ready, now)),
        observed_generation: set.metadata.generation,
        conditions: conditions(old.conditions, failure, now),
        ..ReplicaSetStatus::default()
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn has_labels(pod: &Pod, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
}

fn conditions(
    old: Option<Vec<ReplicaSetCondition>>,
    failure: Option<(&str, String)>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let (mut failures, mut conditions): (Vec<_>, Vec<_>) =
        old.into_iter().flatten().partition(|condition| condition.type_ == "ReplicaFailure");
    if let Some((reason, message)) = failure {
        // The first failure is kept until it is over, so that its time says since when.
        conditions.push(failures.pop().unwrap_or_else(|| ReplicaSetCondition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        }));
    }
    (!conditions.is_empty()).then_some(conditions)
}

#[cfg(test)]
mod tests;
