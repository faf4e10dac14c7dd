//! What the status of a budget is to say. Pure. Follows upstream's `disruption.go`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::Pod,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{apis::meta::v1::Time, util::intstr::IntOrString},
};
use kube::ResourceExt;
use nodeplane_api::disruption;

use crate::controllers::pod_facts;

/// How long a pod whose eviction was allowed may take until its deletion shows.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_secs(2 * 60);

/// How many pods there should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// What the controllers of the pods want together.
    pub(super) pods: i64,
    /// Pods without a controller, which are not counted among them.
    pub(super) unmanaged: Vec<String>,
}

/// What a status is to say, and when that may change by itself.
pub(super) struct Plan {
    pub(super) status: PodDisruptionBudgetStatus,
    pub(super) recheck: Option<Duration>,
}

/// Whether the budget is about a share of the pods that there should be.
pub(super) fn needs_scales(budget: &PodDisruptionBudget) -> bool {
    let spec = budget.spec.as_ref();
    let is_share = |value: &Option<IntOrString>| matches!(value, Some(IntOrString::String(_)));
    spec.is_some_and(|spec| spec.max_unavailable.is_some() || is_share(&spec.min_available))
}

pub(super) fn plan(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], expected: &Expected, now: Timestamp) -> Plan {
    let before = budget.status.clone().unwrap_or_default();
    let (expected, desired) = counts(budget, pods, expected);
    let (disrupted, recheck) = disrupted(&before, pods, now);
    let healthy = pods.iter().filter(|pod| is_healthy(pod, &disrupted)).count();
    let healthy = i32::try_from(healthy).unwrap_or(i32::MAX);
    let spare = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let mut status = PodDisruptionBudgetStatus {
        conditions: before.conditions,
        current_healthy: healthy,
        desired_healthy: desired,
        disrupted_pods: Some(disrupted).filter(|pods| !pods.is_empty()),
        disruptions_allowed: spare,
        expected_pods: expected,
        observed_generation: budget.metadata.generation,
    };
    disruption::tell_allowed(&mut status, now);
    Plan { status, recheck }
}

/// The status while it is not known how many pods there should be.
pub(super) fn failed(budget: &PodDisruptionBudget, why: &str, now: Timestamp) -> PodDisruptionBudgetStatus {
    let mut status = budget.status.clone().unwrap_or_default();
    disruption::tell_failed(&mut status, why, now);
    status
}

/// How many pods there should be, and how many of them well.
fn counts(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], expected: &Expected) -> (i32, i32) {
    let spec = budget.spec.clone().unwrap_or_default();
    let wanted = i32::try_from(expected.pods).unwrap_or(i32::MAX);
    match (spec.max_unavailable, spec.min_available) {
        (Some(most), _) => (wanted, (wanted - share(&most, wanted)).max(0)),
        (None, Some(IntOrString::Int(least))) => (i32::try_from(pods.len()).unwrap_or(i32::MAX), least),
        (None, Some(least)) => (wanted, share(&least, wanted)),
        (None, None) => (0, 0),
    }
}

/// A number, or a percentage of the pods, rounded up.
fn share(value: &IntOrString, of: i32) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent = text.trim_end_matches('%').parse::<i64>().unwrap_or(0);
            i32::try_from((i64::from(of) * percent + 99) / 100).unwrap_or(i32::MAX)
        }
    }
}

/// Pods whose eviction was allowed and whose deletion does not show yet, and when the first of
/// them counts again.
fn disrupted(
    before: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let (mut kept, mut recheck) = (BTreeMap::new(), None::<Duration>);
    let noted = before.disrupted_pods.clone().unwrap_or_default();
    for pod in pods.iter().filter(|pod| !pod_facts::is_terminating(pod)) {
        let Some((name, since)) = noted.get_key_value(&pod.name_any()) else { continue };
        let left = since.0.saturating_add(DELETION_TIMEOUT).map_or(SignedDuration::ZERO, |end| end.duration_since(now));
        if left.is_negative() {
            continue;
        }
        let left = Duration::try_from(left).unwrap_or_default();
        recheck = Some(recheck.map_or(left, |other| other.min(left)));
        kept.insert(name.clone(), since.clone());
    }
    (kept, recheck)
}

fn is_healthy(pod: &Pod, disrupted: &BTreeMap<String, Time>) -> bool {
    pod_facts::is_ready(pod) && !pod_facts::is_terminating(pod) && !disrupted.contains_key(&pod.name_any())
}

#[cfg(test)]
mod tests;
