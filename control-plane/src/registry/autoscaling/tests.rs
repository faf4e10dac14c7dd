use serde_json::{Value, json};

use super::AutoscalerStrategy;
use crate::registry::{
    Strategy,
    cases::{created, refused, said, updated, with},
};

fn autoscaler() -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "a", "namespace": "default" },
        "spec": { "maxReplicas": 3, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "d" } },
    })
}

fn check(changes: &[(&str, Value)], expected: &[&str]) {
    assert_eq!(refused(&AutoscalerStrategy, &with(&autoscaler(), changes)), expected, "{changes:?}");
}

/// What is wrong with one metric; paths begin there.
fn check_metric(metric: &Value, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|words| format!("spec.metrics[0].{words}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&[("/spec/metrics", json!([metric]))], &expected);
}

#[test]
fn the_default_is_one_pod_and_80_percent_of_the_cpu() {
    let made = created(&AutoscalerStrategy, &autoscaler());
    assert_eq!(made["spec"]["minReplicas"], 1);
    let target = json!({ "type": "Utilization", "averageUtilization": 80 });
    assert_eq!(
        made["spec"]["metrics"],
        json!([{ "type": "Resource", "resource": { "name": "cpu", "target": target } }])
    );
    assert!(made["spec"].get("behavior").is_none());
}

#[test]
fn a_behavior_is_completed_in_both_directions() {
    let some = json!({ "scaleDown": { "selectPolicy": "Disabled", "tolerance": "100m" } });
    let made = created(&AutoscalerStrategy, &with(&autoscaler(), &[("/spec/behavior", some)]));
    let by_percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    let by_pods = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
    assert_eq!(
        made["spec"]["behavior"],
        json!({
            "scaleUp": { "stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [by_pods, by_percent] },
            "scaleDown": { "selectPolicy": "Disabled", "policies": [by_percent] },
        })
    );
    let mut again = made.clone();
    AutoscalerStrategy.default(&mut again);
    assert_eq!(again, made);
}

#[test]
fn an_update_keeps_the_status() {
    let old = with(&autoscaler(), &[("/status", json!({ "currentReplicas": 2 }))]);
    let new = with(&autoscaler(), &[("/spec/maxReplicas", json!(5)), ("/status", json!({ "currentReplicas": 9 }))]);
    let made = updated(&AutoscalerStrategy, &new, &old);
    assert_eq!((&made["spec"]["maxReplicas"], &made["status"]["currentReplicas"]), (&json!(5), &json!(2)));
    let wrong = with(&old, &[("/status", json!({ "currentReplicas": -1, "desiredReplicas": -2 }))]);
    let words = "must be greater than or equal to 0";
    assert_eq!(
        said(&AutoscalerStrategy.validate_status_update(&wrong, &old)),
        [
            format!("status.currentReplicas: Invalid value: -1: {words}"),
            format!("status.desiredReplicas: Invalid value: -2: {words}"),
        ]
    );
}

#[test]
fn there_are_some_replicas_of_something() {
    check(&[], &[]);
    check(
        &[("/spec/minReplicas", json!(0)), ("/spec/maxReplicas", json!(-1))],
        &[
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            "spec.maxReplicas: Invalid value: -1: must be greater than 0",
            "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
        ],
    );
    check(
        &[("/spec/scaleTargetRef", json!({ "kind": "", "name": "a/b%" }))],
        &[
            "spec.scaleTargetRef.kind: Required value",
            "spec.scaleTargetRef.name: Invalid value: \"a/b%\": may not contain '/'",
            "spec.scaleTargetRef.name: Invalid value: \"a/b%\": may not contain '%'",
        ],
    );
}

#[test]
fn a_metric_has_the_source_of_its_type() {
    let resource = json!({ "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } });
    let pods = json!({ "metric": { "name": "m" }, "target": { "type": "AverageValue", "averageValue": "1" } });
    check_metric(&json!({ "type": "Resource", "resource": resource }), &[]);
    check_metric(
        &json!({ "type": "Odd", "resource": resource }),
        &["type: Unsupported value: \"Odd\": supported values: \"ContainerResource\", \"External\", \"Object\", \
           \"Pods\", \"Resource\""],
    );
    check_metric(
        &json!({ "type": "Resource", "pods": pods }),
        &["resource: Required value: must populate information for the given metric source"],
    );
    check_metric(
        &json!({ "type": "Resource", "resource": resource, "pods": pods }),
        &["pods: Forbidden: must populate the given metric source only"],
    );
}

#[test]
fn a_source_names_what_it_measures_and_aims_at() {
    let none = "must set either a target raw value or a target utilization";
    check_metric(
        &json!({ "type": "Resource", "resource": { "name": "", "target": { "type": "Odd" } } }),
        &[
            "resource.name: Required value: must specify a resource name",
            "resource.target.type: Invalid value: \"Odd\": must be either Utilization, Value, or AverageValue",
            &format!("resource.target.averageUtilization: Required value: {none}"),
        ],
    );
    check_metric(
        &json!({ "type": "ContainerResource", "containerResource": {
            "name": "odd", "container": "A",
            "target": { "type": "Value", "averageUtilization": 0, "averageValue": "-1" },
        } }),
        &[
            "containerResource.name: Invalid value: \"odd\": must be a standard resource type or fully qualified",
            "containerResource.name: Invalid value: \"odd\": must be a standard resource for containers",
            "containerResource.container: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case \
             alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "containerResource.target.averageValue: Invalid value: \"-1\": must be positive",
            "containerResource.target.averageUtilization: Invalid value: 0: must be greater than 0",
            "containerResource.target.averageValue: Forbidden: may not set both a target raw value and a target \
             utilization",
        ],
    );
    let bare = json!({ "metric": { "name": "" }, "target": { "type": "Value" } });
    for (kind, source, words) in [
        ("Pods", "pods", "must specify a positive target averageValue"),
        ("External", "external", "must set either a target value for metric or a per-pod target"),
    ] {
        check_metric(
            &json!({ "type": kind, source: bare }),
            &[
                &format!("{source}.metric.name: Required value: must specify a metric name"),
                &format!("{source}.target.averageValue: Required value: {words}"),
            ],
        );
    }
    let both = json!({ "type": "Value", "value": "1", "averageValue": "1" });
    check_metric(
        &json!({ "type": "External", "external": { "metric": { "name": "m" }, "target": both } }),
        &["external.target.value: Forbidden: may not set both a target value for metric and a per-pod target"],
    );
    check_metric(
        &json!({ "type": "Object", "object": {
            "describedObject": { "kind": "Service", "name": "s" }, "metric": { "name": "m" }, "target": { "type": "Value" },
        } }),
        &["object.target.averageValue: Required value: must set either a target value or averageValue"],
    );
}

#[test]
fn policies_are_within_bounds() {
    let rules = json!({
        "stabilizationWindowSeconds": 3601, "selectPolicy": "Odd",
        "policies": [{ "type": "Odd", "value": 0, "periodSeconds": 1801 }],
    });
    check(
        &[("/spec/behavior", json!({ "scaleUp": rules, "scaleDown": { "policies": [] } }))],
        &[
            "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
            "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Odd\": supported values: \"Disabled\", \"Max\", \
             \"Min\"",
            "spec.behavior.scaleUp.policies[0].type: Unsupported value: \"Odd\": supported values: \"Percent\", \"Pods\"",
            "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
            "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
            "spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
        ],
    );
}
