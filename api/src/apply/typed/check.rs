//! What is wrong with an applied configuration, in the words of structured-merge-diff.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Items, Place};
use crate::{
    apply::fields::{Element, show},
    schema::{Model, Topology, Type},
};

/// Everything in `config` that is not of its type, that its type does not have, or that stands
/// twice.
///
/// # Errors
/// The sentence: one line for one mistake, a list for several.
pub(in crate::apply) fn check(model: &Model, root: &Type, config: &Value) -> Result<(), String> {
    let mut walk = Walk { model, path: String::new(), errors: Vec::new() };
    walk.value(Place::plain(root), config);
    match walk.errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

struct Walk<'m> {
    model: &'m Model,
    path: String,
    errors: Vec<String>,
}

impl<'m> Walk<'m> {
    fn value(&mut self, place: Place<'m>, value: &Value) {
        if value.is_null() {
            return;
        }
        match (place.kind, value) {
            (Type::Object(id), Value::Object(map)) => {
                for (name, value) in map {
                    match self.model.definition(*id).fields.get(name) {
                        Some(field) => self.at(&format!(".{name}"), |walk| walk.value(Place::of_field(field), value)),
                        None => self.at(&format!(".{name}"), |walk| walk.wrong("field not declared in schema")),
                    }
                }
            }
            (Type::Map(of), Value::Object(map)) => {
                for (name, value) in map {
                    self.at(&format!(".{name}"), |walk| walk.value(Place::plain(of), value));
                }
            }
            (Type::List(of), Value::Array(items)) => self.list(place, of, items),
            (Type::Object(_) | Type::Map(_), other) => self.wrong(&format!("expected map, got &{{{}}}", shown(other))),
            (Type::List(_), other) => self.wrong(&format!("expected list, got &{{{}}}", shown(other))),
            (Type::Json, _) => {}
            (kind, value) => self.scalar(kind, value),
        }
    }

    fn list(&mut self, place: Place<'m>, of: &'m Type, items: &[Value]) {
        let keys = match place.topology {
            Topology::Set => Some(&[][..]),
            Topology::Map(keys) => Some(keys),
            _ => None,
        };
        let item = Place::plain(of);
        let mut seen = BTreeSet::new();
        for (at, value) in items.iter().enumerate() {
            let element = match keys {
                None => Element::Index(i64::try_from(at).unwrap_or(i64::MAX)),
                Some(keys) => match (Items { keys, item }).element(self.model, value) {
                    Ok(element) => element,
                    Err(why) => return self.wrong(&format!("element {at}: {why}")),
                },
            };
            let text = element.to_string();
            if !seen.insert(element) {
                self.wrong(&format!("duplicate entries for key {text}"));
            }
            self.at(&text, |walk| walk.value(item, value));
        }
    }

    fn scalar(&mut self, kind: &Type, value: &Value) {
        let go = |value: &Value| match value {
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            Value::Array(_) => "[]interface {}",
            Value::Object(_) => "map[string]interface {}",
            Value::Number(number) if number.is_f64() => "float64",
            Value::Null | Value::Number(_) => "int64",
        };
        match kind {
            Type::Text | Type::Bytes | Type::Time | Type::MicroTime if !value.is_string() => {
                self.wrong(&format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value)));
            }
            Type::Integer(_) | Type::Number if !value.is_number() => {
                self.wrong(&format!("expected numeric (int or float), got {}", go(value)));
            }
            Type::Bool if !value.is_boolean() => self.wrong(&format!("expected boolean, got &{{{}}}", shown(value))),
            Type::IntOrString | Type::Quantity if value.is_array() || value.is_object() => {
                self.wrong(&format!("expected any scalar, got &{{{}}}", shown(value)));
            }
            _ => {}
        }
    }

    fn at(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(step);
        look(self);
        self.path.truncate(length);
    }

    fn wrong(&mut self, why: &str) {
        self.errors.push(if self.path.is_empty() { why.to_owned() } else { format!("{}: {why}", self.path) });
    }
}

/// As Go's `%v`.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{}", shown(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => show(other),
    }
}

/// As Go's `%#v`, for scalars.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(name, value)| format!("{name:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        other => show(other),
    }
}
