//! What a pod's disruption budget says to its eviction.
//!
//! In: a pod that runs. Out: whether it may go, noted in the budget's status before it does, so
//! that two evictions do not share one place.

use jiff::Timestamp;
use nodeplane_api::{
    disruption::{self, ALLOWED, SYNC_FAILED},
    k8s_openapi::{api::policy::v1::PodDisruptionBudget, apimachinery::pkg::apis::meta::v1::Time},
    kinds::Kind,
    selector::LabelSelector,
    status::Status,
};
use serde_json::Value;

use super::{PAUSE, TRIES};
use crate::{
    http::verbs::ask::Ask,
    registry::objects::{known, refusal},
    store::{StoreError, object::Object, watch_cache::Freshness},
};

/// Evictions that a budget remembers at most.
const REMEMBERED: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const CAUSE: &str = "DisruptionBudget";
/// Seconds until a client should ask a budget again that is being looked after.
const LATER: u32 = 10;

/// The pod may go.
pub(super) struct Answer {
    /// Name of the budget; empty without one.
    pub(super) name: String,
    /// Whether only as it is now: it does not count while it is not ready.
    pub(super) only_as_it_is: bool,
}

/// Asks the budget of a pod, and takes a place in it.
///
/// # Errors
/// 429 while it allows none, 500 for several budgets, 504 when others are always faster.
pub(super) async fn consult(ask: &Ask<'_>, pod: &Value, dry_run: bool) -> Result<Answer, Status> {
    let kind = known("policy", "v1", "poddisruptionbudgets")?;
    let mut budgets = of_pod(ask, kind, pod).await?;
    if budgets.len() > 1 {
        let words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Status::failure(words));
    }
    let Some(budget) = budgets.pop() else { return Ok(Answer { name: String::new(), only_as_it_is: false }) };
    let name = budget.name().to_owned();
    if !is_ready(pod) && lets_unready_go(&typed(budget.value())?) {
        return Ok(Answer { name, only_as_it_is: true });
    }
    take_place(ask, kind, budget, dry_run).await?;
    Ok(Answer { name, only_as_it_is: false })
}

/// 429: the budget is being looked after.
pub(super) fn busy(name: &str) -> Status {
    let why = format!("The disruption budget {name} is still being processed by the server.");
    Status::too_many_requests(REFUSED, LATER).with_cause(CAUSE, &why, "")
}

async fn of_pod(ask: &Ask<'_>, kind: &'static Kind, pod: &Value) -> Result<Vec<Object>, Status> {
    let objects = &ask.api.objects;
    let all = objects.cache().list(&objects.collection(kind, ask.namespace()), Freshness::Newest).await;
    let all = all.map_err(|error| refusal(kind, "", error))?.objects;
    let labels = &pod["metadata"]["labels"];
    let selects = |budget: &Object| {
        let tree = budget.tree();
        LabelSelector::from_value(&tree["spec"]["selector"]).is_ok_and(|selector| selector.matches(labels))
    };
    Ok(all.into_iter().filter(selects).collect())
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn lets_unready_go(budget: &PodDisruptionBudget) -> bool {
    let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
    let status = budget.status.clone().unwrap_or_default();
    let is_fine = status.current_healthy >= status.desired_healthy && status.desired_healthy > 0;
    policy == Some("AlwaysAllow") || is_fine
}

async fn take_place(ask: &Ask<'_>, kind: &'static Kind, mut budget: Object, dry_run: bool) -> Result<(), Status> {
    let (objects, name) = (&ask.api.objects, budget.name().to_owned());
    for _ in 0..TRIES {
        let next = with_place_taken(kind, budget.value(), ask.name(), Timestamp::now())?;
        if dry_run {
            return Ok(());
        }
        match objects.update(budget.key(), next, budget.revision(), None).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(refusal(kind, &name, error)),
        }
        budget = objects.newest(kind, ask.namespace(), &name).await?;
    }
    Err(Status::timeout(format!("Timeout: couldn't update PodDisruptionBudget {name:?} due to conflicts"), LATER))
}

/// The budget after one more eviction.
fn with_place_taken(kind: &'static Kind, object: &Value, pod: &str, now: Timestamp) -> Result<Value, Status> {
    let budget = typed(object)?;
    let name = budget.metadata.name.clone().unwrap_or_default();
    let mut status = budget.status.unwrap_or_default();
    let forbidden = |why: &str| {
        let mut status = Status::forbidden(kind, &name, why);
        // Upstream names the resource in the singular here.
        status.message = format!("poddisruptionbudget.policy \"{name}\" is forbidden: {why}");
        Err(status)
    };
    if status.observed_generation.unwrap_or(0) < budget.metadata.generation.unwrap_or(0) {
        return Err(busy(&name));
    }
    if status.disruptions_allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > REMEMBERED) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if status.disruptions_allowed == 0 {
        let failed = status.conditions.iter().flatten().find(|is| is.type_ == ALLOWED && is.reason == SYNC_FAILED);
        let why = match failed {
            Some(failed) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                failed.message
            ),
            None => format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                status.desired_healthy, status.current_healthy
            ),
        };
        let mut refused = Status::too_many_requests(REFUSED, 0).with_cause(CAUSE, &why, "");
        // No suggestion when to come back.
        if let Some(details) = refused.details.as_object_mut() {
            details.remove("retryAfterSeconds");
        }
        return Err(refused);
    }
    status.disruptions_allowed -= 1;
    if status.disruptions_allowed == 0 {
        disruption::tell_allowed(&mut status, now);
    }
    status.disrupted_pods.get_or_insert_default().insert(pod.to_owned(), Time(now));
    let mut next = object.clone();
    next["status"] = serde_json::to_value(status).map_err(Status::internal)?;
    Ok(next)
}

fn typed(object: &Value) -> Result<PodDisruptionBudget, Status> {
    serde_json::from_value(object.clone()).map_err(Status::internal)
}
