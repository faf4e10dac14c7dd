use serde_json::json;

use super::*;
use crate::registry::cases::{refused, said, with};

fn budget(spec: Value) -> Value {
    let metadata = json!({ "name": "b", "namespace": "shop" });
    let mut budget = json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata });
    budget["spec"] = spec;
    budget
}

#[test]
fn a_budget_says_one_thing() {
    let said = |spec: Value| refused(&BudgetStrategy, &budget(spec));
    let selector = json!({ "matchLabels": { "app": "web" } });
    assert_eq!(said(json!({ "minAvailable": "50%", "selector": selector })), Vec::<String>::new());
    assert_eq!(said(json!({ "maxUnavailable": 1 })), Vec::<String>::new());
    let both = said(json!({ "minAvailable": 1, "maxUnavailable": 1 }));
    assert!(both[0].starts_with("spec: Invalid value: "), "{both:?}");
    assert!(both[0].ends_with(": minAvailable and maxUnavailable cannot be both set"), "{both:?}");
    assert_eq!(
        said(json!({ "minAvailable": -1 })),
        ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"]
    );
    assert_eq!(
        said(json!({ "maxUnavailable": "101%" })),
        [
            "spec.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"101%\"}: must not be greater \
          than 100%"
        ]
    );
    assert_eq!(
        said(json!({ "unhealthyPodEvictionPolicy": "Never" })),
        ["spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \
          \"IfHealthyBudget\""]
    );
    let expression = json!({ "matchExpressions": [{ "key": "a", "operator": "In" }] });
    assert_eq!(
        said(json!({ "selector": expression })),
        [
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
        ]
    );
}

#[test]
fn the_counts_of_a_budget_are_not_below_zero() {
    let good = with(&budget(json!({})), &[("/status", json!({ "disruptionsAllowed": 0, "expectedPods": 3 }))]);
    assert_eq!(said(&BudgetStrategy.validate_status_update(&good, &good)), Vec::<String>::new());
    let bad = with(&good, &[("/status/disruptionsAllowed", json!(-1))]);
    assert_eq!(
        said(&BudgetStrategy.validate_status_update(&bad, &good)),
        ["status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0"]
    );
}
