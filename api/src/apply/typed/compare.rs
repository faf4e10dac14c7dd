//! What differs between two values of a type.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{EMPTY, Items, NULL, Place, View, fields, is_empty, list};
use crate::{
    apply::fields::{Element, FieldSet, Node},
    schema::{Definition, Field, Model, Presence, Type},
};

/// What one value has and another has not. No field is in more than one of the sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::apply) struct Difference {
    pub(in crate::apply) added: FieldSet,
    pub(in crate::apply) modified: FieldSet,
    pub(in crate::apply) removed: FieldSet,
}

impl Difference {
    /// Whether both values are the same.
    pub(in crate::apply) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// What has another value now, and what is gone.
    pub(in crate::apply) fn into_changed(self) -> (FieldSet, FieldSet) {
        let mut changed = self.modified;
        changed.join(self.added);
        (changed, self.removed)
    }

    fn attach(&mut self, element: Element, change: Change) {
        let Change { added, modified, removed } = change;
        let [one, two, three] = [&added, &modified, &removed].map(|node| !node.is_vacant());
        match (one, two, three) {
            (false, false, false) => {}
            (true, false, false) => self.added.attach(element, added),
            (false, true, false) => self.modified.attach(element, modified),
            (false, false, true) => self.removed.attach(element, removed),
            _ => {
                self.added.attach(element.clone(), added);
                self.modified.attach(element.clone(), modified);
                self.removed.attach(element, removed);
            }
        }
    }
}

/// What differs in one field and below.
#[derive(Default)]
struct Change {
    added: Node,
    modified: Node,
    removed: Node,
}

impl Change {
    fn below(difference: Difference) -> Self {
        let Difference { added, modified, removed } = difference;
        let node = |below| Node { is_member: false, below };
        Self { added: node(added), modified: node(modified), removed: node(removed) }
    }
}

/// How a value came to be, which says what a zero in it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::apply) enum Side {
    /// It was written as a whole: a zero where Go has no pointer is nothing.
    Written,
    /// An applied configuration was merged into it: a zero may have been applied.
    Merged,
}

/// What `new` has and `old` has not, and the other way round.
///
/// # Errors
/// When nothing tells the items of a list apart.
pub(in crate::apply) fn compare(
    model: &Model,
    root: &Type,
    (old, new): (&Value, &Value),
    side: Side,
) -> Result<Difference, String> {
    let walk = Walk { model, side };
    match Place::plain(root).view(model) {
        View::Struct(definition) => walk.structs(definition, old.as_object(), new.as_object()),
        _ => Ok(Difference::default()),
    }
}

#[derive(Clone, Copy)]
struct Walk<'m> {
    model: &'m Model,
    side: Side,
}

type Pair<'v> = (Option<&'v Value>, Option<&'v Value>);

impl<'m> Walk<'m> {
    fn value(self, place: Place<'m>, (old, new): Pair<'_>) -> Result<Change, String> {
        let nothing = |value: Option<&Value>| value.is_none_or(is_empty);
        let view = if nothing(old) && nothing(new) { View::Leaf } else { place.view(self.model) };
        let difference = match view {
            View::Leaf => return Ok(leaf(old, new)),
            View::Struct(definition) => self.structs(definition, fields(old), fields(new))?,
            View::Map(of) => self.map(of, fields(old), fields(new))?,
            View::List(items) => self.items(items, list(old), list(new))?,
        };
        let mut change = Change::below(difference);
        change.added.is_member = old.is_none();
        change.removed.is_member = new.is_none();
        Ok(change)
    }

    fn structs(
        self,
        definition: &'m Definition,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) -> Result<Difference, String> {
        let mut difference = Difference::default();
        for name in names(old, new) {
            // Most of what is written is as it was.
            let raw = (old.and_then(|old| old.get(name)), new.and_then(|new| new.get(name)));
            if raw.0 == raw.1 {
                continue;
            }
            let Some(field) = definition.fields.get(name) else { continue };
            let (before, mut after) = (self.seen(field, old, name), self.seen(field, new, name));
            // An applied null takes a value away; the field is still spoken of.
            if after.is_none() && before.is_some() && self.side == Side::Merged {
                after = raw.1;
            }
            let pair = (before, after);
            if let (None, None) = pair {
                continue;
            }
            difference.attach(Element::Field(name.clone()), self.value(Place::of_field(field), pair)?);
        }
        Ok(difference)
    }

    fn map(
        self,
        of: Place<'m>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) -> Result<Difference, String> {
        let mut difference = Difference::default();
        for name in names(old, new) {
            let pair = (old.and_then(|map| map.get(name)), new.and_then(|map| map.get(name)));
            difference.attach(Element::Field(name.clone()), self.value(of, pair)?);
        }
        Ok(difference)
    }

    fn items(self, items: Items<'m>, old: &[Value], new: &[Value]) -> Result<Difference, String> {
        let mut difference = Difference::default();
        if old == new {
            return Ok(difference);
        }
        let mut pairs: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (element, value) in items.elements(self.model, old)?.into_iter().zip(old) {
            pairs.entry(element).or_default().0.push(value);
        }
        for (element, value) in items.elements(self.model, new)?.into_iter().zip(new) {
            pairs.entry(element).or_default().1.push(value);
        }
        for (element, (old, new)) in pairs {
            let change = match (old.as_slice(), new.as_slice()) {
                ([_, _, ..], [_, _, ..]) if old == new => Change::default(),
                ([_, _, ..], [_, _, ..]) => Change { modified: Node::member(), ..Change::default() },
                // Items that stood twice were owned as a whole.
                ([_, _, ..], rest) => {
                    let mut change = match rest.first() {
                        Some(new) => self.value(items.item, (None, Some(new)))?,
                        None => Change::default(),
                    };
                    change.removed.is_member = true;
                    change
                }
                (rest, [_, _, ..]) => {
                    let mut change = match rest.first() {
                        Some(old) => self.value(items.item, (Some(old), None))?,
                        None => Change::default(),
                    };
                    change.added.is_member = true;
                    change
                }
                (old, new) => self.value(items.item, (old.first().copied(), new.first().copied()))?,
            };
            difference.attach(element, change);
        }
        Ok(difference)
    }

    /// A field as Go shows it: what has no pointer is always there, or never when it is zero.
    fn seen<'v>(self, field: &Field, map: Option<&'v Map<String, Value>>, name: &str) -> Option<&'v Value> {
        let map = map?;
        let is_struct = matches!(field.kind, Type::Object(_)) && field.presence == Presence::Implicit;
        match map.get(name).filter(|value| !value.is_null()) {
            None if is_struct => Some(&EMPTY),
            None if field.is_required => Some(&NULL),
            None => None,
            Some(value) => {
                let may_be_left_out = field.presence == Presence::Implicit && !field.is_required && !is_struct;
                let is_left_out = self.side == Side::Written && may_be_left_out && is_zero(value);
                (!is_left_out).then_some(value)
            }
        }
    }
}

fn leaf(old: Option<&Value>, new: Option<&Value>) -> Change {
    let mut change = Change::default();
    match (old, new) {
        (None, None) => {}
        (None, Some(_)) => change.added.is_member = true,
        (Some(_), None) => change.removed.is_member = true,
        (Some(old), Some(new)) => change.modified.is_member = !is_same(old, new),
    }
    change
}

/// What is required is zero when it is left out.
fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Null, value) | (value, Value::Null) => is_zero(value),
        _ => old == new,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Null | Value::Array(_) | Value::Object(_) => is_empty(value),
    }
}

/// The names of both, each once.
fn names<'v>(
    old: Option<&'v Map<String, Value>>,
    new: Option<&'v Map<String, Value>>,
) -> impl Iterator<Item = &'v String> {
    let only_new = move |name: &&String| old.is_none_or(|old| !old.contains_key(*name));
    old.into_iter().flat_map(Map::keys).chain(new.into_iter().flat_map(Map::keys).filter(only_new))
}
