//! What is fuzzed: from bytes to a property that must hold, one function per target.
//!
//! In: any bytes. Out: nothing, or a panic, which is a fault of the crate. The targets of
//! `fuzz_targets` and the replay of the corpora in `tests/corpus.rs` call the same functions.
//! Never knows who calls.

use jiff::Timestamp;
use nodeplane_api::{
    apply::{self, ApplyError, Writer},
    kinds::{self, KINDS, Kind},
    meta, patch, protobuf,
    quantity::Quantity,
    selector::{FieldSelector, LabelSelector},
};
use serde_json::{Deserializer, Value};

/// A target: its name, which is that of its corpus, and what it does.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const ENTRIES: [Entry; 8] = [
    ("protobuf", protobuf),
    ("objects", objects),
    ("json_patch", json_patch),
    ("merge_patch", merge_patch),
    ("strategic_patch", strategic_patch),
    ("selectors", selectors),
    ("quantity", quantity),
    ("apply", apply),
];

/// A body in protobuf. What is read is written again, and reads the same then.
pub(crate) fn protobuf(data: &[u8]) {
    let Ok(object) = protobuf::decode(data, ("v1", "Pod")) else { return };
    let Ok(bytes) = protobuf::encode(&object) else { return };
    let again = protobuf::decode(&bytes, ("", "")).expect("what was written can be read");
    assert_eq!(again, object);
    assert_eq!(protobuf::encode(&again).expect("it has a form"), bytes);
}

/// A manifest. What has the shape of its kind keeps it, travels as protobuf, and can be shown.
pub(crate) fn objects(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let kind = kind_of(&value);
    let Ok(decoded) = (kind.shape.decode)(value) else { return };
    let object = decoded.object;
    let again = (kind.shape.decode)(object.clone()).expect("it has the shape of its kind");
    assert_eq!((&again.object, again.unknown.len()), (&object, 0));
    if let Ok(bytes) = protobuf::encode(&object) {
        protobuf(&bytes);
    }
    for column in kind.columns {
        (column.cell)(&object, Timestamp::UNIX_EPOCH);
    }
}

/// A document and a list of operations.
pub(crate) fn json_patch(data: &[u8]) {
    let [Some(document), Some(operations), _] = values(data) else { return };
    // What comes out is whole, or nothing does.
    let _ = patch::json(&document, &operations);
}

/// A document and a merge patch. The second time it changes nothing.
pub(crate) fn merge_patch(data: &[u8]) {
    let [Some(document), Some(merge), _] = values(data) else { return };
    let Ok(once) = patch::merge(&document, &merge) else { return };
    assert_eq!(patch::merge(&once, &merge).expect("it is a patch"), once);
}

/// An object and a strategic merge patch of it. A plain one changes nothing the second time.
pub(crate) fn strategic_patch(data: &[u8]) {
    let [Some(document), Some(merge), _] = values(data) else { return };
    let kind = kind_of(&document);
    let Ok(document) = (kind.shape.decode)(document) else { return };
    let Ok(patched) = patch::strategic(&document.object, &merge, kind) else { return };
    // A patch may make something else of an object; what is one still must not break a reader.
    if let Ok(decoded) = (kind.shape.decode)(patched) {
        let _ = patch::strategic(&decoded.object, &merge, kind);
    }
}

/// A label selector or a field selector. What is read is printed, and reads the same then.
pub(crate) fn selectors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let labels = serde_json::json!({ "app": "x", "tier": "", "number": "5" });
    if let Ok(selector) = LabelSelector::parse(text) {
        let again = LabelSelector::parse(&selector.to_string()).expect("what is printed can be read");
        assert_eq!(again.to_string(), selector.to_string());
        assert_eq!(again.matches(&labels), selector.matches(&labels));
    }
    let object = serde_json::json!({ "metadata": { "name": "a", "namespace": "b" }, "spec": { "nodeName": "n" } });
    for kind in KINDS {
        if let Ok(selector) = FieldSelector::parse(text, kind) {
            selector.matches(&object);
            assert_eq!(selector.is_everything(), text.split(',').all(str::is_empty), "{text:?}");
        }
    }
}

/// An amount. What is read is printed, and means the same then.
pub(crate) fn quantity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(quantity) = text.parse::<Quantity>() else { return };
    let printed = quantity.to_string();
    let again: Quantity = printed.parse().expect("what is printed can be read");
    assert_eq!(again.nanos(), quantity.nanos(), "{text:?} as {printed:?}");
    assert_eq!(again.to_string(), printed);
    let _ = (quantity.units(), quantity.milli(), quantity.is_whole());
}

/// A stored object (or null), an applied configuration, and whether it is forced. What comes out
/// has the shape of its kind, and the same configuration changes nothing more.
pub(crate) fn apply(data: &[u8]) {
    let [Some(live), Some(config), force] = values(data) else { return };
    let kind = kind_of(&config);
    let live = if live.is_null() { None } else { Some(live) };
    let shaped = |value: Value| (kind.shape.decode)(value).ok().map(|decoded| decoded.object);
    let live = match live.map(shaped) {
        Some(None) => return,
        live => live.flatten(),
    };
    let has_owners = live.as_ref().is_some_and(|live| !live["metadata"]["managedFields"].is_null());
    let writer = Writer { manager: "fuzz", kind, part: None, now: Timestamp::UNIX_EPOCH };
    let force = force == Some(Value::Bool(true));
    if let Ok(applied) = apply::apply(&writer, live.as_ref(), &config, force)
        && let Some(once) = shaped(applied)
    {
        match apply::apply(&writer, Some(&once), &config, force) {
            Ok(twice) => assert_eq!(content(&shaped(twice).expect("it keeps its shape")), content(&once)),
            // Somebody may own an item and not what tells it apart; nobody can apply then, as upstream.
            Err(ApplyError::Failed(_)) if has_owners => {}
            Err(error) => panic!("what was applied can be applied: {error}"),
        }
    }
    if let Some(mut written) = shaped(config) {
        apply::update(&writer, live.as_ref(), &mut written);
        assert!(shaped(written).is_some(), "owners do not change the shape");
    }
}

/// Everything but who owns it.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    meta::remove(&mut object, "managedFields");
    object
}

/// The kind that a manifest names; a Pod when it names none that is served.
fn kind_of(value: &Value) -> &'static Kind {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let named = kinds::by_api_version(text("apiVersion"), text("kind"));
    named.or_else(|| kinds::by_api_version("v1", "Pod")).expect("pods are served")
}

/// Up to three values, one after the other.
fn values(data: &[u8]) -> [Option<Value>; 3] {
    let mut values = Deserializer::from_slice(data).into_iter::<Value>().map_while(Result::ok);
    [values.next(), values.next(), values.next()]
}
