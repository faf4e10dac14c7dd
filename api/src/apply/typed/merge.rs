//! An applied configuration merged into what is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Items, Place, View, fields, is_empty, list};
use crate::{
    apply::fields::Element,
    schema::{Model, Type},
};

/// What `config` says in place of what `live` says; what it does not speak of stays.
///
/// # Errors
/// When nothing tells the items of a list apart.
pub(in crate::apply) fn merge(model: &Model, root: &Type, live: &Value, config: &Value) -> Result<Value, String> {
    Ok(value(model, Place::plain(root), Some(live), Some(config))?.unwrap_or(Value::Null))
}

fn value(
    model: &Model,
    place: Place<'_>,
    live: Option<&Value>,
    config: Option<&Value>,
) -> Result<Option<Value>, String> {
    let nothing = |value: Option<&Value>| value.is_none_or(is_empty);
    let view = if nothing(live) && nothing(config) { View::Leaf } else { place.view(model) };
    match view {
        View::Leaf => Ok(config.or(live).cloned()),
        View::Struct(definition) => {
            let of = |name: &str| definition.fields.get(name).map(Place::of_field);
            maps(model, of, fields(live), fields(config))
        }
        View::Map(of) => maps(model, |_| Some(of), fields(live), fields(config)),
        View::List(items) => lists(model, items, list(live), list(config)),
    }
}

fn maps<'m>(
    model: &'m Model,
    place: impl Fn(&str) -> Option<Place<'m>>,
    live: Option<&Map<String, Value>>,
    config: Option<&Map<String, Value>>,
) -> Result<Option<Value>, String> {
    let mut out = live.cloned().unwrap_or_default();
    for (name, wanted) in config.into_iter().flatten() {
        let Some(place) = place(name) else { continue };
        match value(model, place, live.and_then(|live| live.get(name)), Some(wanted))? {
            Some(merged) => drop(out.insert(name.clone(), merged)),
            None => drop(out.remove(name)),
        }
    }
    Ok(Some(Value::Object(out)))
}

/// Items that both have stand in the order of the configuration; the others keep their places
/// between those.
fn lists(model: &Model, items: Items<'_>, live: &[Value], config: &[Value]) -> Result<Option<Value>, String> {
    let wanted = items.elements(model, config)?;
    let had = items.elements(model, live)?;
    let new: BTreeMap<&Element, &Value> = wanted.iter().zip(config).collect();
    let mut old: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
    for (element, item) in had.iter().zip(live) {
        // Items that stand twice are not merged: they are replaced.
        old.entry(element).and_modify(|twice| *twice = None).or_insert(Some(item));
    }
    let mut shared = wanted.iter().filter(|element| old.contains_key(element));
    let mut next = shared.next();
    let mut done: BTreeSet<&Element> = BTreeSet::new();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let (mut l, mut r) = (0, 0);
    while l < had.len() || r < wanted.len() {
        let is_next = r < wanted.len() && had.get(l) == wanted.get(r);
        if let Some(element) = had.get(l).filter(|_| !is_next) {
            if !new.contains_key(element) {
                out.push(live[l].clone());
                l += 1;
                continue;
            }
            // It stands elsewhere in the configuration.
            if r < wanted.len() && next.is_some_and(|next| next != element) {
                l += 1;
                continue;
            }
            if done.contains(element) {
                l += 1;
            }
        }
        let Some(element) = wanted.get(r) else { continue };
        done.insert(element);
        let before = old.get(element).copied().flatten();
        out.extend(value(model, items.item, before, new.get(element).copied())?);
        l += usize::from(is_next);
        r += 1;
        if next == Some(element) {
            next = shared.next();
        }
    }
    Ok(Some(Value::Array(out)))
}
