//! Entries written.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Entry, Managed};

impl Entry {
    /// The time in seconds; 0 without one.
    pub(super) fn seconds(&self) -> i64 {
        self.time.as_str().and_then(|time| time.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_second)
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        let owner = &self.owner;
        for (field, text) in [
            ("manager", owner.manager.as_str()),
            ("operation", owner.operation.name()),
            ("apiVersion", &self.version),
            ("fieldsType", "FieldsV1"),
            ("subresource", &owner.subresource),
        ] {
            if !text.is_empty() {
                map.insert(field.to_owned(), text.into());
            }
        }
        if !self.time.is_null() {
            map.insert("time".to_owned(), self.time.clone());
        }
        map.insert("fieldsV1".to_owned(), self.fields.to_value());
        Value::Object(map)
    }
}

impl Managed {
    /// As `metadata.managedFields`: appliers first, then by time; none without owners.
    pub(in crate::apply) fn encode(mut self) -> Option<Value> {
        let order = |entry: &Entry| (entry.owner.operation, entry.seconds());
        self.0.sort_by(|a, b| {
            let names =
                |entry: &Entry| [entry.owner.manager.clone(), entry.version.clone(), entry.owner.subresource.clone()];
            order(a).cmp(&order(b)).then_with(|| names(a).cmp(&names(b)))
        });
        (!self.is_empty()).then(|| self.0.iter().map(Entry::to_value).collect())
    }
}

/// A time as entries have it.
pub(in crate::apply) fn time(at: Timestamp) -> Value {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}
