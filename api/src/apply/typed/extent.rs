//! The fields that a value has.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Items, Place, View, is_empty};
use crate::{
    apply::fields::{Element, FieldSet, Node},
    schema::{Model, Type},
};

/// All fields that a value says something of.
///
/// # Errors
/// When nothing tells the items of a list apart.
pub(in crate::apply) fn extent(model: &Model, root: &Type, value: &Value) -> Result<FieldSet, String> {
    Ok(node(model, Place::plain(root), value)?.below)
}

fn node(model: &Model, place: Place<'_>, value: &Value) -> Result<Node, String> {
    let mut found = Node::default();
    match (place.view(model), value) {
        (View::Leaf, _) => found.is_member = true,
        (View::Struct(definition), Value::Object(map)) => {
            for (name, value) in map {
                let Some(field) = definition.fields.get(name) else { continue };
                let mut below = node(model, Place::of_field(field), value)?;
                below.is_member |= is_empty(value) && !value.is_array();
                found.below.attach(Element::Field(name.clone()), below);
            }
        }
        (View::Map(of), Value::Object(map)) => {
            for (name, value) in map {
                let below = node(model, of, value)?;
                found.below.attach(Element::Field(name.clone()), Node { is_member: true, ..below });
            }
        }
        (View::List(items), Value::Array(values)) => found.below = of_items(model, items, values)?,
        _ => {}
    }
    Ok(found)
}

/// Items that stand twice are owned as a whole.
fn of_items(model: &Model, items: Items<'_>, values: &[Value]) -> Result<FieldSet, String> {
    let elements = items.elements(model, values)?;
    let mut counts: BTreeMap<&Element, usize> = BTreeMap::new();
    for element in &elements {
        *counts.entry(element).or_default() += 1;
    }
    let mut set = FieldSet::default();
    for (element, value) in elements.iter().zip(values) {
        let node = if counts[element] > 1 { Node::member() } else { node(model, items.item, value)? };
        set.attach(element.clone(), Node { is_member: true, ..node });
    }
    Ok(set)
}

/// A set with all named fields on the way to its fields: with `.spec.replicas` also `.spec`, but
/// not the keys of maps.
pub(in crate::apply) fn with_named_fields(model: &Model, kind: Option<&Type>, set: &FieldSet) -> FieldSet {
    let mut out = FieldSet::default();
    for (element, node) in set.nodes() {
        let (is_named, below) = match (element, kind) {
            (Element::Field(name), Some(Type::Object(id))) => {
                let field = model.definition(*id).fields.get(name);
                (field.is_some(), field.map(|field| &field.kind))
            }
            (Element::Field(_), Some(Type::Map(of))) | (Element::Key(_), Some(Type::List(of))) => (false, Some(&**of)),
            _ => (false, None),
        };
        let is_member = node.is_member || (is_named && !node.below.is_empty());
        out.attach(element.clone(), Node { is_member, below: with_named_fields(model, below, &node.below) });
    }
    out
}
