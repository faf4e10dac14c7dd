//! A value without some of its fields.

use serde_json::{Map, Value};

use super::{Items, Place, View};
use crate::{
    apply::fields::{Element, FieldSet},
    schema::{Model, Type},
};

/// `value` without the fields of a set. What has lost all its parts is null.
///
/// # Errors
/// When nothing tells the items of a list apart.
pub(in crate::apply) fn remove(model: &Model, root: &Type, value: &Value, gone: &FieldSet) -> Result<Value, String> {
    part(model, Place::plain(root), value, gone)
}

fn part(model: &Model, place: Place<'_>, value: &Value, gone: &FieldSet) -> Result<Value, String> {
    match (place.view(model), value) {
        (View::Struct(definition), Value::Object(map)) => {
            maps(model, |name| definition.fields.get(name).map(Place::of_field), map, gone)
        }
        (View::Map(of), Value::Object(map)) => maps(model, |_| Some(of), map, gone),
        (View::List(items), Value::Array(values)) => lists(model, items, values, gone),
        (View::Leaf, Value::Array(_) | Value::Object(_)) => Ok(Value::Null),
        (_, scalar) => Ok(scalar.clone()),
    }
}

fn maps<'m>(
    model: &'m Model,
    place: impl Fn(&str) -> Option<Place<'m>>,
    map: &Map<String, Value>,
    gone: &FieldSet,
) -> Result<Value, String> {
    let mut left = Map::new();
    for (name, value) in map {
        let node = gone.get(&Element::Field(name.clone()));
        let value = match (node, place(name)) {
            (Some(node), _) if node.is_member => continue,
            (Some(node), Some(place)) => part(model, place, value, &node.below)?,
            _ => value.clone(),
        };
        left.insert(name.clone(), value);
    }
    Ok(if left.is_empty() { Value::Null } else { Value::Object(left) })
}

fn lists(model: &Model, items: Items<'_>, values: &[Value], gone: &FieldSet) -> Result<Value, String> {
    let mut left = Vec::with_capacity(values.len());
    for (element, value) in items.elements(model, values)?.iter().zip(values) {
        match gone.get(element) {
            Some(node) if node.is_member => {}
            Some(node) => left.push(part(model, items.item, value, &node.below)?),
            None => left.push(value.clone()),
        }
    }
    Ok(if left.is_empty() { Value::Null } else { Value::Array(left) })
}
