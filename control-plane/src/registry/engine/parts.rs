//! Which part of an object a write may change, and what happens to the rest.

use nodeplane_api::{
    kinds::{self, Kind, Subresource},
    status::FieldErrors,
};
use serde_json::Value;

use super::owning::Owning;
use crate::registry::{Strategy, metadata::own, validate_meta, validate_meta_update};

/// What a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but what has a path of its own.
    Whole,
    /// The fields that the row of a subresource names.
    Fields(&'static kinds::Part),
    /// Everything but what belongs to the server, as the server itself changes it.
    Assignment,
    /// The marks of a deletion, which the server sets.
    Mark,
}

impl Part {
    /// The object to store when a client asks for `object` in place of `old`.
    pub(super) fn prepare(self, strategy: &dyn Strategy, owning: Owning<'_>, mut object: Value, old: &Value) -> Value {
        match self {
            Self::Whole => {
                strategy.default(&mut object);
                owning.settle(&mut object, Some(old), None);
                own::keep_server_fields(&mut object, old);
                strategy.prepare_for_update(&mut object, old);
                if strategy.counts_generations() {
                    own::count_generation(&mut object, old);
                }
                object
            }
            Self::Fields(row) => {
                let mut prepared = old.clone();
                row.writes.iter().for_each(|pointer| take(&mut prepared, &object, pointer));
                for pointer in row.may_write.iter().filter(|pointer| object.pointer(pointer).is_some()) {
                    take(&mut prepared, &object, pointer);
                }
                strategy.prepare_for_part(row.subresource, &mut prepared, old);
                owning.settle(&mut prepared, Some(old), Some(&object));
                prepared
            }
            Self::Assignment => {
                own::keep_server_fields(&mut object, old);
                own::keep_owners(&mut object, old);
                object
            }
            Self::Mark => object,
        }
    }

    /// Everything that is wrong with an object that is new or replaces `old`.
    pub(super) fn errors(
        self,
        kind: &'static Kind,
        strategy: &dyn Strategy,
        object: &Value,
        old: Option<&Value>,
    ) -> FieldErrors {
        let mut errors = FieldErrors::default();
        if self == Self::Mark {
            return errors;
        }
        // What was stored under older rules can still be let go.
        if !matches!(self, Self::Fields(row) if row.subresource == Subresource::Finalize) {
            errors.extend(validate_meta(kind, strategy.name_rule(), object));
        }
        match (self, old) {
            (Self::Fields(row), Some(old)) => errors.extend(strategy.validate_part(row.subresource, object, old)),
            (Self::Assignment, Some(old)) => errors.extend(validate_meta_update(kind, object, old)),
            (_, Some(old)) => {
                errors.extend(validate_meta_update(kind, object, old));
                errors.extend(strategy.validate(object));
                errors.extend(strategy.validate_update(object, old));
            }
            (_, None) => {
                errors.extend(strategy.validate(object));
                errors.extend(strategy.validate_create(object));
            }
        }
        errors
    }

    /// Whether the change may need addresses or ports of the cluster.
    pub(super) fn allocates(self) -> bool {
        self == Self::Whole
    }
}

/// Makes a field of `object` the same as in `from`.
fn take(object: &mut Value, from: &Value, pointer: &str) {
    let mut steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let Some(last) = steps.pop() else { return };
    let mut place = object;
    for step in steps {
        if !place[step].is_object() {
            if from.pointer(pointer).is_none() {
                return;
            }
            place[step] = Value::Object(serde_json::Map::new());
        }
        place = &mut place[step];
    }
    let Some(fields) = place.as_object_mut() else { return };
    match from.pointer(pointer) {
        Some(value) => drop(fields.insert(last.to_owned(), value.clone())),
        None => drop(fields.remove(last)),
    }
}
