//! The old document, as the readers of Go and Python walk through it.

use std::sync::LazyLock;

use nodeplane_api::kinds::KINDS;
use serde_json::{Value, json};

use super::{
    message::{Message, Shape, parameter},
    protobuf, swagger,
};
use crate::http::openapi::describe;

fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| swagger(describe(KINDS.iter())));
    &DOCUMENT
}

/// Every value that has a field of a message, and the message.
fn walk(of: Message, value: &Value, seen: &mut impl FnMut(Message, &str, &Value)) {
    for (name, value) in value.as_object().unwrap() {
        seen(of, name, value);
        let shape = of.fields().0.iter().find(|(field, ..)| field == name).map(|(.., shape)| *shape);
        match shape {
            Some(Shape::Inside(_, of)) => walk(of, value, seen),
            Some(Shape::Map(.., of)) => value.as_object().unwrap().values().for_each(|value| walk(of, value, seen)),
            Some(Shape::Parameters) => {
                for value in value.as_array().unwrap() {
                    walk(parameter(value["in"].as_str().unwrap()).1, value, seen);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_field_has_a_number_and_every_reference_a_definition() {
    let document = document();
    let mut references = 0;
    walk(Message::Document, document, &mut |of, name, value| {
        let known = name.starts_with("x-") || of.fields().0.iter().any(|(field, ..)| *field == name);
        assert!(known, "{name} in {of:?}");
        if name == "$ref" {
            references += 1;
            let pointer = value.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{value}");
        }
    });
    assert!(references > 1000, "{references}");
}

#[test]
fn each_kind_is_found_by_its_group_version_and_kind() {
    let document = document();
    for kind in KINDS {
        let definition = &document["definitions"][(kind.shape.definition)().as_ref()];
        let own = json!([{ "group": kind.group, "version": kind.version, "kind": kind.kind }]);
        assert_eq!(definition["x-kubernetes-group-version-kind"], own, "{kind:?}");
        assert!(definition["description"].is_string(), "{kind:?}");
    }
    let containers = &document["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["items"]["$ref"], "#/definitions/io.k8s.api.core.v1.Container");
    let port = &document["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!((&port["type"], &port["format"]), (&json!("string"), &json!("int-or-string")));
    let template = &document["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["template"];
    assert_eq!(template["$ref"], "#/definitions/io.k8s.api.core.v1.PodTemplateSpec");
    assert!(template["description"].is_string() && template.get("allOf").is_none(), "{template}");
}

#[test]
fn operations_take_and_give_what_their_bodies_did() {
    let document = document();
    let item = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    let patch = &item["patch"];
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    assert_eq!(patch["tags"], json!(["apps_v1"]));
    assert!(patch["consumes"].as_array().unwrap().contains(&json!("application/strategic-merge-patch+json")));
    let body = &patch["parameters"][0];
    assert_eq!((&body["in"], &body["required"]), (&json!("body"), &json!(true)));
    assert_eq!(patch["responses"]["200"]["schema"]["$ref"], "#/definitions/io.k8s.api.apps.v1.Deployment");
    assert_eq!(
        item["parameters"][0],
        json!({
            "name": "namespace", "in": "path", "required": true, "type": "string", "uniqueItems": true,
            "description": "The namespace of the object.",
        })
    );
    assert!(patch.get("requestBody").is_none());
    let mut ids: Vec<&str> = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        ids.extend(item.as_object().unwrap().values().filter_map(|operation| operation.get("operationId")?.as_str()));
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two operations have one id");
}

/// A field of a message: its number, and its bytes when it has a length.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            2 => usize::try_from(varint(&mut message)).unwrap(),
            _ => {
                varint(&mut message);
                0
            }
        };
        let (value, rest) = message.split_at(length);
        found.push((key >> 3, value));
        message = rest;
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let end = message.iter().position(|byte| *byte < 0x80).unwrap();
    let (number, rest) = message.split_at(end + 1);
    *message = rest;
    number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

/// The value of the entry with this name in a map whose entries have this number.
fn entry<'a>(map: &'a [u8], number: u64, name: &str) -> &'a [u8] {
    let entries = fields(map).into_iter().filter(|(found, _)| *found == number).map(|(_, entry)| fields(entry));
    let mut named = entries.filter(|entry| entry[0] == (1, name.as_bytes()));
    named.next().unwrap_or_else(|| panic!("no {name}"))[1].1
}

fn field(message: &[u8], number: u64) -> &[u8] {
    fields(message).into_iter().find(|(found, _)| *found == number).unwrap_or_else(|| panic!("no field {number}")).1
}

#[test]
fn the_same_stands_in_protobuf() {
    let document = document();
    let bytes = protobuf::encode(document);
    assert_eq!(field(&bytes, 1), b"2.0");
    let definitions = field(&bytes, 9);
    assert_eq!(fields(definitions).len(), document["definitions"].as_object().unwrap().len());
    let pod = entry(definitions, 1, "io.k8s.api.core.v1.Pod");
    let said = document["definitions"]["io.k8s.api.core.v1.Pod"]["description"].as_str().unwrap();
    assert_eq!(field(pod, 4), said.as_bytes());
    assert_eq!(field(field(pod, 22), 1), b"object");
    let spec = entry(field(pod, 25), 1, "spec");
    assert_eq!(field(spec, 1), b"#/definitions/io.k8s.api.core.v1.PodSpec");
    let named = field(field(pod, 31), 2);
    let named: Value = serde_json::from_slice(field(named, 2)).unwrap();
    assert_eq!(named, json!([{ "group": "", "version": "v1", "kind": "Pod" }]));

    let item = entry(field(&bytes, 8), 2, "/api/v1/namespaces/{namespace}/pods/{name}");
    let patch = field(item, 8);
    assert_eq!(field(patch, 5), b"patchCoreV1NamespacedPod");
    let body = field(field(field(patch, 8), 1), 1);
    assert_eq!(field(body, 3), b"body");
    let ok = field(entry(field(patch, 9), 1, "200"), 1);
    assert_eq!(field(field(field(ok, 2), 1), 1), b"#/definitions/io.k8s.api.core.v1.Pod");
    let place = field(field(field(field(item, 9), 1), 2), 4);
    assert_eq!(field(place, 4), b"namespace");
}
