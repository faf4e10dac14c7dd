use nodeplane_api::kinds;
use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{said, with};

fn map() -> Value {
    json!({ "metadata": { "name": "m", "namespace": "shop", "uid": "u", "creationTimestamp": "2025-01-01T00:00:00Z" } })
}

fn kind(plural: &str) -> &'static Kind {
    kinds::by_plural("", "v1", plural).expect("a kind")
}

/// All that is said about the metadata of a ConfigMap.
fn refused(changes: &[(&str, Value)]) -> Vec<String> {
    said(&validate_meta(kind("configmaps"), NameRule::Subdomain, &with(&map(), changes)))
}

fn refused_update(changes: &[(&str, Value)], old: &Value) -> Vec<String> {
    said(&validate_meta_update(kind("configmaps"), &with(old, changes), old))
}

#[test]
fn names_follow_the_rule_of_the_kind() {
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                     must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    assert_eq!(refused(&[]), Vec::<String>::new());
    assert_eq!(
        refused(&[("/metadata/name", Value::Null)]),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert_eq!(
        refused(&[("/metadata/name", json!("Foo"))]),
        [format!("metadata.name: Invalid value: \"Foo\": {subdomain}")]
    );
    assert_eq!(
        refused(&[("/metadata/name", json!("a".repeat(254)))]),
        [format!("metadata.name: Invalid value: \"{}\": must be no more than 253 characters", "a".repeat(254))]
    );
    assert_eq!(refused(&[("/metadata/generateName", json!("m-"))]), Vec::<String>::new());
    assert_eq!(refused(&[("/metadata/generateName", json!("M-"))]).len(), 1);
}

#[test]
fn namespaces_are_for_namespaced_kinds() {
    assert_eq!(refused(&[("/metadata/namespace", Value::Null)]), ["metadata.namespace: Required value"]);
    let node = said(&validate_meta(kind("nodes"), NameRule::Subdomain, &map()));
    assert_eq!(node, ["metadata.namespace: Forbidden: not allowed on this type"]);
}

#[test]
fn labels_and_annotations_are_readable() {
    let name = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let value = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
                 validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    assert_eq!(refused(&[("/metadata/labels", json!({ "example.com/a": "b" }))]), Vec::<String>::new());
    assert_eq!(
        refused(&[("/metadata/labels", json!({ "a b": "x y" }))]),
        [
            format!("metadata.labels: Invalid value: \"a b\": {name}"),
            format!("metadata.labels: Invalid value: \"x y\": {value}")
        ]
    );
    assert_eq!(
        refused(&[("/metadata/annotations", json!({ "a b": "any thing" }))]),
        [format!("metadata.annotations: Invalid value: \"a b\": {name}")]
    );
    assert_eq!(
        refused(&[("/metadata/annotations", json!({ "a": "x".repeat(ANNOTATIONS_LIMIT) }))]),
        ["metadata.annotations: Too long: may not be more than 262144 bytes"]
    );
}

#[test]
fn owners_are_named_whole_and_one_of_them_controls() {
    let owner = |changes: &[(&str, Value)]| {
        with(&json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u" }), changes)
    };
    let owners = |owners: Value| refused(&[("/metadata/ownerReferences", owners)]);
    assert_eq!(owners(json!([owner(&[])])), Vec::<String>::new());
    for (field, value, expected) in [
        ("/apiVersion", json!(""), "apiVersion: Invalid value: \"\": version must not be empty"),
        ("/apiVersion", json!("apps/"), "apiVersion: Invalid value: \"apps/\": version must not be empty"),
        ("/apiVersion", json!("a/b/c"), "apiVersion: Invalid value: \"a/b/c\": version must not be empty"),
        ("/kind", json!(""), "kind: Invalid value: \"\": kind must not be empty"),
        ("/name", json!(""), "name: Invalid value: \"\": name must not be empty"),
        ("/uid", json!(""), "uid: Invalid value: \"\": uid must not be empty"),
    ] {
        assert_eq!(owners(json!([owner(&[(field, value)])])), [format!("metadata.ownerReferences[0].{expected}")]);
    }
    let event = owners(json!([owner(&[("/apiVersion", json!("v1")), ("/kind", json!("Event"))])]));
    assert!(event[0].ends_with(": /v1, Kind=Event is disallowed from being an owner"), "{event:?}");
    let two = owners(json!([
        owner(&[("/controller", json!(true))]),
        owner(&[("/controller", json!(true)), ("/name", json!("e"))])
    ]));
    let words = "Only one reference can have Controller set to true. Found \"true\" in references for Deployment/d and \
                 Deployment/e";
    assert!(two.len() == 1 && two[0].ends_with(words), "{two:?}");
}

#[test]
fn finalizers_have_a_domain_or_are_known() {
    let finalizers = |names: Value| refused(&[("/metadata/finalizers", names)]);
    assert_eq!(finalizers(json!(["example.com/a", "orphan"])), Vec::<String>::new());
    assert_eq!(
        finalizers(json!(["mine"])),
        [
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    assert_eq!(
        finalizers(json!(["orphan", "foregroundDeletion"])),
        ["metadata.finalizers: Invalid value: []string{\"orphan\", \"foregroundDeletion\"}: finalizer orphan and \
          foregroundDeletion cannot be both set"]
    );
}

#[test]
fn what_names_an_object_stays() {
    for (field, value, shown) in [
        ("name", json!("other"), "\"other\""),
        ("namespace", json!("other"), "\"other\""),
        ("uid", json!("v"), "\"v\""),
        ("uid", Value::Null, "\"\""),
        ("deletionGracePeriodSeconds", json!(5), "5"),
    ] {
        let said = refused_update(&[(&format!("/metadata/{field}"), value)], &map());
        assert_eq!(said, [format!("metadata.{field}: Invalid value: {shown}: field is immutable")]);
    }
    assert_eq!(refused_update(&[("/metadata/labels", json!({ "a": "b" }))], &map()), Vec::<String>::new());
}

#[test]
fn what_is_being_deleted_gets_no_new_finalizers() {
    let old = with(
        &map(),
        &[
            ("/metadata/deletionTimestamp", json!("2025-01-02T00:00:00Z")),
            ("/metadata/finalizers", json!(["example.com/a", "example.com/b"])),
        ],
    );
    assert_eq!(refused_update(&[("/metadata/finalizers", json!(["example.com/b"]))], &old), Vec::<String>::new());
    assert_eq!(
        refused_update(&[("/metadata/finalizers", json!(["example.com/a", "example.com/c"]))], &old),
        ["metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
          finalizers []string{\"example.com/c\"}"]
    );
}
