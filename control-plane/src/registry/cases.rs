//! For tests: objects that differ a little from a good one, and what a strategy says about them.

use nodeplane_api::{kinds, status::FieldErrors};
use serde_json::Value;

use super::Strategy;

/// The object with some fields set (or, by null, removed) at their JSON pointers.
pub(super) fn with(object: &Value, changes: &[(&str, Value)]) -> Value {
    let mut changed = object.clone();
    for (pointer, value) in changes {
        set(&mut changed, pointer, value.clone());
    }
    changed
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let mut place = object;
    for step in parent.split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) if place.is_array() => &mut place[index],
            _ => &mut place[step],
        };
    }
    match (place, value) {
        (Value::Object(map), Value::Null) => drop(map.remove(last)),
        (Value::Array(items), value) => items[last.parse::<usize>().expect("an index")] = value,
        (place, value) => place[last] = value,
    }
}

/// Errors as their sentences.
pub(super) fn said(errors: &FieldErrors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}

/// The object as it reaches validation on create: of its kind's shape, with defaults.
pub(super) fn created(strategy: &dyn Strategy, object: &Value) -> Value {
    let mut object = shaped(object);
    strategy.default(&mut object);
    strategy.prepare_for_create(&mut object);
    object
}

/// The object as it reaches validation on update.
pub(super) fn updated(strategy: &dyn Strategy, object: &Value, old: &Value) -> Value {
    let mut object = shaped(object);
    strategy.default(&mut object);
    strategy.prepare_for_update(&mut object, old);
    object
}

fn shaped(object: &Value) -> Value {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let kind = kinds::by_api_version(text("apiVersion"), text("kind")).expect("a kind of the table");
    let decoded = (kind.shape.decode)(object.clone()).expect("an object of its kind's shape");
    assert_eq!(decoded.unknown, Vec::<String>::new(), "{object:#}");
    decoded.object
}

/// What is wrong with an object on create.
pub(super) fn refused(strategy: &dyn Strategy, object: &Value) -> Vec<String> {
    said(&strategy.validate(&created(strategy, object)))
}

/// What is wrong with a change of a good object, on top of what is wrong with the new one itself.
pub(super) fn refused_update(strategy: &dyn Strategy, object: &Value, old: &Value) -> Vec<String> {
    let old = created(strategy, old);
    let object = updated(strategy, object, &old);
    said(&strategy.validate_update(&object, &old))
}
