//! Phases, conditions and the status on the wire. How they follow from the life of a pod is tested
//! with the machine.

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use nodeplane_api::{kinds, patch};
use serde_json::{Value, json};

use super::{Qos, class, phase, wire};
use crate::pods::fixtures;

fn running() -> Value {
    json!({ "running": {} })
}

fn ended(code: i32) -> Value {
    json!({ "terminated": { "exitCode": code } })
}

fn waiting() -> Value {
    json!({ "waiting": { "reason": "x" } })
}

/// The phase of a pod with this policy, whose containers have these (state, last state).
fn phase_of(policy: &str, containers: &[(Value, Value)]) -> &'static str {
    let names: Vec<String> = (0..containers.len()).map(|number| format!("c{number}")).collect();
    let spec: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    let pod = fixtures::pod(json!({ "restartPolicy": policy, "containers": spec }));
    let statuses: Vec<Value> = names
        .iter()
        .zip(containers)
        .map(|(name, (state, last))| {
            json!({ "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": state, "lastState": last })
        })
        .collect();
    let status = serde_json::from_value(json!({ "containerStatuses": statuses })).expect("a status");
    phase::of(&pod, &status)
}

#[test]
fn the_phase_follows_from_policy_and_containers() {
    let none = || json!({});
    for (policy, containers, expected) in [
        ("Always", vec![(waiting(), none())], "Pending"),
        ("Always", vec![(running(), none()), (waiting(), none())], "Pending"),
        ("Always", vec![(running(), none()), (running(), none())], "Running"),
        ("Always", vec![(running(), none()), (waiting(), ended(1))], "Running"),
        ("Always", vec![(ended(1), none())], "Running"),
        ("Always", vec![(ended(0), none())], "Running"),
        ("OnFailure", vec![(ended(0), none()), (ended(0), none())], "Succeeded"),
        ("OnFailure", vec![(ended(0), none()), (ended(1), none())], "Running"),
        ("Never", vec![(ended(0), none()), (ended(0), none())], "Succeeded"),
        ("Never", vec![(ended(0), none()), (ended(1), none())], "Failed"),
        ("Never", vec![(ended(1), none()), (running(), none())], "Running"),
    ] {
        assert_eq!(phase_of(policy, &containers), expected, "{policy} {containers:?}");
    }
}

#[test]
fn classes_of_service() {
    let both = |cpu: &str, memory: &str| json!({ "cpu": cpu, "memory": memory });
    for (resources, expected) in [
        (vec![json!({})], Qos::BestEffort),
        (vec![json!({ "requests": { "cpu": "0" } })], Qos::BestEffort),
        (vec![json!({ "requests": { "cpu": "1" } })], Qos::Burstable),
        (vec![json!({ "limits": { "memory": "1Gi" } })], Qos::Burstable),
        (vec![json!({ "limits": both("1", "1Gi") })], Qos::Guaranteed),
        (vec![json!({ "requests": both("1000m", "1024Mi"), "limits": both("1", "1Gi") })], Qos::Guaranteed),
        (vec![json!({ "requests": both("1", "1Mi"), "limits": both("1", "1Gi") })], Qos::Burstable),
        (vec![json!({ "limits": both("1", "1Gi") }), json!({})], Qos::Burstable),
    ] {
        let containers: Vec<Value> = resources.iter().map(|one| json!({ "name": "c", "resources": one })).collect();
        let spec: PodSpec = serde_json::from_value(json!({ "containers": containers })).expect("a specification");
        assert_eq!(class(&spec), expected, "{resources:?}");
    }
}

fn status(fields: Value) -> PodStatus {
    serde_json::from_value(fields).expect("a status")
}

#[test]
fn what_others_own_makes_no_difference() {
    let ours = status(json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }));
    let with_theirs = status(json!({
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": "True" }, { "type": "example.com/gate", "status": "False" }],
        "nominatedNodeName": "other",
    }));
    assert_eq!(wire::owned(&ours), wire::owned(&with_theirs));
    let unready = status(json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "False" }] }));
    assert_ne!(wire::owned(&ours), wire::owned(&unready));
}

#[test]
fn the_order_of_conditions_makes_no_difference() {
    let condition = |kind: &str| json!({ "type": kind, "status": "True" });
    let ours = status(json!({ "conditions": [condition("Ready"), condition("PodScheduled")] }));
    let bound_first = status(json!({ "conditions": [condition("PodScheduled"), condition("Ready")] }));
    assert_eq!(wire::owned(&ours), wire::owned(&bound_first));
}

#[test]
fn the_patch_makes_the_object_show_the_status_and_spares_what_others_own() {
    let before = json!({
        "metadata": { "namespace": "default", "name": "p", "uid": "u" },
        "spec": { "containers": [{ "name": "app", "image": "i" }] },
        "status": {
            "phase": "Pending", "reason": "Old", "message": "old", "podIP": "10.0.0.1",
            "podIPs": [{ "ip": "10.0.0.1" }], "hostIPs": [{ "ip": "192.0.2.9" }],
            "nominatedNodeName": "other",
            "containerStatuses": [
                { "name": "old", "image": "", "imageID": "", "ready": true, "restartCount": 3 },
            ],
            "conditions": [
                { "type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "why" },
                { "type": "example.com/gate", "status": "True" },
            ],
        },
    });
    let wanted = status(json!({
        "phase": "Running", "podIP": "10.0.0.2", "podIPs": [{ "ip": "10.0.0.2" }], "hostIPs": [{ "ip": "192.0.2.1" }],
        "containerStatuses": [{ "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0 }],
        "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Initialized", "status": "True" }],
    }));
    let kind = kinds::by_plural("", "v1", "pods").expect("the kind");
    let after = patch::strategic(&before, &wire::patch("u", &wanted), kind).expect("a patch that applies");
    let shown: Pod = serde_json::from_value(after.clone()).expect("a pod");
    let shown = shown.status.expect("a status");
    assert_eq!(wire::owned(&shown), wire::owned(&wanted));
    assert_eq!((shown.reason, shown.message), (None, None));
    assert_eq!(after["status"]["nominatedNodeName"], "other");
    let gate = |condition: &Value| condition["type"] == "example.com/gate" && condition["status"] == "True";
    assert!(after["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(gate)), "{after}");
}
