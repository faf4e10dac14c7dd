use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{kinds::KINDS, schema::Type};

/// A service as a Go client writes it: zeros and empty messages for all that is not set.
const SERVICE: &str = "\
    6b387300\
    0a0d0a027631120753657276696365\
    1241\
    0a130a0377656212001a0022002a00320038004200\
    12260a140a00120354435018502207080010903f1a0028001a0022003a00420052005a0060006800\
    1a020a00\
    1a002200";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// An object of a type with every field set; types that contain themselves stop after a while.
fn full(kind: &Type, depth: usize) -> Value {
    match kind {
        Type::Object(id) => {
            let definition = Model::get().definition(*id);
            let fields = definition.fields.iter().filter(|_| depth < 12);
            fields.map(|(name, field)| (name.clone(), full(&field.kind, depth + 1))).collect::<Map<_, _>>().into()
        }
        Type::Map(of) => json!({ "a": full(of, depth), "b": full(of, depth) }),
        Type::List(of) if depth > 3 => json!([full(of, depth)]),
        Type::List(of) => json!([full(of, depth), full(of, depth)]),
        Type::Text => "text ß".into(),
        Type::Bytes => "AP8=".into(),
        Type::Time => "2026-01-02T03:04:05Z".into(),
        Type::MicroTime => "2026-01-02T03:04:05.678901Z".into(),
        Type::Integer(32) => (-7).into(),
        Type::Integer(_) => i64::MAX.into(),
        Type::Number => 0.25.into(),
        Type::Bool => true.into(),
        Type::IntOrString => "50%".into(),
        Type::Quantity => "1500m".into(),
        Type::Json => json!({ "any": [1, "thing"] }),
    }
}

/// Every object that has a name of its own, with every field set.
fn full_objects() -> impl Iterator<Item = Value> {
    let kinds = KINDS.iter().map(|kind| (kind.api_version(), kind.kind));
    let documents = documents::DOCUMENTS.iter().map(|document| {
        let version = if document.api_version.is_empty() { "v1" } else { document.api_version };
        (version.to_owned(), document.kind)
    });
    kinds.chain(documents).map(|(api_version, kind)| {
        let mut object = full(&Type::Object(type_of(&api_version, kind).unwrap()), 0);
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        // Messages inside others do not say what they are.
        let unnamed = |inner: &mut Value| {
            inner.as_object_mut().unwrap().retain(|field, _| field != "apiVersion" && field != "kind");
        };
        let claims = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
        claims.into_iter().flatten().for_each(unnamed);
        object.get_mut("deleteOptions").into_iter().for_each(unnamed);
        object
    })
}

#[test]
fn every_field_of_every_type_has_a_number() {
    let model = Model::get();
    for definition in model.definitions() {
        // These two name the type, which the body around the message does.
        let named = definition.fields.keys().filter(|name| !matches!(name.as_str(), "apiVersion" | "kind"));
        let is_whole_type = definition.fields.contains_key("apiVersion") && definition.fields.contains_key("kind");
        let numbered = definition.message.names();
        for name in if is_whole_type { named.collect::<Vec<_>>() } else { definition.fields.keys().collect() } {
            assert!(numbered.contains(&name.as_str()), "{}.{name}", definition.name);
        }
        for name in numbered {
            assert!(definition.fields.contains_key(name), "{}.{name} is numbered and does not exist", definition.name);
        }
    }
}

#[test]
fn every_field_of_every_kind_survives() {
    for object in full_objects() {
        let bytes = encode(&object).unwrap();
        assert!(decode(&bytes, ("", "")).unwrap() == object, "{} {}", object["apiVersion"], object["kind"]);
    }
}

#[test]
fn what_a_go_client_did_not_set_is_absent() {
    let service = decode(&hex(SERVICE), ("", "")).unwrap();
    let wanted = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "ports": [{ "protocol": "TCP", "port": 80, "targetPort": 8080 }] },
        "status": { "loadBalancer": {} },
    });
    assert_eq!(service, wanted);
}

#[test]
fn a_zero_is_kept_where_it_differs_from_absence() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": 0, "selector": {}, "template": { "spec": { "containers": [{ "name": "" }] } } },
    });
    assert_eq!(decode(&encode(&deployment).unwrap(), ("", "")).unwrap(), deployment);
}

#[test]
fn a_time_in_a_map_may_be_unset() {
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "b" },
        "status": { "disruptedPods": { "p": null } },
    });
    let kind = crate::kinds::by_plural("policy", "v1", "poddisruptionbudgets").unwrap();
    let kept = (kind.shape.decode)(budget).unwrap().object;
    assert_eq!(kept["status"]["disruptedPods"], json!({ "p": null }));
    let body = encode(&kept).unwrap();
    let entry = [0x12, 5, 0x0a, 1, b'p', 0x12, 0];
    assert!(body.windows(entry.len()).any(|window| window == entry), "{body:x?}");
    assert_eq!(decode(&body, ("v1", "Status")).unwrap()["status"]["disruptedPods"], json!({ "p": null }));
}

#[test]
fn a_body_without_a_type_is_what_the_path_stands_for() {
    let mut typed =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "k": "v" } });
    let named = encode(&typed).unwrap();
    let type_meta = b"\x0a\x0f\x0a\x02v1\x12\x09ConfigMap";
    let unnamed = [MAGIC, named[MAGIC.len()..].strip_prefix(type_meta).unwrap()].concat();
    typed.as_object_mut().unwrap().retain(|field, _| field != "apiVersion" && field != "kind");
    assert_eq!(decode(&unnamed, ("v1", "ConfigMap")).unwrap(), typed);
}

#[test]
fn what_is_no_body_is_refused_in_words() {
    let refused = |bytes: &[u8]| decode(bytes, ("v1", "ConfigMap")).unwrap_err().to_string();
    assert_eq!(refused(b"{}"), "the body does not start with \"k8s\\0\"");
    assert_eq!(refused(b"k8s\0\x0a\x05ab"), "unexpected EOF");
    assert_eq!(refused(b"k8s\0\x07"), "illegal tag 0 in a message");
    assert_eq!(refused(b"k8s\0\x0b"), "illegal wire type in a message");
    assert_eq!(refused(b"k8s\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "integer overflow");
    assert_eq!(refused(b"k8s\0\x12\x04\x0a\x02\x08\x01"), "wrong wire type for a field");
    assert_eq!(refused(b"k8s\0\x12\x05\x0a\x03\x0a\x01\xff"), "a string field contains invalid UTF-8");
    let unknown = refused(b"k8s\0\x0a\x0b\x0a\x02v9\x12\x05Thing");
    assert_eq!(unknown, "no kind \"Thing\" is registered for version \"v9\"");
}

#[test]
fn fields_of_a_newer_release_are_skipped() {
    let mut bytes = hex(SERVICE);
    // One more field at the end of the body: number 1000, text.
    bytes.extend(b"\xc2\x3e\x03new");
    assert_eq!(decode(&bytes, ("", "")).unwrap()["kind"], "Service");
}

#[test]
fn a_list_names_its_kind_and_holds_its_items() {
    let items = [json!({ "metadata": { "name": "a" } }), json!({ "metadata": { "name": "b" } })];
    let metadata = json!({ "resourceVersion": "7", "remainingItemCount": 0 });
    let named = ("v1", "ConfigMap");
    let whole = encode_items::<Value, _>(named, items.iter()).unwrap();
    let bytes = encode_list(named, &metadata, &[whole]);
    let wanted = "6b387300 0a13 0a02 7631 120d 436f6e6669674d61704c697374 \
                  1215 0a05 1201 37 2000 1205 0a03 0a01 61 1205 0a03 0a01 62 1a00 2200";
    assert_eq!(bytes, hex(&wanted.replace(' ', "")));
}

#[test]
fn a_list_in_shares_is_the_same_list() {
    let named = ("v1", "Pod");
    let items: Vec<Value> = (0..9).map(|index| json!({ "metadata": { "name": format!("pod-{index}") } })).collect();
    let share = |some: &[Value]| encode_items::<Value, _>(named, some.iter()).unwrap();
    let metadata = json!({ "resourceVersion": "7" });
    let whole = encode_list(named, &metadata, &[share(&items)]);
    assert_eq!(encode_list(named, &metadata, &[share(&items[..4]), share(&items[4..])]), whole);
}

#[test]
fn what_borrows_from_its_text_has_the_same_bytes() {
    for object in full_objects() {
        let named = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let text = object.to_string();
        let lean = Lean::read(&text).unwrap();
        assert_eq!(serde_json::to_value(&lean).unwrap(), object);
        let whole = encode_items::<Value, _>(named, std::iter::once(&object)).unwrap();
        assert_eq!(encode_items::<Lean<'_>, _>(named, std::iter::once(lean)).unwrap(), whole, "{named:?}");
    }
}

#[test]
fn a_revision_is_set_in_what_borrows() {
    let mut lean = Lean::read(r#"{"metadata":{"name":"a","resourceVersion":"1"}}"#).unwrap();
    lean.set_text("metadata", "resourceVersion", "9".to_owned());
    assert_eq!(serde_json::to_value(&lean).unwrap(), json!({ "metadata": { "name": "a", "resourceVersion": "9" } }));
}

#[test]
fn an_event_is_as_long_as_it_says() {
    let event = encode_event("ADDED", b"k8s\0xyz");
    assert_eq!(event, b"\0\0\0\x12\x0a\x05ADDED\x12\x09\x0a\x07k8s\0xyz");
}

#[test]
fn a_damaged_body_never_panics() {
    for object in full_objects() {
        let bytes = encode(&object).unwrap();
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
            let _ = decode(&bytes[..end], ("v1", "Pod"));
        }
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 150) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let _ = decode(&damaged, ("v1", "Pod"));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let body = [MAGIC, b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12", &[u8::try_from(bytes.len() % 128).unwrap()], &bytes].concat();
        let _ = decode(&body, ("", ""));
    }

    /// What was read once is stable: writing it and reading it again changes nothing.
    #[test]
    fn what_was_read_can_be_written(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let body = encode::body("v1", "ConfigMap", &bytes);
        if let Ok(object) = decode(&body, ("", "")) {
            prop_assert_eq!(decode(&encode(&object).unwrap(), ("", "")).unwrap(), object);
        }
    }
}
