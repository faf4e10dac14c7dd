use proptest::{collection::btree_map, prelude::*};
use serde_json::json;

use super::*;

fn entry(value: impl Into<Bytes>) -> Entry {
    Entry { key: "/k/default/a".into(), value: value.into(), revision: 9 }
}

fn object(value: &Value) -> Object {
    Object::decode(&entry(value.to_string())).unwrap()
}

fn text(object: &Object) -> String {
    let mut out = Vec::new();
    object.write_json(&mut out);
    assert!(out.len() <= object.json_len());
    String::from_utf8(out).unwrap()
}

fn metadata(object: &Object) -> String {
    let mut out = Vec::new();
    object.write_metadata_json(&mut out);
    String::from_utf8(out).unwrap()
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "a",
            "annotations": { "note": "a \"quote\", a {brace} and a \\ in it" },
            "labels": { "app": "web", "tier": "" },
            "uid": "u",
        },
        "spec": { "nodeName": "n1", "hostNetwork": true, "priority": -5, "share": 0.25, "big": u64::MAX,
                  "metadata": { "labels": { "app": "other" } } },
        "status": { "podIPs": [{ "ip": "10.0.0.1" }], "message": "two\nlines", "reason": null },
    })
}

#[test]
fn the_revision_travels_outside_the_bytes() {
    let mut value = json!({"metadata": {"name": "a", "resourceVersion": "7"}});
    let bytes = encode(&mut value);
    assert_eq!(&bytes[..], br#"{"metadata":{"name":"a"}}"#);
    let object = Object::decode(&entry(bytes)).unwrap();
    assert_eq!((object.revision(), object.key(), object.name()), (9, "/k/default/a", "a"));
    assert_eq!(*object.value(), json!({"metadata": {"name": "a", "resourceVersion": "9"}}));
    let later = object.at_revision(10);
    assert_eq!(*later.value(), json!({"metadata": {"name": "a", "resourceVersion": "10"}}));
    assert!(later.shares_with(&object) && later != object);
}

#[test]
fn the_text_is_that_of_the_tree() {
    let object = object(&pod());
    assert_eq!(text(&object), object.value().to_string(), "the revision stands in the order of keys");
    assert_eq!(metadata(&object), object.value()["metadata"].to_string());
    assert_eq!(text(&object.at_revision(u64::MAX)), object.at_revision(u64::MAX).value().to_string());
    assert_eq!(object.clone().into_value(), *object.value());
}

#[test]
fn a_tree_belongs_to_the_handle_that_was_asked_for_it() {
    let object = object(&pod());
    let shared = object.clone();
    assert_eq!(*object.tree(), *shared.tree());
    assert_eq!(object.value(), &*object.tree());
    assert!(object.has_tree() && !shared.has_tree() && !object.clone().has_tree());
}

#[test]
fn labels_are_found_in_the_text() {
    let pod = object(&pod());
    for (name, value) in [("app", Some("web")), ("tier", Some("")), ("note", None), ("", None)] {
        assert_eq!(pod.label(name), value);
    }
    for labels in [json!(null), json!({}), json!([]), json!({ "app": 1 }), json!("app")] {
        assert_eq!(object(&json!({ "metadata": { "labels": labels } })).label("app"), None);
    }
    assert!(!pod.has_tree());
}

#[test]
fn fields_are_found_in_the_text_as_in_the_tree() {
    let object = object(&pod());
    let with_tree = object.clone();
    with_tree.value();
    for (pointer, expected) in [
        ("/metadata/name", Some("a")),
        ("/metadata/resourceVersion", Some("9")),
        ("/spec/nodeName", Some("n1")),
        ("/spec/hostNetwork", Some("true")),
        ("/spec/priority", Some("-5")),
        ("/spec/share", Some("0.25")),
        ("/spec/big", Some("18446744073709551615")),
        ("/spec/metadata", Some(r#"{"labels":{"app":"other"}}"#)),
        ("/status/podIPs/0/ip", Some("10.0.0.1")),
        ("/status/podIPs", Some(r#"[{"ip":"10.0.0.1"}]"#)),
        ("/status/podIPs/1/ip", None),
        ("/status/podIPs/x", None),
        ("/status/message", Some("two\nlines")),
        ("/status/reason", None),
        ("/status/phase", None),
        ("/spec/nodeName/x", None),
        ("/nothing/at/all", None),
    ] {
        assert_eq!(object.field(pointer).as_deref(), expected, "{pointer}");
        assert_eq!(with_tree.field(pointer).as_deref(), expected, "{pointer}");
    }
    assert!(!object.has_tree());
}

#[test]
fn parts_of_a_tree_are_read_past_the_rest() {
    let object = object(&pod());
    for (pointers, expected) in [
        (&[""][..], object.value().clone()),
        (&["/spec/nodeName", "/kind"], json!({ "kind": "Pod", "spec": { "nodeName": "n1" } })),
        (&["/metadata/annotations"], json!({ "metadata": { "annotations": pod()["metadata"]["annotations"] } })),
        (&["/status/podIPs/*"], json!({ "status": { "podIPs": [null] } })),
        (
            &["/status/podIPs/*/ip", "/status/reason"],
            json!({ "status": { "podIPs": [{ "ip": "10.0.0.1" }], "reason": null } }),
        ),
        (&["/status/podIPs/*/x", "/nothing"], json!({ "status": { "podIPs": [{}] } })),
        (&["/spec", "/spec/share"], json!({ "spec": pod()["spec"] })),
    ] {
        let expected: Value = expected;
        assert_eq!(
            Object::parts(&object.clone(), &Parts::new(pointers.iter().copied())),
            without_revision(expected),
            "{pointers:?}"
        );
    }
}

fn without_revision(mut value: Value) -> Value {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    value
}

#[test]
fn what_others_wrote_in_a_form_of_their_own_reads_the_same() {
    for bytes in [
        r#"{}"#,
        r#"{"metadata":{}}"#,
        r#" { "metadata" : { "labels" : { "app" : "web" } , "name" : "a" } } "#,
        r#"{"metadata":{"name":"a","resourceVersion":"3","labels":{"app":"web"}}}"#,
        r#"{"metadata":{"resourceVersion":"3"}}"#,
        r#"{"met\u0061data":{"l\u0061bels":{"\u0061pp":"w\u0065b"}}}"#,
        r#"{"metadata":{"labels":{"app":"db"}},"metadata":{"labels":{"app":"web"}}}"#,
        r#"{"metadata":{"uid":"u","name":"a"},"kind":"Pod"}"#,
    ] {
        let object = Object::decode(&entry(bytes)).unwrap();
        let mut expected: Value = serde_json::from_str(bytes).unwrap();
        set_revision(&mut expected, 9);
        assert_eq!(*object.value(), expected, "{bytes}");
        assert_eq!(serde_json::from_str::<Value>(&text(&object)).unwrap(), expected, "{bytes}");
        assert_eq!(serde_json::from_str::<Value>(&metadata(&object)).unwrap(), expected["metadata"], "{bytes}");
        assert_eq!(object.label("app"), expected["metadata"]["labels"]["app"].as_str(), "{bytes}");
    }
}

#[test]
fn what_is_no_object_is_an_error_with_its_key() {
    let deep = format!("{{\"metadata\":{{}},\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for bytes in [
        &b"not json"[..],
        b"[1]",
        b"{} {}",
        b"{\"a\":1e999}",
        b"{\"metadata\":{},\"a\":1e999}",
        b"{\"metadata\":{},\"a\":\"\\ud800\"}",
        b"{\"metadata\":{},\"a\":\"\xff\"}",
        b"{\"metadata\":null}",
        b"{\"metadata\":[]}",
        deep.as_bytes(),
    ] {
        let error = Object::decode(&entry(bytes.to_vec())).unwrap_err().to_string();
        assert!(error.contains("/k/default/a at revision 9"), "{error}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}|[\"\\\\{}\\[\\]\n]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-c\"\\\\u0-9z]{0,2}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_reads_the_same_as_text_and_as_a_tree(
        metadata_fields in btree_map("name|uid|z|[a-z\"]{0,3}|labels", any_json(), 0..5),
        labels in btree_map("[a-z]{0,3}", "[a-z\"\\\\]{0,3}", 0..4),
        rest in btree_map("[a-z]{1,3}", any_json(), 0..4),
    ) {
        let mut value = Value::Object(rest.into_iter().collect());
        value["metadata"] = Value::Object(metadata_fields.into_iter().collect());
        value["metadata"]["labels"] = json!(labels);
        let object = object(&value);
        set_revision(&mut value, 9);
        prop_assert_eq!(object.value(), &value);
        prop_assert_eq!(serde_json::from_str::<Value>(&text(&object)).unwrap(), value.clone());
        prop_assert_eq!(serde_json::from_str::<Value>(&metadata(&object)).unwrap(), value["metadata"].clone());
        prop_assert_eq!(object.parts(&Parts::new([""])), without_revision(value.clone()));
        for (key, inner) in value.as_object().unwrap() {
            let expected = if key == "metadata" { without_revision(json!({ "metadata": inner })) } else { json!({ key: inner }) };
            prop_assert_eq!(object.parts(&Parts::new([&*format!("/{key}")])), expected);
        }
        for (name, label) in &labels {
            let is_escaped = label.contains(['"', '\\']);
            prop_assert_eq!(object.label(name), (!is_escaped).then_some(label.as_str()));
        }
    }
}
