use serde_json::{Value, json};

use super::*;
use crate::controllers::world::object;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn budget(spec: Value) -> PodDisruptionBudget {
    let mut budget = json!({ "metadata": { "name": "b", "namespace": "shop", "generation": 3 } });
    budget["spec"] = spec;
    object(budget)
}

fn pods(ready: &[bool]) -> Vec<Arc<Pod>> {
    let pod = |(index, ready): (usize, &bool)| {
        let status = if *ready { "True" } else { "False" };
        Arc::new(object(json!({
            "metadata": { "name": format!("p{index}"), "namespace": "shop" },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": status }] },
        })))
    };
    ready.iter().enumerate().map(pod).collect()
}

/// Expected, desired, healthy and allowed.
fn counts_of(spec: Value, ready: &[bool], expected: i64) -> [i32; 4] {
    let expected = Expected { pods: expected, unmanaged: Vec::new() };
    let status = plan(&budget(spec), &pods(ready), &expected, at(0)).status;
    assert_eq!(status.observed_generation, Some(3));
    [status.expected_pods, status.desired_healthy, status.current_healthy, status.disruptions_allowed]
}

#[test]
fn a_budget_counts_numbers_and_shares() {
    let three = [true, true, true];
    assert_eq!(counts_of(json!({ "minAvailable": 2 }), &three, 0), [3, 2, 3, 1]);
    assert_eq!(counts_of(json!({ "minAvailable": 4 }), &three, 0), [3, 4, 3, 0]);
    assert_eq!(counts_of(json!({ "minAvailable": "50%" }), &three, 3), [3, 2, 3, 1]);
    assert_eq!(counts_of(json!({ "maxUnavailable": 1 }), &three, 3), [3, 2, 3, 1]);
    assert_eq!(counts_of(json!({ "maxUnavailable": "34%" }), &three, 3), [3, 1, 3, 2]);
    assert_eq!(counts_of(json!({ "maxUnavailable": 5 }), &three, 3), [3, 0, 3, 3]);
    // One that is not there yet, or not ready, is one less that may go.
    assert_eq!(counts_of(json!({ "maxUnavailable": 1 }), &three, 4), [4, 3, 3, 0]);
    assert_eq!(counts_of(json!({ "maxUnavailable": 1 }), &[true, false, true], 3), [3, 2, 2, 0]);
}

#[test]
fn without_pods_nothing_is_allowed() {
    assert_eq!(counts_of(json!({ "minAvailable": 0 }), &[], 0), [0, 0, 0, 0]);
    assert_eq!(counts_of(json!({ "maxUnavailable": "100%" }), &[], 0), [0, 0, 0, 0]);
}

#[test]
fn only_shares_need_the_scales() {
    for (spec, needs) in [
        (json!({ "minAvailable": 1 }), false),
        (json!({ "minAvailable": "1%" }), true),
        (json!({ "maxUnavailable": 1 }), true),
        (json!({}), false),
    ] {
        assert_eq!(needs_scales(&budget(spec.clone())), needs, "{spec}");
    }
}

#[test]
fn a_pod_whose_eviction_was_allowed_counts_no_more_for_a_while() {
    let mut budget = budget(json!({ "minAvailable": 1 }));
    let noted = ["p0", "gone"].map(|name| (name.to_owned(), Time(at(100))));
    budget.status =
        Some(PodDisruptionBudgetStatus { disrupted_pods: Some(noted.into()), ..PodDisruptionBudgetStatus::default() });
    let three = pods(&[true, true, true]);
    let soon = plan(&budget, &three, &Expected::default(), at(130));
    assert_eq!((soon.status.current_healthy, soon.status.disruptions_allowed), (2, 1));
    assert_eq!(soon.recheck, Some(Duration::from_secs(90)));
    let kept: Vec<_> = soon.status.disrupted_pods.unwrap().into_keys().collect();
    assert_eq!(kept, ["p0"]);
    let later = plan(&budget, &three, &Expected::default(), at(221));
    assert_eq!((later.status.current_healthy, later.status.disrupted_pods, later.recheck), (3, None, None));
}

#[test]
fn the_condition_tells_and_a_failure_allows_nothing() {
    let mut budget = budget(json!({ "minAvailable": 1 }));
    let first = plan(&budget, &pods(&[true, true]), &Expected::default(), at(5)).status;
    let condition = |status: &PodDisruptionBudgetStatus| status.conditions.as_ref().unwrap()[0].clone();
    assert_eq!((&*condition(&first).status, &*condition(&first).reason), ("True", "SufficientPods"));
    budget.status = Some(first.clone());
    // Nothing changes, so nothing is written.
    assert_eq!(plan(&budget, &pods(&[true, true]), &Expected::default(), at(9)).status, first);
    let failed = failed(&budget, "found no controllers for pod \"p0\"", at(9));
    assert_eq!((failed.disruptions_allowed, &*condition(&failed).reason), (0, "SyncFailed"));
    assert_eq!(condition(&failed).message, "found no controllers for pod \"p0\"");
}
