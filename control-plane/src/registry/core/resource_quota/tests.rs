use serde_json::json;

use super::*;
use crate::registry::cases::{created, refused, refused_update, said, with};

fn quota(spec: Value) -> Value {
    let metadata = json!({ "name": "q", "namespace": "shop" });
    let mut quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata });
    quota["spec"] = spec;
    quota
}

fn refuse(spec: Value) -> Vec<String> {
    refused(&QuotaStrategy, &quota(spec))
}

#[test]
fn a_quota_is_of_known_things() {
    let hard = json!({
        "pods": "4", "requests.cpu": "2", "limits.memory": "1Gi", "count/deployments.apps": "3", "services.nodeports": "1",
        "requests.storage": "5Gi", "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
        "requests.nvidia.com/gpu": "1", "requests.hugepages-2Mi": "4Mi",
    });
    assert_eq!(refuse(json!({ "hard": hard })), Vec::<String>::new());
    assert_eq!(
        refuse(json!({ "hard": { "hats": "1" } })),
        [
            "spec.hard[hats]: Invalid value: \"hats\": must be a standard resource type or fully qualified",
            "spec.hard[hats]: Invalid value: \"hats\": must be a standard resource for quota",
        ]
    );
    assert_eq!(
        refuse(json!({ "hard": { "storage": "1" } })),
        ["spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"]
    );
    assert_eq!(
        refuse(json!({ "hard": { "pods": "-1" } })),
        ["spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0"]
    );
    for counted in ["pods", "count/jobs.batch"] {
        let words = format!("spec.hard[{counted}]: Invalid value: \"500m\": must be an integer");
        assert_eq!(refuse(json!({ "hard": { counted: "500m" } })), [words]);
    }
}

#[test]
fn scopes_choose_among_pods() {
    let scopes = |scopes: Value, hard: &str| refuse(json!({ "hard": { hard: "1" }, "scopes": scopes }));
    assert_eq!(scopes(json!(["NotTerminating", "BestEffort"]), "pods"), Vec::<String>::new());
    let invalid = |scopes: &str, words: &str| {
        vec![format!("spec.scopes: Invalid value: []core.ResourceQuotaScope{{{scopes}}}: {words}")]
    };
    assert_eq!(scopes(json!(["Big"]), "pods"), invalid("\"Big\"", "unsupported scope"));
    let applied = "unsupported scope applied to resource";
    assert_eq!(scopes(json!(["BestEffort"]), "requests.cpu"), invalid("\"BestEffort\"", applied));
    assert_eq!(scopes(json!(["Terminating"]), "services"), invalid("\"Terminating\"", applied));
    assert_eq!(
        scopes(json!(["BestEffort", "NotBestEffort"]), "pods"),
        invalid("\"BestEffort\", \"NotBestEffort\"", "conflicting scopes")
    );
}

#[test]
fn selectors_choose_by_class() {
    let select = |expression: Value| {
        refuse(json!({ "hard": { "pods": "1" }, "scopeSelector": { "matchExpressions": [expression] } }))
    };
    let class =
        |operator: &str, values: Value| json!({ "scopeName": "PriorityClass", "operator": operator, "values": values });
    assert_eq!(select(class("In", json!(["high"]))), Vec::<String>::new());
    let at = "spec.scopeSelector.matchExpressions";
    assert_eq!(
        select(class("In", json!([]))),
        [format!(
            "{at}.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        )]
    );
    assert_eq!(
        select(class("Exists", json!(["high"]))),
        [format!(
            "{at}.values: Invalid value: []string{{\"high\"}}: must be no value when `operator` is 'Exist' or 'DoesNotExist' \
             for scope selector"
        )]
    );
    assert_eq!(
        select(class("Has", Value::Null)),
        [format!("{at}.operator: Invalid value: \"Has\": not a valid selector operator")]
    );
    assert_eq!(
        select(json!({ "scopeName": "BestEffort", "operator": "DoesNotExist" })),
        [format!("{at}.operator: Invalid value: \"DoesNotExist\": {ONLY_EXISTS}")]
    );
}

#[test]
fn the_scopes_of_a_quota_stay_and_its_status_is_the_controllers() {
    let old = quota(json!({ "hard": { "pods": "1" }, "scopes": ["BestEffort"] }));
    assert_eq!(
        refused_update(&QuotaStrategy, &with(&old, &[("/spec/hard/pods", json!("2"))]), &old),
        Vec::<String>::new()
    );
    assert_eq!(
        refused_update(&QuotaStrategy, &with(&old, &[("/spec/scopes", json!(["Terminating"]))]), &old),
        ["spec.scopes: Invalid value: []core.ResourceQuotaScope{\"Terminating\"}: field is immutable"]
    );
    let claimed = with(&old, &[("/status", json!({ "used": { "pods": "0" } }))]);
    assert_eq!(created(&QuotaStrategy, &claimed).get("status"), None);
    let bad = with(&old, &[("/status", json!({ "hard": { "pods": "1" }, "used": { "pods": "-1" } }))]);
    assert_eq!(
        said(&QuotaStrategy.validate_status_update(&bad, &old)),
        ["status.used[pods]: Invalid value: \"-1\": must be greater than or equal to 0"]
    );
}
