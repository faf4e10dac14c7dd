use serde_json::{Value, json};

use crate::apply::fields::{Element, FieldSet, pointer};

fn set(fields: &Value) -> FieldSet {
    FieldSet::parse(fields).expect("a set")
}

#[test]
fn a_set_is_written_in_upstreams_order() {
    let text = concat!(
        r#"{"f:aaa":{},"f:aab":{".":{},"f:b":{}},"k:{\"name\":\"first\"}":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{},"#,
        r#""k:{\"port\":443,\"protocol\":\"TCP\"}":{},"v:1":{},"v:2":{},"v:10":{},"v:\"aa\"":{},"v:true":{},"i:1":{},"i:2":{}}"#
    );
    let parsed: Value = serde_json::from_str(text).unwrap();
    assert_eq!(set(&parsed).to_text(), text);
    assert_eq!(set(&parsed).to_value(), parsed);
}

#[test]
fn names_of_other_spelling_are_the_same_fields() {
    let spelled =
        set(&json!({ "k:{ \"protocol\":\"UDP\", \"port\":443}": {}, "v: 3": { ".": {} }, "x:new": { "f:a": {} } }));
    assert_eq!(spelled.to_text(), r#"{"k:{\"port\":443,\"protocol\":\"UDP\"}":{},"v:3":{}}"#);
}

#[test]
fn what_is_no_set_is_refused() {
    for (fields, why) in [
        (json!({ "a": {} }), "key must be 2 characters long:"),
        (json!({ "abc": {} }), "missing colon: abc"),
        (json!({ "i:x": {} }), "strconv.Atoi: parsing \"x\": invalid syntax"),
        (json!({ "f:a": 1 }), "f:a: expected an object, got 1"),
        (json!([]), "expected an object, got []"),
    ] {
        assert_eq!(FieldSet::parse(&fields).unwrap_err(), why);
    }
    FieldSet::parse(&json!({ "k:{": {} })).unwrap_err();
    FieldSet::parse(&json!({ "v:{}x": {} })).unwrap_err();
    assert!(FieldSet::parse(&json!({ "é": {} })).is_err());
}

#[test]
fn sets_know_fields_apart_from_what_is_below() {
    let both = set(&json!({ "f:a": { ".": {}, "f:b": {} }, "f:c": {} }));
    let parent = set(&json!({ "f:a": {} }));
    let child = set(&json!({ "f:a": { "f:b": {} } }));
    assert_eq!(both.difference(&parent), set(&json!({ "f:a": { "f:b": {} }, "f:c": {} })));
    assert_eq!(both.difference(&child), set(&json!({ "f:a": {}, "f:c": {} })));
    assert_eq!(child.difference(&parent), child);
    assert!(child.intersection(&parent).is_empty());
    assert_eq!(both.intersection(&child), child);
    assert!(both.difference(&both).is_empty());
    let mut joined = parent.clone();
    joined.join(child.clone());
    joined.join(set(&json!({ "f:c": {} })));
    assert_eq!(joined, both);
    assert!(both.has(&pointer("/a")) && both.has(&pointer("/a/b")) && !child.has(&pointer("/a")));
}

#[test]
fn parts_of_sets_are_kept_or_left_out_with_all_below() {
    let whole = set(&json!({ "f:status": { ".": {}, "f:x": {} }, "f:spec": { "f:finalizers": {}, "f:y": {} } }));
    assert_eq!(
        whole.clone().outside(&pointer("/status")),
        set(&json!({ "f:spec": { "f:finalizers": {}, "f:y": {} } }))
    );
    assert_eq!(whole.clone().outside(&pointer("/nothing/here")), whole);
    let kept = whole.below_any(["/spec/finalizers", "/metadata/annotations"].into_iter().map(pointer));
    assert_eq!(kept, set(&json!({ "f:spec": { "f:finalizers": {} } })));
    assert_eq!(kept.outside(&pointer("/spec/finalizers")), FieldSet::default());
}

#[test]
fn messages_show_paths() {
    let key = Element::Key(vec![("containerPort".into(), json!(80)), ("protocol".into(), json!("TCP"))]);
    let steps = [Element::Field("ports".into()), key, Element::Value(json!("x")), Element::Index(3)];
    let text: String = steps.iter().map(ToString::to_string).collect();
    assert_eq!(text, r#".ports[containerPort=80,protocol="TCP"][="x"][3]"#);
}
