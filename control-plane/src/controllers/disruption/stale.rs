//! Takes back what was said of pods that were to go and did not.
//!
//! In: Pods, from the cache. Out: the condition `DisruptionTarget` of pods that were not deleted
//! within two minutes, set to false.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    write::{Hands, Write, WriteError},
};
use tokio_util::sync::CancellationToken;

use crate::controllers::{
    caches::{Caches, row},
    pod_facts,
};

const CONDITION: &str = "DisruptionTarget";
/// The node's agent may take as long as it likes.
const BY_AGENT: &str = "TerminationByKubelet";
const TIMEOUT: SignedDuration = SignedDuration::from_secs(2 * 60);

/// Runs the controller until `shutdown`.
pub(super) async fn run(hands: Hands, caches: Caches, shutdown: CancellationToken) {
    let controller = Controller::new("stale-disruption", hands)
        .on(&caches.pods, |pod: &Pod| target(pod).map(|_| Key::of_meta(&pod.metadata)).into_iter().collect());
    controller.run(1, Targets { caches }, shutdown).await;
}

struct Targets {
    caches: Caches,
}

impl Reconcile for Targets {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(pod) = self.caches.pods.get(key) else { return Ok(Next::Wait) };
        match plan(&pod, Timestamp::now()) {
            None => Ok(Next::Wait),
            Some(Step::Wait(left)) => Ok(Next::After(left)),
            Some(Step::Write(write)) => apply.one(&write).await.map(|_| Next::Wait),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Wait(Duration),
    Write(Write),
}

/// What is said of a pod that is to go and still there.
fn target(pod: &Pod) -> Option<&PodCondition> {
    let said = pod_facts::condition(pod, CONDITION)?;
    let counts = said.status == "True" && said.reason.as_deref() != Some(BY_AGENT) && pod_facts::is_active(pod);
    counts.then_some(said)
}

fn plan(pod: &Pod, now: Timestamp) -> Option<Step> {
    let since = target(pod)?.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let left = TIMEOUT.checked_sub(now.duration_since(since)).unwrap_or_default();
    if left.is_positive() {
        return Some(Step::Wait(Duration::try_from(left).unwrap_or_default()));
    }
    let mut pod = pod.clone();
    let conditions = pod.status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten());
    for condition in conditions.filter(|condition| condition.type_ == CONDITION) {
        *condition = PodCondition {
            type_: CONDITION.to_owned(),
            status: "False".to_owned(),
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        };
    }
    Some(Step::Write(Write::replace(row::<Pod>(), Some(Subresource::Status), &pod)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::world::object;

    #[test]
    fn who_is_still_there_after_two_minutes_stays() {
        let pod = |reason: &str, deleted: Option<&str>| -> Pod {
            object(json!({
                "metadata": { "name": "p", "namespace": "shop", "deletionTimestamp": deleted },
                "status": { "phase": "Running", "conditions": [{ "type": CONDITION, "status": "True", "reason": reason,
                            "lastTransitionTime": "2025-01-01T00:00:00Z" }] },
            }))
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let evicted = pod("EvictionByEvictionAPI", None);
        assert_eq!(plan(&evicted, at("2025-01-01T00:01:30Z")), Some(Step::Wait(Duration::from_secs(30))));
        let Some(Step::Write(Write::Replace { part, object, .. })) = plan(&evicted, at("2025-01-01T00:02:00Z")) else {
            panic!("nothing is written")
        };
        assert_eq!(part, Some(Subresource::Status));
        let expected = json!({ "type": CONDITION, "status": "False", "lastTransitionTime": "2025-01-01T00:02:00Z" });
        assert_eq!(object["status"]["conditions"], json!([expected]));
        let late = at("2025-01-02T00:00:00Z");
        assert_eq!(plan(&pod(BY_AGENT, None), late), None);
        assert_eq!(plan(&pod("EvictionByEvictionAPI", Some("2025-01-01T00:00:00Z")), late), None);
    }
}
