use serde_json::{Value, json};

use super::ApiServiceStrategy;
use crate::registry::cases::{created, refused, updated, with};

fn service() -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": { "name": "v1.apps", "creationTimestamp": "2025-01-01T00:00:00Z" },
        "spec": { "group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15 },
    })
}

fn check(changes: &[(&str, Value)], expected: &[&str]) {
    assert_eq!(refused(&ApiServiceStrategy, &with(&service(), changes)), expected, "{changes:?}");
}

#[test]
fn what_is_served_here_is_available() {
    let made = created(&ApiServiceStrategy, &service());
    assert_eq!(
        made["status"]["conditions"],
        json!([{
            "type": "Available", "status": "True", "reason": "Local", "lastTransitionTime": "2025-01-01T00:00:00Z",
            "message": "Local APIServices are always available",
        }])
    );
    let changed = with(&service(), &[("/status", json!({})), ("/spec/versionPriority", json!(16))]);
    let changed = updated(&ApiServiceStrategy, &changed, &made);
    assert_eq!(changed["status"], made["status"]);
    assert_eq!(changed["spec"]["versionPriority"], 16);
}

#[test]
fn it_is_named_after_what_it_stands_for() {
    check(&[], &[]);
    check(&[("/metadata/name", json!("v1.")), ("/spec/group", Value::Null)], &[]);
    let words = "must be `spec.version+\".\"+spec.group`: \"v1.apps\"";
    check(&[("/metadata/name", json!("apps"))], &[&format!("metadata.name: Invalid value: \"apps\": {words}")]);
    check(
        &[("/metadata/name", json!("v2.")), ("/spec/group", json!("")), ("/spec/version", json!("v2"))],
        &["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"],
    );
}

#[test]
fn it_is_local_and_has_priorities() {
    check(
        &[
            ("/spec/groupPriorityMinimum", json!(20_001)),
            ("/spec/versionPriority", json!(0)),
            ("/spec/caBundle", json!("YWJj")),
            ("/spec/insecureSkipTLSVerify", json!(true)),
        ],
        &[
            "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
            "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
            "spec.caBundle: Invalid value: \"3 bytes\": local APIServices may not have a caBundle",
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
        ],
    );
    check(
        &[("/spec/service", json!({ "namespace": "n", "name": "s" }))],
        &["spec.service: Forbidden: calls are not handed on to other servers"],
    );
}
