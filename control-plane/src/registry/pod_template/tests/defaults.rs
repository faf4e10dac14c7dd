//! What is filled in.

use serde_json::json;

use super::{created, with};
use crate::registry::{Strategy, cases, core::pod::PodStrategy};

#[test]
fn a_pod_gets_the_defaults_of_upstream() {
    let expected = json!({
        "containers": [{
            "name": "c", "image": "web:1", "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }],
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "securityContext": {}, "schedulerName": "default-scheduler", "enableServiceLinks": true,
    });
    assert_eq!(created(&[]), expected);
    // What is filled once stays as it is.
    let mut again = json!({ "spec": created(&[]) });
    PodStrategy.default(&mut again);
    assert_eq!(again["spec"], expected);
}

#[test]
fn images_without_a_tag_are_pulled_always() {
    for (image, expected) in [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("registry:5000/web", "Always"),
        ("registry:5000/web:1", "IfNotPresent"),
        ("web@sha256:abc", "IfNotPresent"),
        ("web:latest@sha256:abc", "Always"),
    ] {
        let spec = created(&[("/spec/containers/0/image", json!(image))]);
        assert_eq!(spec["containers"][0]["imagePullPolicy"], expected, "{image}");
    }
}

#[test]
fn the_parts_of_a_pod_get_their_defaults() {
    let spec = created(&[
        ("/spec/hostNetwork", json!(true)),
        ("/spec/serviceAccount", json!("robot")),
        ("/spec/containers/0/ports", json!([{ "containerPort": 80 }])),
        (
            "/spec/containers/0/resources",
            json!({ "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "500m" } }),
        ),
        ("/spec/containers/0/livenessProbe", json!({ "httpGet": { "port": 80 } })),
        ("/spec/containers/0/readinessProbe", json!({ "grpc": { "port": 80 }, "periodSeconds": 3 })),
        ("/spec/containers/0/lifecycle", json!({ "preStop": { "httpGet": { "port": 80, "path": "/end" } } })),
        (
            "/spec/containers/0/env",
            json!([{ "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }]),
        ),
        (
            "/spec/volumes",
            json!([{ "name": "a" }, { "name": "b", "configMap": { "name": "m" } }, { "name": "c", "hostPath": { "path": "/" } },
                   { "name": "d", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } },
                     { "downwardAPI": { "items": [{ "path": "p", "fieldRef": { "fieldPath": "metadata.name" } }] } }] } }]),
        ),
    ]);
    let container = &spec["containers"][0];
    assert_eq!(container["ports"], json!([{ "containerPort": 80, "hostPort": 80, "protocol": "TCP" }]));
    assert_eq!(container["resources"]["requests"], json!({ "cpu": "500m", "memory": "1Gi" }));
    let http = json!({ "httpGet": { "port": 80, "path": "/", "scheme": "HTTP" }, "timeoutSeconds": 1, "periodSeconds": 10,
                       "successThreshold": 1, "failureThreshold": 3 });
    assert_eq!(container["livenessProbe"], http);
    let grpc = json!({ "grpc": { "port": 80, "service": "" }, "timeoutSeconds": 1, "periodSeconds": 3,
                       "successThreshold": 1, "failureThreshold": 3 });
    assert_eq!(container["readinessProbe"], grpc);
    assert_eq!(container["lifecycle"]["preStop"]["httpGet"], json!({ "port": 80, "path": "/end", "scheme": "HTTP" }));
    assert_eq!(
        container["env"][0]["valueFrom"]["fieldRef"],
        json!({ "fieldPath": "status.podIP", "apiVersion": "v1" })
    );
    assert_eq!(spec["serviceAccountName"], "robot");
    let volumes = json!([
        { "name": "a", "emptyDir": {} },
        { "name": "b", "configMap": { "name": "m", "defaultMode": 420 } },
        { "name": "c", "hostPath": { "path": "/", "type": "" } },
        { "name": "d", "projected": { "defaultMode": 420, "sources": [
            { "serviceAccountToken": { "path": "t", "expirationSeconds": 3600 } },
            { "downwardAPI": { "items": [{ "path": "p", "fieldRef": { "fieldPath": "metadata.name", "apiVersion": "v1" } }] } },
        ] } },
    ]);
    assert_eq!(spec["volumes"], volumes);
}

#[test]
fn the_quality_of_service_follows_requests_and_limits() {
    let both = json!({ "cpu": "1", "memory": "1Gi" });
    for (resources, expected) in [
        (json!({}), "BestEffort"),
        (json!({ "limits": both }), "Guaranteed"),
        (json!({ "limits": both, "requests": both }), "Guaranteed"),
        (json!({ "limits": both, "requests": { "cpu": "500m" } }), "Burstable"),
        (json!({ "limits": { "cpu": "1" } }), "Burstable"),
        (json!({ "requests": { "memory": "1Gi" } }), "Burstable"),
        (json!({ "requests": { "cpu": "0" } }), "BestEffort"),
    ] {
        let pod = cases::created(&PodStrategy, &with(&[("/spec/containers/0/resources", resources.clone())]));
        assert_eq!(pod["status"]["qosClass"], expected, "{resources}");
    }
}

#[test]
fn a_negative_grace_is_taken_with_a_warning() {
    let pod = with(&[("/spec/terminationGracePeriodSeconds", json!(-5))]);
    assert_eq!(cases::refused(&PodStrategy, &pod), Vec::<String>::new());
    let words =
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1";
    assert_eq!(PodStrategy.warnings(&pod), [words]);
    assert_eq!(PodStrategy.warnings(&with(&[])), Vec::<String>::new());
}
