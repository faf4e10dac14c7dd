//! Environments.

#![expect(clippy::needless_pass_by_value, reason = "JSON is written where it is used")]

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::{Environment, Found, expand, references, resolve};
use crate::pods::{
    downward::Downward,
    fixtures::{self, HOST, NODE, container, with},
    pod::PodExt,
};

fn found() -> Found {
    let map = json!({ "data": { "color": "blue", "bad=key": "x", "size": "big" } });
    let secret = json!({ "data": { "token": "c2VjcmV0" } });
    Found {
        config_maps: [("config".to_owned(), serde_json::from_value(map).expect("a map"))].into(),
        secrets: [("keys".to_owned(), serde_json::from_value(secret).expect("a secret"))].into(),
    }
}

fn service(namespace: &str, name: &str, ip: &str, ports: Value) -> Arc<Service> {
    let object = json!({ "metadata": { "namespace": namespace, "name": name },
                         "spec": { "clusterIP": ip, "ports": ports } });
    Arc::new(serde_json::from_value(object).expect("a service"))
}

fn resolved(fields: Value, services: &[Arc<Service>]) -> Result<Environment, String> {
    let mut pod = fixtures::pod(json!({
        "containers": [with(container("app"), fields)], "nodeName": "n", "serviceAccountName": "sa",
    }));
    pod.metadata.labels = Some([("app.kubernetes.io/name".to_owned(), "x".to_owned())].into());
    let downward = Downward { pod: &pod, address: Some(Ipv4Addr::new(10, 0, 0, 5)), host: HOST, node: NODE };
    resolve(&pod, &PodExt::spec(&pod).containers[0], services, &found(), &downward)
}

fn check(fields: Value, expected: &[(&str, &str)]) {
    let environment = resolved(fields.clone(), &[]).expect("an environment");
    let got: Vec<(&str, &str)> =
        environment.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(got, expected, "{fields}");
}

fn from(source: Value) -> Value {
    json!({ "env": [{ "name": "V", "valueFrom": source }] })
}

#[test]
fn references_to_what_is_known_are_replaced() {
    let known = BTreeMap::from([("A", "1"), ("B", "2")]);
    for (text, expected) in [
        ("$(A) $(B)", "1 2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(C)", "$(C)"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("", ""),
    ] {
        assert_eq!(expand(text, &known), expected, "{text}");
    }
}

#[test]
fn values_refer_to_those_before_them() {
    check(
        json!({ "env": [
            { "name": "A", "value": "1" }, { "name": "B", "value": "$(A)-$(C)" }, { "name": "C", "value": "3" },
            { "name": "A", "value": "again" },
        ] }),
        &[("A", "again"), ("B", "1-$(C)"), ("C", "3")],
    );
}

#[test]
fn whole_objects_come_before_single_values() {
    let fields = json!({
        "envFrom": [{ "prefix": "P_", "configMapRef": { "name": "config" } }, { "secretRef": { "name": "keys" } }],
        "env": [{ "name": "token", "value": "mine" }],
    });
    check(fields.clone(), &[("P_color", "blue"), ("P_size", "big"), ("token", "mine")]);
    assert_eq!(resolved(fields, &[]).expect("an environment").invalid, ["P_bad=key"]);
}

#[test]
fn single_values_come_from_many_sources() {
    for (source, value) in [
        (json!({ "configMapKeyRef": { "name": "config", "key": "color" } }), "blue"),
        (json!({ "secretKeyRef": { "name": "keys", "key": "token" } }), "secret"),
        (json!({ "fieldRef": { "fieldPath": "metadata.name" } }), "p"),
        (json!({ "fieldRef": { "fieldPath": "metadata.namespace" } }), "default"),
        (json!({ "fieldRef": { "fieldPath": "metadata.uid" } }), "u"),
        (json!({ "fieldRef": { "fieldPath": "metadata.labels['app.kubernetes.io/name']" } }), "x"),
        (json!({ "fieldRef": { "fieldPath": "metadata.annotations['none']" } }), ""),
        (json!({ "fieldRef": { "fieldPath": "spec.nodeName" } }), "n"),
        (json!({ "fieldRef": { "fieldPath": "spec.serviceAccountName" } }), "sa"),
        (json!({ "fieldRef": { "fieldPath": "status.podIP" } }), "10.0.0.5"),
        (json!({ "fieldRef": { "fieldPath": "status.hostIP" } }), "192.0.2.1"),
        (json!({ "resourceFieldRef": { "resource": "limits.cpu" } }), "4"),
        (json!({ "resourceFieldRef": { "resource": "limits.memory", "divisor": "1Gi" } }), "8"),
        (json!({ "resourceFieldRef": { "resource": "requests.cpu" } }), "0"),
    ] {
        check(from(source), &[("V", value)]);
    }
}

#[test]
fn resources_are_rounded_up() {
    let fields = with(
        from(json!({ "resourceFieldRef": { "resource": "limits.cpu" } })),
        json!({ "resources": { "limits": { "cpu": "1500m" } } }),
    );
    check(fields, &[("V", "2")]);
}

#[test]
fn what_is_missing_and_needed_is_named() {
    for (fields, sentence) in [
        (from(json!({ "configMapKeyRef": { "name": "none", "key": "k" } })), "configmap \"none\" not found"),
        (from(json!({ "secretKeyRef": { "name": "none", "key": "k" } })), "secret \"none\" not found"),
        (
            from(json!({ "configMapKeyRef": { "name": "config", "key": "k" } })),
            "couldn't find key k in ConfigMap default/config",
        ),
        (from(json!({ "secretKeyRef": { "name": "keys", "key": "k" } })), "couldn't find key k in Secret default/keys"),
        (json!({ "envFrom": [{ "configMapRef": { "name": "none" } }] }), "configmap \"none\" not found"),
        (json!({ "envFrom": [{ "secretRef": { "name": "none" } }] }), "secret \"none\" not found"),
        (from(json!({ "fieldRef": { "fieldPath": "status.phase" } })), "unsupported fieldPath: status.phase"),
    ] {
        assert_eq!(resolved(fields, &[]).expect_err("a refusal"), sentence);
    }
}

#[test]
fn what_is_missing_and_optional_is_left_out() {
    check(from(json!({ "configMapKeyRef": { "name": "none", "key": "k", "optional": true } })), &[]);
    check(from(json!({ "secretKeyRef": { "name": "keys", "key": "k", "optional": true } })), &[]);
    check(json!({ "envFrom": [{ "secretRef": { "name": "none", "optional": true } }] }), &[]);
}

#[test]
fn services_of_the_namespace_are_linked() {
    let services = [
        service(
            "default",
            "my-db",
            "10.96.0.7",
            json!([{ "name": "sql", "port": 5432 }, { "port": 53, "protocol": "UDP" }]),
        ),
        service("default", "headless", "None", json!([{ "port": 1 }])),
        service("other", "elsewhere", "10.96.0.8", json!([{ "port": 1 }])),
    ];
    let environment = resolved(json!({ "env": [{ "name": "URL", "value": "$(MY_DB_SERVICE_HOST)" }] }), &services);
    let environment = environment.expect("an environment");
    let map = environment.map();
    for (name, value) in [
        ("URL", "10.96.0.7"),
        ("MY_DB_SERVICE_HOST", "10.96.0.7"),
        ("MY_DB_SERVICE_PORT", "5432"),
        ("MY_DB_SERVICE_PORT_SQL", "5432"),
        ("MY_DB_PORT", "tcp://10.96.0.7:5432"),
        ("MY_DB_PORT_5432_TCP", "tcp://10.96.0.7:5432"),
        ("MY_DB_PORT_5432_TCP_PROTO", "tcp"),
        ("MY_DB_PORT_5432_TCP_PORT", "5432"),
        ("MY_DB_PORT_5432_TCP_ADDR", "10.96.0.7"),
        ("MY_DB_PORT_53_UDP", "udp://10.96.0.7:53"),
    ] {
        assert_eq!(map.get(name), Some(&value), "{name}");
    }
    assert!(!map.keys().any(|name| name.starts_with("ELSEWHERE") || name.starts_with("HEADLESS")));
}

#[test]
fn everything_that_must_be_looked_up_is_listed() {
    let pod = fixtures::pod(json!({ "containers": [with(container("app"), json!({
        "envFrom": [{ "configMapRef": { "name": "a" } }, { "secretRef": { "name": "b" } }],
        "env": [{ "name": "V", "valueFrom": { "secretKeyRef": { "name": "c", "key": "k" } } }],
    }))] }));
    let all = references(&PodExt::spec(&pod).containers[0]);
    assert_eq!(all.config_maps, ["a".to_owned()].into());
    assert_eq!(all.secrets, ["b".to_owned(), "c".to_owned()].into());
}
