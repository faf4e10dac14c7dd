use serde_json::{Value, json};

use super::{
    applied, config_map, content, deployment, fields, managers, must, status_writer, with_containers, writer, written,
};
use crate::apply::ApplyError;

#[test]
fn an_applier_owns_what_it_says_and_nothing_else() {
    let config = config_map(json!({ "x": "1" }));
    let object = must(&writer("ConfigMap", "a", 0), None, &config);
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{
            "manager": "a", "operation": "Apply", "apiVersion": "v1", "time": "2001-09-09T01:46:40Z",
            "fieldsType": "FieldsV1", "fieldsV1": { "f:data": { "f:x": {} } },
        }])
    );
    assert_eq!(content(&object), config);
}

#[test]
fn applying_again_changes_nothing() {
    let config = with_containers(json!([{ "name": "c", "image": "i", "ports": [{ "containerPort": 80 }] }]));
    let first = must(&writer("Deployment", "a", 0), None, &config);
    assert_eq!(must(&writer("Deployment", "a", 9), Some(&first), &config), first);
}

#[test]
fn what_is_not_applied_any_more_is_gone() {
    let first = must(&writer("ConfigMap", "a", 0), None, &config_map(json!({ "x": "1", "y": "1" })));
    let second = must(&writer("ConfigMap", "a", 1), Some(&first), &config_map(json!({ "x": "1" })));
    assert_eq!(second["data"], json!({ "x": "1" }));
    let config =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "default" } });
    let third = must(&writer("ConfigMap", "a", 2), Some(&second), &config);
    assert_eq!(third.get("data"), None);
    assert_eq!(third["metadata"].get("managedFields"), None);
}

#[test]
fn what_others_own_stays() {
    let first = must(&writer("ConfigMap", "a", 0), None, &config_map(json!({ "x": "1", "y": "1" })));
    let second = must(&writer("ConfigMap", "b", 1), Some(&first), &config_map(json!({ "x": "1" })));
    assert_eq!(managers(&second), ["b", "a"]);
    let third = must(&writer("ConfigMap", "a", 2), Some(&second), &config_map(json!({ "z": "1" })));
    assert_eq!(third["data"], json!({ "x": "1", "z": "1" }));
    assert_eq!(fields(&third, "b"), &json!({ "f:data": { "f:x": {} } }));
    assert_eq!(fields(&third, "a"), &json!({ "f:data": { "f:z": {} } }));
}

/// Upstream gives such an owner no time: nothing changed.
#[test]
fn who_applies_what_is_there_shares_it() {
    let first = must(&writer("ConfigMap", "a", 0), None, &config_map(json!({ "x": "1" })));
    let second = must(&writer("ConfigMap", "b", 1), Some(&first), &config_map(json!({ "x": "1" })));
    assert_eq!(fields(&second, "a"), fields(&second, "b"));
    let times: Vec<bool> =
        second["metadata"]["managedFields"].as_array().unwrap().iter().map(|e| e.get("time").is_some()).collect();
    assert_eq!(times, [false, true]);
}

#[test]
fn what_others_have_otherwise_is_a_conflict() {
    let replicas = |count: i64| deployment(json!({ "replicas": count }));
    let first = written(&writer("Deployment", "kubectl-client-side-apply", 0), None, replicas(1));
    let refused = applied(&writer("Deployment", "a", 1), Some(&first), &replicas(2), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
    );
    let forced = applied(&writer("Deployment", "a", 1), Some(&first), &replicas(2), true).unwrap();
    assert_eq!(forced["spec"]["replicas"], 2);
    assert_eq!(managers(&forced), ["a"]);
    let refused = applied(&writer("Deployment", "b", 2), Some(&forced), &replicas(3), false).unwrap_err();
    assert_eq!(refused.to_string(), "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
}

#[test]
fn conflicts_are_told_by_owner() {
    let first = written(&writer("ConfigMap", "b", 0), None, config_map(json!({ "x": "1", "y": "1" })));
    let second = must(&writer("ConfigMap", "a", 1), Some(&first), &config_map(json!({ "z": "1" })));
    let config = config_map(json!({ "x": "2", "y": "2", "z": "2" }));
    let Err(ApplyError::Conflicts(conflicts)) = applied(&writer("ConfigMap", "c", 2), Some(&second), &config, false)
    else {
        panic!("no conflict")
    };
    assert_eq!(
        conflicts.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.z\nconflicts with \"b\" using v1:\n- .data.x\n- .data.y"
    );
    let seen = conflicts.seen_in("autoscaling/v1").to_string();
    assert!(seen.contains("with \"b\" using autoscaling/v1:"), "{seen}");
}

#[test]
fn a_status_is_applied_apart() {
    let status = |ready: i64| {
        let mut object = deployment(json!({ "replicas": 7 }));
        object["status"] = json!({ "readyReplicas": ready });
        object
    };
    let first = must(&writer("Deployment", "a", 0), None, &status(1));
    assert_eq!(fields(&first, "a"), &json!({ "f:spec": { "f:replicas": {} } }));
    let second = must(&status_writer("Deployment", "b", 1), Some(&first), &status(2));
    assert_eq!(fields(&second, "b"), &json!({ "f:status": { "f:readyReplicas": {} } }));
    let refused = applied(&status_writer("Deployment", "c", 2), Some(&second), &status(3), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"b\" with subresource \"status\": .status.readyReplicas"
    );
}

#[test]
fn what_was_there_before_belongs_to_its_past() {
    let old = config_map(json!({ "x": "1", "y": "1" }));
    let refused =
        applied(&writer("ConfigMap", "a", 0), Some(&old), &config_map(json!({ "x": "2" })), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.x"
    );
    let forced = applied(&writer("ConfigMap", "a", 0), Some(&old), &config_map(json!({ "x": "2" })), true).unwrap();
    assert_eq!(forced["data"], json!({ "x": "2", "y": "1" }));
    assert_eq!(fields(&forced, "before-first-apply"), &json!({ "f:data": { ".": {}, "f:y": {} } }));
}

#[test]
fn an_applied_null_is_owned_and_takes_the_value_away() {
    let first = must(&writer("Deployment", "a", 0), None, &deployment(json!({ "replicas": 3, "paused": true })));
    let second =
        must(&writer("Deployment", "a", 1), Some(&first), &deployment(json!({ "replicas": null, "paused": true })));
    assert_eq!(second["spec"], json!({ "paused": true }));
    assert_eq!(fields(&second, "a"), &json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } }));
    let other = deployment(json!({ "paused": null }));
    let refused = applied(&writer("Deployment", "b", 2), Some(&second), &other, false).unwrap_err();
    assert_eq!(refused.to_string(), "Apply failed with 1 conflict: conflict with \"a\": .spec.paused");
}

#[test]
fn amounts_of_the_same_size_are_the_same() {
    let memory =
        |amount: Value| with_containers(json!([{ "name": "c", "resources": { "limits": { "memory": amount } } }]));
    let first = must(&writer("Deployment", "a", 0), None, &memory(json!("1Gi")));
    let second = must(&writer("Deployment", "b", 1), Some(&first), &memory(json!("1024Mi")));
    assert_eq!(content(&second), content(&first));
}

#[test]
fn what_is_no_configuration_is_refused() {
    let malformed = |config: &Value| match applied(&writer("Deployment", "a", 0), None, config, false) {
        Err(ApplyError::Malformed(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(malformed(&config_map(json!({}))), "invalid object type: /v1, Kind=ConfigMap");
    let mut owned = deployment(json!({}));
    owned["metadata"]["managedFields"] = json!([]);
    assert_eq!(malformed(&owned), "metadata.managedFields must be nil");
    for (config, why) in [
        (deployment(json!({ "replicaz": 1 })), ".spec.replicaz: field not declared in schema"),
        (deployment(json!({ "replicas": "1" })), ".spec.replicas: expected numeric (int or float), got string"),
        (deployment(json!({ "paused": 1 })), ".spec.paused: expected boolean, got &{1}"),
        (deployment(json!({ "strategy": [] })), ".spec.strategy: expected map, got &{[]}"),
        (
            with_containers(json!([{ "name": "c", "env": [{ "name": "A", "value": 1 }] }])),
            ".spec.template.spec.containers[name=\"c\"].env[name=\"A\"].value: expected string, got \
             &value.valueUnstructured{Value:1}",
        ),
        (
            with_containers(json!([{ "name": "c", "env": [{ "name": "A" }, { "name": "A" }] }])),
            ".spec.template.spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]",
        ),
        (
            with_containers(json!([{ "image": "i" }])),
            ".spec.template.spec.containers: element 0: associative list with keys has an element that omits all key \
             fields [\"name\"] (and doesn't have default values for any key fields)",
        ),
        (
            deployment(json!({ "replicas": [], "paused": "x" })),
            "errors:\n  .spec.paused: expected boolean, got &{x}\n  .spec.replicas: expected numeric (int or float), \
             got []interface {}",
        ),
    ] {
        let refused = applied(&writer("Deployment", "a", 0), None, &config, false).unwrap_err();
        let start = "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): ";
        assert_eq!(refused, ApplyError::Failed(format!("{start}{why}")));
    }
}
