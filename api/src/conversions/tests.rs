use std::borrow::Cow;

use serde_json::{Value, json};

use crate::kinds::{Kind, by_plural};

/// The row of a view.
fn view(group: &str, version: &str, plural: &str) -> &'static Kind {
    let kind = by_plural(group, version, plural).expect("a served kind");
    assert!(kind.is_view());
    kind
}

/// Checks that a stored object is shown like this, and kept from there as it was.
fn check(kind: &Kind, stored: &Value, expected: &Value) {
    let shown = kind.shown(Cow::Borrowed(stored)).into_owned();
    assert_eq!(shown, *expected);
    assert_eq!(kind.kept(shown), *stored);
}

#[test]
fn an_event_changes_names_and_loses_nothing() {
    let about = json!({ "kind": "Pod", "namespace": "default", "name": "p" });
    let source = json!({ "component": "agent", "host": "node-1" });
    let same = json!({
        "metadata": { "name": "e", "namespace": "default", "resourceVersion": "7" },
        "eventTime": "2025-01-01T00:00:00.000000Z", "series": { "count": 2 }, "action": "Start", "reason": "Started",
        "related": about, "reportingInstance": "agent-1", "type": "Normal",
    });
    let with = |more: Value| {
        let mut event = same.clone();
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let stored = with(json!({
        "apiVersion": "v1", "kind": "Event", "involvedObject": about, "message": "m", "count": 3, "source": source,
        "firstTimestamp": "2025-01-01T00:00:01Z", "lastTimestamp": null, "reportingComponent": "agent",
    }));
    let shown = with(json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": about, "note": "m", "deprecatedCount": 3,
        "deprecatedSource": source, "deprecatedFirstTimestamp": "2025-01-01T00:00:01Z",
        "deprecatedLastTimestamp": null, "reportingController": "agent",
    }));
    check(view("events.k8s.io", "v1", "events"), &stored, &shown);
}

fn hpa() -> &'static Kind {
    view("autoscaling", "v1", "horizontalpodautoscalers")
}

fn stored_hpa(metrics: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "a", "annotations": { "mine": "1" } },
        "spec": {
            "scaleTargetRef": { "kind": "Deployment", "name": "d" }, "minReplicas": 1, "maxReplicas": 3,
            "metrics": metrics,
        },
        "status": status,
    })
}

fn cpu(amounts: &str, percent: i64) -> Value {
    let mut metric = json!({ "type": "Resource", "resource": { "name": "cpu" } });
    metric["resource"][amounts] = json!({ "averageUtilization": percent });
    if amounts == "target" {
        metric["resource"][amounts]["type"] = "Utilization".into();
    }
    metric
}

#[test]
fn an_autoscaler_of_the_cpu_alone_has_fields_of_its_own() {
    let current = json!([cpu("current", 40)]);
    let stored = stored_hpa(&json!([cpu("target", 50)]), &json!({ "currentReplicas": 2 }));
    let mut shown = stored.clone();
    shown["apiVersion"] = "autoscaling/v1".into();
    shown["spec"].as_object_mut().unwrap().remove("metrics");
    shown["spec"]["targetCPUUtilizationPercentage"] = 50.into();
    check(hpa(), &stored, &shown);
    // A status made for v1 has no annotation.
    shown["status"]["currentCPUUtilizationPercentage"] = 40.into();
    assert_eq!(hpa().kept(shown)["status"]["currentMetrics"], current);
}

/// One metric of every type, in both forms.
fn metrics() -> [(Value, Value); 6] {
    let named = json!({ "name": "m", "selector": { "matchLabels": { "a": "b" } } });
    let (about, selector) = (json!({ "kind": "Service", "name": "s" }), &named["selector"]);
    let target = |kind: &str, amounts: Value| {
        let mut target = json!({ "type": kind });
        target.as_object_mut().unwrap().extend(amounts.as_object().unwrap().clone());
        target
    };
    [
        (
            json!({ "type": "Resource", "resource": {
                "name": "memory", "target": target("AverageValue", json!({ "averageValue": "1Gi" })) } }),
            json!({ "type": "Resource", "resource": { "name": "memory", "targetAverageValue": "1Gi" } }),
        ),
        (
            json!({ "type": "ContainerResource", "containerResource": { "name": "cpu", "container": "c",
                "target": target("Utilization", json!({ "averageUtilization": 5 })) } }),
            json!({ "type": "ContainerResource", "containerResource": {
                "name": "cpu", "container": "c", "targetAverageUtilization": 5 } }),
        ),
        (
            json!({ "type": "Pods", "pods": {
                "metric": named, "target": target("AverageValue", json!({ "averageValue": "2" })) } }),
            json!({ "type": "Pods", "pods": { "metricName": "m", "selector": selector, "targetAverageValue": "2" } }),
        ),
        (
            json!({ "type": "Object", "object": { "describedObject": about, "metric": named,
                "target": target("Value", json!({ "value": "3" })) } }),
            json!({ "type": "Object", "object": {
                "target": about, "metricName": "m", "selector": selector, "targetValue": "3" } }),
        ),
        (
            json!({ "type": "Object", "object": { "describedObject": about, "metric": { "name": "m" },
                "target": target("AverageValue", json!({ "averageValue": "4" })) } }),
            json!({ "type": "Object", "object": { "target": about, "metricName": "m", "averageValue": "4" } }),
        ),
        (
            json!({ "type": "External", "external": { "metric": named, "target": target("Value", json!({ "value": "5" })) } }),
            json!({ "type": "External", "external": { "metricName": "m", "metricSelector": selector, "targetValue": "5" } }),
        ),
    ]
}

fn annotation(shown: &Value, name: &str) -> Value {
    let text = shown["metadata"]["annotations"][format!("autoscaling.alpha.kubernetes.io/{name}")].as_str();
    serde_json::from_str(text.unwrap_or("null")).expect("JSON")
}

#[test]
fn what_v1_has_no_field_for_stands_in_annotations() {
    let (kept, told): (Vec<_>, Vec<_>) = metrics().into_iter().unzip();
    let with_cpu: Vec<Value> = kept.iter().cloned().chain([cpu("target", 60)]).collect();
    let condition = json!({ "type": "AbleToScale", "status": "True", "reason": "R", "message": "m" });
    let status = json!({
        "currentReplicas": 2, "desiredReplicas": 2, "conditions": [condition],
        "currentMetrics": [
            cpu("current", 30),
            { "type": "External", "external": { "metric": { "name": "m" }, "current": { "value": "1" } } },
            { "type": "Object", "object": { "metric": { "name": "m" }, "describedObject": { "kind": "K", "name": "n" },
                                            "current": { "averageValue": "2" } } },
        ],
    });
    let mut stored = stored_hpa(&json!(with_cpu), &status);
    stored["spec"]["behavior"] = json!({ "scaleDown": {
        "selectPolicy": "Max", "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 15 }],
    } });
    let shown = hpa().shown(Cow::Borrowed(&stored)).into_owned();
    assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 60);
    assert_eq!(annotation(&shown, "metrics"), json!(told));
    assert_eq!(
        annotation(&shown, "behavior"),
        json!({ "ScaleDown": {
            "SelectPolicy": "Max", "Policies": [{ "Type": "Pods", "Value": 1, "PeriodSeconds": 15 }],
        } })
    );
    assert_eq!(annotation(&shown, "conditions"), json!([condition]));
    assert_eq!(
        shown["status"],
        json!({
            "currentReplicas": 2, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 30,
        })
    );
    assert_eq!(
        annotation(&shown, "current-metrics"),
        json!([
            { "type": "Resource", "resource": { "name": "cpu", "currentAverageUtilization": 30 } },
            { "type": "External", "external": { "metricName": "m", "currentValue": "1" } },
            { "type": "Object", "object": { "metricName": "m", "target": { "kind": "K", "name": "n" }, "averageValue": "2" } },
        ])
    );
    assert_eq!(hpa().kept(shown), stored);
}

#[test]
fn annotations_that_cannot_be_read_are_worth_nothing() {
    let stored = stored_hpa(&json!([cpu("target", 50)]), &json!({}));
    let mut shown = hpa().shown(Cow::Borrowed(&stored)).into_owned();
    for (name, text) in [
        ("metrics", "[{\"type\":5}]"),
        ("behavior", "{\"ScaleUp\":null}"),
        ("current-metrics", "nonsense"),
        ("conditions", "{}"),
    ] {
        shown["metadata"]["annotations"][format!("autoscaling.alpha.kubernetes.io/{name}")] = text.into();
    }
    assert_eq!(hpa().kept(shown), stored);
}

#[test]
fn a_stored_autoscaler_does_not_tell_annotations_of_another_time() {
    let mut stored = stored_hpa(&json!([cpu("target", 50)]), &json!({}));
    stored["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"] = "[]".into();
    let shown = hpa().shown(Cow::Owned(stored)).into_owned();
    assert_eq!(shown["metadata"]["annotations"], json!({ "mine": "1" }));
}
