//! What holds for all configurations.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{applied, content, deployment, writer, written};
use crate::apply::fields::FieldSet;

/// Some of what a Deployment may say; names from a small set, so that owners meet.
fn config() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-c]", "[xy]", 0..3);
    let ports =
        prop::collection::btree_set((80i64..83, prop::option::of(prop::sample::select(&["TCP", "UDP"][..]))), 0..3);
    let container = (prop::option::of("[ij]"), prop::option::of(prop::collection::vec("[pq]", 0..2)), ports);
    let containers = prop::collection::btree_map("[c-e]", container, 0..3);
    let finalizers = prop::collection::btree_set("x/[a-c]", 0..3);
    (labels, prop::option::of(0i64..3), containers, finalizers, any::<bool>()).prop_map(
        |(labels, replicas, containers, finalizers, reverse)| {
            let mut object = deployment(json!({}));
            if !labels.is_empty() {
                object["metadata"]["labels"] = json!(labels);
            }
            if !finalizers.is_empty() {
                object["metadata"]["finalizers"] = json!(finalizers);
            }
            if let Some(replicas) = replicas {
                object["spec"]["replicas"] = replicas.into();
            }
            let mut items: Vec<Value> = containers.into_iter().map(|(name, parts)| item(&name, parts)).collect();
            if reverse {
                items.reverse();
            }
            if !items.is_empty() {
                object["spec"]["template"] = json!({ "spec": { "containers": items } });
            }
            object
        },
    )
}

type Parts = (Option<String>, Option<Vec<String>>, BTreeSet<(i64, Option<&'static str>)>);

fn item(name: &str, (image, args, ports): Parts) -> Value {
    let mut container = Map::new();
    container.insert("name".into(), name.into());
    image.map(|image| container.insert("image".into(), image.into()));
    args.map(|args| container.insert("args".into(), json!(args)));
    let mut seen = BTreeSet::new();
    let ports: Vec<Value> = ports
        .into_iter()
        .filter(|(port, protocol)| seen.insert((*port, protocol.unwrap_or("TCP"))))
        .map(|(port, protocol)| match protocol {
            Some(protocol) => json!({ "containerPort": port, "protocol": protocol }),
            None => json!({ "containerPort": port }),
        })
        .collect();
    if !ports.is_empty() {
        container.insert("ports".into(), ports.into());
    }
    Value::Object(container)
}

fn owned(object: &Value) -> Vec<FieldSet> {
    let entries = object["metadata"]["managedFields"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|entry| FieldSet::parse(&entry["fieldsV1"]).unwrap()).collect()
}

/// A list without its order.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(unordered).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), unordered(value))).collect(),
        scalar => scalar.clone(),
    }
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(a in config(), b in config()) {
        let other = applied(&writer("Deployment", "b", 0), None, &b, true).unwrap();
        let once = applied(&writer("Deployment", "a", 1), Some(&other), &a, true).unwrap();
        let twice = applied(&writer("Deployment", "a", 2), Some(&once), &a, true).unwrap();
        prop_assert_eq!(&once, &twice);
    }

    #[test]
    fn who_stops_applying_leaves_nothing(a in config(), b in config()) {
        let other = applied(&writer("Deployment", "b", 0), None, &b, true).unwrap();
        let Ok(both) = applied(&writer("Deployment", "a", 1), Some(&other), &a, false) else { return Ok(()) };
        let nothing = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" } });
        let after = applied(&writer("Deployment", "a", 2), Some(&both), &nothing, false).unwrap();
        prop_assert_eq!(owned(&after), owned(&other));
        let mut left = content(&after);
        let mut had = content(&other);
        for object in [&mut left, &mut had] {
            // Upstream leaves an object that has lost all its fields empty or away.
            without_empty(object);
        }
        prop_assert_eq!(unordered(&left), unordered(&had));
    }

    #[test]
    fn without_conflict_the_order_of_appliers_does_not_matter(a in config(), b in config()) {
        let both = |one: (&'static str, &Value), two: (&'static str, &Value)| {
            let first = applied(&writer("Deployment", one.0, 0), None, one.1, false).ok()?;
            applied(&writer("Deployment", two.0, 0), Some(&first), two.1, false).ok()
        };
        let (ab, ba) = (both(("a", &a), ("b", &b)), both(("b", &b), ("a", &a)));
        prop_assert_eq!(ab.is_some(), ba.is_some());
        if let (Some(ab), Some(ba)) = (ab, ba) {
            prop_assert_eq!(unordered(&content(&ab)), unordered(&content(&ba)));
            let (mut one, mut two) = (FieldSet::default(), FieldSet::default());
            owned(&ab).into_iter().for_each(|set| one.join(set));
            owned(&ba).into_iter().for_each(|set| two.join(set));
            prop_assert_eq!(one, two);
        }
    }

    #[test]
    fn who_forces_owns_all_it_says_alone_where_it_changed_it(a in config(), b in config()) {
        let first = applied(&writer("Deployment", "b", 0), None, &b, true).unwrap();
        let refused = applied(&writer("Deployment", "a", 1), Some(&first), &a, false).is_err();
        let second = applied(&writer("Deployment", "a", 1), Some(&first), &a, true).unwrap();
        // Nothing that was applied is missing.
        let again = applied(&writer("Deployment", "c", 2), Some(&second), &a, false);
        prop_assert!(again.is_ok());
        prop_assert_eq!(content(&again.unwrap()), content(&second));
        if !refused {
            prop_assert!(owned(&second).len() >= owned(&first).len());
        }
    }

    #[test]
    fn every_field_of_a_written_object_has_one_owner(mut a in config(), b in config()) {
        // An object without any owner stays so.
        a["spec"]["paused"] = true.into();
        let first = written(&writer("Deployment", "a", 0), None, a);
        let second = written(&writer("Deployment", "b", 1), Some(&first), b.clone());
        let whole = written(&writer("Deployment", "x", 1), None, b);
        let sets = owned(&second);
        if let [one, two] = sets.as_slice() {
            prop_assert!(one.intersection(two).is_empty());
        }
        let mut union = FieldSet::default();
        sets.into_iter().for_each(|set| union.join(set));
        let mut all = FieldSet::default();
        owned(&whole).into_iter().for_each(|set| all.join(set));
        prop_assert_eq!(union, all);
    }
}

/// Takes empty maps away, from the leaves on.
pub(super) fn without_empty(value: &mut Value) {
    if let Value::Object(map) = value {
        map.values_mut().for_each(without_empty);
        map.retain(|_, value| !value.as_object().is_some_and(Map::is_empty));
    }
    if let Value::Array(items) = value {
        items.iter_mut().for_each(without_empty);
    }
}
