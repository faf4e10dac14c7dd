//! What tells the items of a list apart.

use serde_json::Value;

use super::Items;
use crate::{
    apply::fields::Element,
    schema::{KEY_DEFAULTS, Model, Type, short_name},
};

impl Items<'_> {
    /// The step to an item.
    ///
    /// # Errors
    /// When nothing tells the item apart.
    pub(super) fn element(&self, model: &Model, item: &Value) -> Result<Element, String> {
        if self.keys.is_empty() {
            return scalar(item);
        }
        let Value::Object(map) = item else {
            return Err(match item {
                Value::Null => "associative list with keys may not have a null element".to_owned(),
                _ => "associative list with keys may not have non-map elements".to_owned(),
            });
        };
        let value = |key: &&'static str| {
            let value = map.get(*key).cloned().or_else(|| self.default_of(model, key).map(Value::from));
            value.map(|value| ((*key).to_owned(), value))
        };
        let mut fields: Vec<(String, Value)> = self.keys.iter().filter_map(value).collect();
        if fields.is_empty() {
            let keys: Vec<String> = self.keys.iter().map(|key| format!("{key:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
                 values for any key fields)",
                keys.join(" ")
            ));
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Element::Key(fields))
    }

    fn default_of(&self, model: &Model, key: &str) -> Option<&'static str> {
        let Type::Object(id) = self.item.kind else { return None };
        let name = short_name(&model.definition(*id).name);
        KEY_DEFAULTS.iter().find(|(kind, field, _)| *kind == name && *field == key).map(|(.., value)| *value)
    }

    /// The steps to all items, in their order.
    ///
    /// # Errors
    /// As [`Items::element`], with the place of the item.
    pub(super) fn elements(&self, model: &Model, items: &[Value]) -> Result<Vec<Element>, String> {
        let element =
            |(at, item): (usize, &Value)| self.element(model, item).map_err(|why| format!("element {at}: {why}"));
        items.iter().enumerate().map(element).collect()
    }
}

fn scalar(item: &Value) -> Result<Element, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        scalar => Ok(Element::Value(scalar.clone())),
    }
}
