use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, said, with};

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "containers": [{ "name": "c", "image": "web:1" }],
            "initContainers": [{ "name": "i", "image": "init:1" }],
            "tolerations": [{ "key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5 }],
            "schedulingGates": [{ "name": "example.com/a" }, { "name": "example.com/b" }],
            "activeDeadlineSeconds": 60,
        },
    })
}

/// All that is said about a change of the good pod.
fn refused(changes: &[(&str, Value)]) -> Vec<String> {
    cases::refused_update(&PodStrategy, &with(&pod(), changes), &pod())
}

#[test]
fn a_new_pod_is_pending_whatever_its_maker_says() {
    let pod = created(&PodStrategy, &with(&pod(), &[("/status", json!({ "phase": "Running" }))]));
    assert_eq!(pod["status"], json!({ "phase": "Pending", "qosClass": "BestEffort" }));
}

#[test]
fn an_update_leaves_the_status_alone() {
    let mut old = created(&PodStrategy, &pod());
    old["status"]["phase"] = "Running".into();
    let new = cases::updated(&PodStrategy, &with(&pod(), &[("/status", json!({ "phase": "Failed" }))]), &old);
    assert_eq!(new["status"], old["status"]);
}

#[test]
fn what_may_change_may_change() {
    for changes in [
        &[][..],
        &[("/spec/containers/0/image", json!("web:2"))],
        &[("/spec/initContainers/0/image", json!("init:2"))],
        &[("/spec/activeDeadlineSeconds", json!(30))],
        &[("/spec/tolerations/0/tolerationSeconds", json!(9))],
        &[("/spec/schedulingGates", json!([{ "name": "example.com/b" }]))],
        &[("/spec/schedulingGates", Value::Null)],
        &[("/metadata/labels", json!({ "a": "b" }))],
    ] {
        assert_eq!(refused(changes), Vec::<String>::new(), "{changes:?}");
    }
    let more = json!([pod()["spec"]["tolerations"][0], { "key": "more", "operator": "Exists" }]);
    assert_eq!(refused(&[("/spec/tolerations", more)]), Vec::<String>::new());
}

#[test]
fn what_may_not_change_is_named() {
    let only = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
                `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
                tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";
    let expected = format!("{only}- spec.containers[0].name: \"c\"\n+ spec.containers[0].name: \"d\"\n");
    assert_eq!(refused(&[("/spec/containers/0/name", json!("d"))]), [expected]);
    let expected = format!("{only}- spec.nodeSelector: null\n+ spec.nodeSelector: {{\"a\":\"b\"}}\n");
    assert_eq!(refused(&[("/spec/nodeSelector", json!({ "a": "b" }))]), [expected]);
    for (changes, expected) in [
        (("/spec/containers", json!([])), "spec.containers: Forbidden: pod updates may not add or remove containers"),
        (
            ("/spec/initContainers", Value::Null),
            "spec.initContainers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            ("/spec/activeDeadlineSeconds", json!(61)),
            "spec.activeDeadlineSeconds: Invalid value: 61: must be less than or equal to previous value",
        ),
        (
            ("/spec/activeDeadlineSeconds", Value::Null),
            "spec.activeDeadlineSeconds: Invalid value: \"null\": must not update from a positive integer to nil value",
        ),
        (
            ("/spec/tolerations", Value::Null),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            ("/spec/schedulingGates/0/name", json!("example.com/c")),
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate \
             'example.com/c'",
        ),
    ] {
        assert_eq!(refused(std::slice::from_ref(&changes)), [expected]);
    }
}

#[test]
fn a_negative_grace_may_become_one() {
    let old = with(&pod(), &[("/spec/terminationGracePeriodSeconds", json!(-1))]);
    let new = |seconds: i64| with(&pod(), &[("/spec/terminationGracePeriodSeconds", json!(seconds))]);
    assert_eq!(cases::refused_update(&PodStrategy, &new(1), &old), Vec::<String>::new());
    assert_eq!(cases::refused_update(&PodStrategy, &new(2), &old).len(), 1);
}

#[test]
fn a_new_pod_has_neither_debuggers_nor_a_node_behind_gates() {
    let pod = with(
        &pod(),
        &[("/spec/nodeName", json!("n1")), ("/spec/ephemeralContainers", json!([{ "name": "e", "image": "e" }]))],
    );
    let expected = [
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    ];
    assert_eq!(said(&PodStrategy.validate_create(&created(&PodStrategy, &pod))), expected);
}

#[test]
fn deletion_gives_what_runs_time_to_end() {
    let running = |changes: &[(&str, Value)]| {
        let pod = json!({ "metadata": {}, "spec": { "nodeName": "n1", "terminationGracePeriodSeconds": 30 },
                          "status": { "phase": "Running" } });
        with(&pod, changes)
    };
    let seconds = |seconds: i64| Deletion::Graceful { seconds };
    for (pod, asked, expected) in [
        (running(&[]), None, seconds(30)),
        (running(&[]), Some(5), seconds(5)),
        (running(&[]), Some(0), Deletion::Immediate),
        (running(&[]), Some(-1), seconds(1)),
        (running(&[("/spec/nodeName", Value::Null)]), None, Deletion::Immediate),
        (running(&[("/status/phase", json!("Succeeded"))]), None, Deletion::Immediate),
        (running(&[("/status/phase", json!("Failed"))]), Some(60), Deletion::Immediate),
        // A second request can only shorten the grace.
        (running(&[("/metadata/deletionGracePeriodSeconds", json!(10))]), Some(60), seconds(10)),
        (running(&[("/metadata/deletionGracePeriodSeconds", json!(10))]), Some(3), seconds(3)),
        (running(&[("/metadata/deletionGracePeriodSeconds", json!(10))]), Some(0), Deletion::Immediate),
    ] {
        assert_eq!(PodStrategy.deletion(&pod, asked), expected, "{pod} {asked:?}");
    }
}
