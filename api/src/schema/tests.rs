use serde_json::{Value, json};

use super::model::Model;
use crate::kinds::{self, DecodeError, Decoded};

fn decode(kind: &str, value: Value) -> Result<Decoded, DecodeError> {
    let kind = kinds::KINDS.iter().find(|k| k.kind == kind).expect("a served kind");
    (kind.shape.decode)(value)
}

#[test]
fn every_rule_names_a_field_of_the_model() {
    let model = Model::get();
    for (short, field, ..) in super::lists::FIELDS {
        let name = match short.split('.').next() {
            Some("meta") => format!("io.k8s.apimachinery.pkg.apis.{short}"),
            Some("apiregistration") => format!("io.k8s.kube-aggregator.pkg.apis.{short}"),
            _ => format!("io.k8s.api.{short}"),
        };
        let Some(id) = model.by_name(&name) else {
            let group = short.split('.').next().unwrap_or_default();
            let is_served = kinds::KINDS.iter().any(|kind| kind.group.split('.').next() == Some(group));
            assert!(!is_served, "no {name}");
            continue;
        };
        assert!(model.definition(id).fields.contains_key(*field), "{name}.{field}");
    }
    assert!(super::lists::ATOMIC_TYPES.is_sorted());
    assert!(super::lists::FIELDS.is_sorted_by_key(|(kind, field, ..)| (kind, field)));
}

#[test]
fn unknown_fields_are_listed_and_dropped() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "nope": 1 }, "extra": {},
        "spec": { "containers": [{ "name": "c", "imagee": "x", "env": [{ "name": "A" }, { "name": "B", "vaule": "" }] }],
                  "volumes": [{ "name": "v", "emptyDir": { "sizelimit": "1Gi" } }] }
    });
    let decoded = decode("Pod", pod).expect("a pod");
    assert_eq!(
        decoded.unknown,
        [
            "extra",
            "metadata.nope",
            "spec.containers[0].env[1].vaule",
            "spec.containers[0].imagee",
            "spec.volumes[0].emptyDir.sizelimit"
        ]
    );
    assert_eq!(
        decoded.object["spec"]["containers"][0],
        json!({ "name": "c", "env": [{ "name": "A" }, { "name": "B" }] })
    );
    assert_eq!(decoded.object["spec"]["volumes"][0], json!({ "name": "v", "emptyDir": {} }));
}

#[test]
fn what_is_empty_or_zero_stays_and_null_goes() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "d", "creationTimestamp": null, "labels": {}, "annotations": null },
        "spec": { "replicas": 0, "selector": {}, "paused": false, "template": {
            "metadata": { "creationTimestamp": null },
            "spec": { "securityContext": {}, "containers": [], "nodeName": "",
                      "volumes": [{ "name": "v", "emptyDir": {} }], "affinity": null,
                      "topologySpreadConstraints": [] } } },
        "status": {}
    });
    let decoded = decode("Deployment", deployment).expect("a deployment");
    assert!(decoded.unknown.is_empty());
    assert_eq!(
        decoded.object,
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "labels": {} },
            "spec": { "replicas": 0, "selector": {}, "paused": false, "template": {
                "metadata": {},
                "spec": { "securityContext": {}, "containers": [], "nodeName": "",
                          "volumes": [{ "name": "v", "emptyDir": {} }], "topologySpreadConstraints": [] } } },
            "status": {}
        })
    );
    let decoded = decode("ConfigMap", json!({ "metadata": {}, "data": {} })).expect("a config map");
    assert_eq!(decoded.object, json!({ "metadata": {}, "data": {} }));
}

#[test]
fn amounts_become_canonical_also_from_numbers() {
    let pod = json!({ "spec": { "containers": [{ "name": "c", "resources": {
        "limits": { "cpu": 1, "memory": "1024Mi", "ephemeral-storage": 1_000_000 }, "requests": { "cpu": 0.5 } } }] } });
    let decoded = decode("Pod", pod).expect("a pod");
    assert_eq!(
        decoded.object["spec"]["containers"][0]["resources"],
        json!({ "limits": { "cpu": "1", "memory": "1Gi", "ephemeral-storage": "1M" }, "requests": { "cpu": "500m" } })
    );
}

#[test]
fn ports_may_be_numbers_or_names() {
    let service = |port: Value| json!({ "spec": { "ports": [{ "port": 80, "targetPort": port }] } });
    assert!(decode("Service", service(json!(8080))).is_ok());
    assert!(decode("Service", service(json!("http"))).is_ok());
    let error = decode("Service", service(json!(true))).expect_err("no port");
    assert_eq!(
        error.message,
        "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32"
    );
}

#[test]
fn a_value_of_another_type_is_refused_with_its_field() {
    for (kind, value, path, message) in [
        (
            "Deployment",
            json!({ "spec": { "replicas": "3" } }),
            "spec.replicas",
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "Pod",
            json!({ "spec": { "containers": { "name": "c" } } }),
            "spec.containers",
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "Pod",
            json!({ "spec": { "containers": [{ "env": [{ "name": "A", "value": 1 }] }] } }),
            "spec.containers[0].env[0].value",
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            "Pod",
            json!({ "metadata": { "labels": { "a": true } } }),
            "metadata.labels[a]",
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels.a of type string",
        ),
        (
            "Pod",
            json!({ "spec": { "containers": [{ "ports": [{ "containerPort": 99_999_999_999_i64 }] }] } }),
            "spec.containers[0].ports[0].containerPort",
            "json: cannot unmarshal number 99999999999 into Go struct field \
             ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            "Pod",
            json!({ "spec": { "containers": [{ "resources": { "limits": { "cpu": "one" } } }] } }),
            "spec.containers[0].resources.limits[cpu]",
            "spec.containers[0].resources.limits[cpu]: quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("Secret", json!({ "data": { "k": "a&b=" } }), "data[k]", "data[k]: illegal base64 data at input byte 1"),
        ("Pod", json!([]), ".", "json: cannot unmarshal array into Go value of type v1.Pod"),
    ] {
        let error = decode(kind, value).expect_err(message);
        assert_eq!((error.path.as_str(), error.message.as_str()), (path, message));
    }
}

#[test]
fn base64_may_span_lines() {
    let decoded = decode("Secret", json!({ "data": { "k": "aGVs\nbG8=\n" } })).expect("a secret");
    assert_eq!(decoded.object["data"]["k"], "aGVsbG8=");
}

#[test]
fn schemas_say_how_lists_merge() {
    let mut schema = json!({ "properties": { "ports": { "type": "array" }, "args": { "type": "array" } } });
    super::annotate("io.k8s.api.core.v1.Container", &mut schema);
    assert_eq!(
        schema["properties"]["ports"],
        json!({ "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "containerPort" })
    );
    assert_eq!(schema["properties"]["args"], json!({ "type": "array", "x-kubernetes-list-type": "atomic" }));
    let mut selector = json!({});
    super::annotate("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", &mut selector);
    assert_eq!(selector, json!({ "x-kubernetes-map-type": "atomic" }));
}
