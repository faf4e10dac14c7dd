//! Strategic merge patch: a merge patch whose lists merge by key and whose maps carry
//! directives (apimachinery `util/strategicpatch`, sig-api-machinery's
//! `strategic-merge-patch.md`).
//!
//! Directives: `$patch` (`replace`, `delete`) in a map or a list item, `$retainKeys` in a map,
//! `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>` beside a list.

use serde_json::{Map, Value};

use super::{PatchError, order::arrange};
use crate::{
    kinds::Kind,
    schema::{Model, Patch, Type},
};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER_PREFIX: &str = "$setElementOrder/";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// Applies a strategic merge patch to an object of `kind`.
///
/// Fields that the kind does not have merge like a JSON merge patch; decoding the result finds
/// them.
pub fn strategic(document: &Value, patch: &Value, kind: &Kind) -> Result<Value, PatchError> {
    let (Value::Object(original), Value::Object(patch)) = (document, patch) else {
        return Err(malformed("a strategic merge patch must be a JSON object"));
    };
    let model = Model::get();
    let root = model.by_name(&(kind.shape.definition)()).map_or(Type::Json, Type::Object);
    let merge = Merge { model };
    Ok(Value::Object(merge.object(original.clone(), patch.clone(), &root)?))
}

fn malformed(message: impl Into<String>) -> PatchError {
    PatchError::Malformed(message.into())
}

fn unprocessable(message: impl Into<String>) -> PatchError {
    PatchError::Unprocessable(message.into())
}

struct Merge<'a> {
    model: &'a Model,
}

impl Merge<'_> {
    fn object(&self, mut original: Object, mut patch: Object, kind: &Type) -> Result<Object, PatchError> {
        match patch.remove(DIRECTIVE) {
            None => {}
            Some(directive) if directive == "replace" => return Ok(plain_object(patch)),
            Some(directive) if directive == "delete" => return Ok(Object::new()),
            Some(directive) => return Err(unknown_directive(&directive)),
        }
        retain_keys(&mut original, &mut patch)?;
        self.ordered_lists(&mut original, &mut patch, kind)?;
        for (key, value) in patch {
            match key.strip_prefix(DELETE_PREFIX) {
                Some(list) => delete_scalars(&mut original, list, &value)?,
                None => self.field(&mut original, key, value, kind)?,
            }
        }
        Ok(original)
    }

    fn field(&self, original: &mut Object, key: String, patch: Value, owner: &Type) -> Result<(), PatchError> {
        let (kind, rule) = self.rule(owner, &key);
        let merged = match (original.remove(&key), patch) {
            (_, Value::Null) => return Ok(()),
            (Some(Value::Object(original)), Value::Object(patch)) => Value::Object(self.object(original, patch, kind)?),
            (Some(Value::Array(original)), Value::Array(patch)) => {
                Value::Array(self.list(original, patch, kind, rule)?)
            }
            (_, patch) => match plain(patch) {
                Some(value) => value,
                None => return Ok(()),
            },
        };
        original.insert(key, merged);
        Ok(())
    }

    /// The type of a field and how it merges.
    fn rule<'t>(&'t self, owner: &'t Type, key: &str) -> (&'t Type, Patch) {
        match owner {
            Type::Object(id) => match self.model.definition(*id).fields.get(key) {
                Some(field) => (&field.kind, field.patch),
                None => (&Type::Json, Patch::Replace),
            },
            Type::Map(of) => (of, Patch::Replace),
            _ => (&Type::Json, Patch::Replace),
        }
    }

    fn list(
        &self,
        original: Vec<Value>,
        patch: Vec<Value>,
        kind: &Type,
        rule: Patch,
    ) -> Result<Vec<Value>, PatchError> {
        match rule {
            Patch::MergeBy(key) | Patch::MergeByAndRetainKeys(key) => self.list_by_key(original, patch, kind, key),
            Patch::MergeSet => Ok(union(original, &patch)),
            Patch::Replace | Patch::RetainKeys => Ok(patch.into_iter().filter_map(plain).collect()),
        }
    }

    fn list_by_key(
        &self,
        original: Vec<Value>,
        patch: Vec<Value>,
        kind: &Type,
        key: &str,
    ) -> Result<Vec<Value>, PatchError> {
        let item_kind = match kind {
            Type::List(of) => of,
            _ => &Type::Json,
        };
        let server_order = keys_of(&original, key)?;
        let (mut merged, patch) = apply_item_directives(original, patch, key)?;
        let patch_order = keys_of(&patch, key)?;
        for item in patch {
            let Value::Object(item) = item else { return Err(not_an_object(&item)) };
            match merged.iter_mut().find(|found| found.get(key) == item.get(key)) {
                Some(found) => {
                    let Value::Object(current) = found.take() else { return Err(not_an_object(found)) };
                    *found = Value::Object(self.object(current, item, item_kind)?);
                }
                None => merged.push(Value::Object(plain_object(item))),
            }
        }
        Ok(arrange(merged, Some(key), &patch_order, &server_order))
    }

    /// Merges the lists whose order the patch states, and takes them out of it.
    fn ordered_lists(&self, original: &mut Object, patch: &mut Object, owner: &Type) -> Result<(), PatchError> {
        let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(ORDER_PREFIX)).cloned().collect();
        for directive in directives {
            let Some(Value::Array(order)) = patch.remove(&directive) else { return Err(bad_order()) };
            let name = &directive[ORDER_PREFIX.len()..];
            let (kind, rule) = self.rule(owner, name);
            let key = match rule {
                Patch::MergeBy(key) | Patch::MergeByAndRetainKeys(key) => Some(key),
                _ => None,
            };
            let order = match key {
                Some(key) => keys_of(&order, key)?,
                None => order,
            };
            let current = take_list(original, name)?;
            let wanted = take_list(patch, name)?;
            if let Some(wanted) = &wanted {
                check_order(wanted, &order, key)?;
            }
            let server_order = match (&current, key) {
                (Some(current), Some(key)) => keys_of(current, key)?,
                (Some(current), None) => current.clone(),
                (None, _) => Vec::new(),
            };
            let merged = match (current, wanted) {
                (None, None) => continue,
                (Some(current), None) => current,
                (None, Some(wanted)) => wanted.into_iter().filter_map(plain).collect(),
                (Some(current), Some(wanted)) => self.list(current, wanted, kind, rule)?,
            };
            original.insert(name.to_owned(), Value::Array(arrange(merged, key, &order, &server_order)));
        }
        Ok(())
    }
}

/// Drops what `$retainKeys` does not list; every patched key must be listed.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let bad = || malformed("invalid patch format of retainKeys");
    let keys = keys.as_array().ok_or_else(bad)?;
    let listed = |name: &str| keys.iter().any(|key| key == name);
    let is_directive = |name: &str| name.starts_with(ORDER_PREFIX) || name.starts_with(DELETE_PREFIX);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !listed(name)) {
        return Err(bad());
    }
    original.retain(|name, _| listed(name));
    Ok(())
}

/// Carries out `$patch` in list items: returns what is left of the original, and the items
/// without directive.
fn apply_item_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut items = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        match item.get(DIRECTIVE) {
            None => items.push(item),
            Some(directive) if directive == "delete" => {
                let value = item.get(key).ok_or_else(|| no_key(&item, key))?;
                original.retain(|found| found.get(key) != Some(value));
            }
            Some(directive) if directive == "replace" => replace = true,
            Some(directive) if directive == "merge" => {
                return Err(unprocessable("merging lists cannot yet be specified in the patch"));
            }
            Some(directive) => return Err(unknown_directive(directive)),
        }
    }
    if replace {
        original.clear();
    }
    Ok((original, items))
}

/// The items of the patch must come in the stated order, and be part of it.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let wanted = match key {
            Some(key) => item.get(key).ok_or_else(|| no_key(item, key))?,
            None => item,
        };
        if !order.is_empty() && !rest.any(|next| next == wanted) {
            return Err(unprocessable(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::from(patch),
                Value::from(order)
            )));
        }
    }
    Ok(())
}

fn delete_scalars(original: &mut Object, list: &str, values: &Value) -> Result<(), PatchError> {
    let bad = || malformed("invalid patch format of primitive list");
    let values = values.as_array().ok_or_else(bad)?;
    if let Some(current) = original.get_mut(list) {
        current.as_array_mut().ok_or_else(bad)?.retain(|value| !values.contains(value));
    }
    Ok(())
}

/// Scalars of both lists, each once; what is in the patch is in the order of the patch.
fn union(original: Vec<Value>, patch: &[Value]) -> Vec<Value> {
    let server_order = original.clone();
    let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
    for value in original.into_iter().chain(patch.iter().cloned()) {
        if !merged.contains(&value) {
            merged.push(value);
        }
    }
    arrange(merged, None, patch, &server_order)
}

/// A new value without directives and nulls; nothing when a directive says there is none.
fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(plain_object(map))),
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(plain).collect())),
        scalar => Some(scalar),
    }
}

fn plain_object(map: Object) -> Object {
    let is_directive =
        |name: &str| name == RETAIN_KEYS || name.starts_with(ORDER_PREFIX) || name.starts_with(DELETE_PREFIX);
    let kept = map.into_iter().filter(|(name, value)| !value.is_null() && !is_directive(name));
    kept.filter_map(|(name, value)| plain(value).map(|value| (name, value))).collect()
}

fn take_list(object: &mut Object, name: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(bad_order()),
    }
}

fn keys_of(items: &[Value], key: &str) -> Result<Vec<Value>, PatchError> {
    let key_of = |item: &Value| item.get(key).cloned().ok_or_else(|| no_key(item, key));
    items.iter().map(key_of).collect()
}

fn bad_order() -> PatchError {
    malformed("invalid patch format of setElementOrder list")
}

fn no_key(item: &Value, key: &str) -> PatchError {
    unprocessable(format!("map: {item} does not contain declared merge key: {key}"))
}

fn not_an_object(item: &Value) -> PatchError {
    unprocessable(format!("expected a map, but received {item}"))
}

fn unknown_directive(directive: &Value) -> PatchError {
    unprocessable(format!("unknown patch type: {}", directive.as_str().unwrap_or("not a string")))
}
