//! Walks of values along their types.
//!
//! In: values that have the shape of a type, and sets of fields. Out: the fields of a value
//! ([`extent`]), what differs between two ([`compare`]), one merged into another ([`merge`]), one
//! without some fields ([`remove`]), and what is wrong with an applied one ([`check`]).

mod check;
mod compare;
mod extent;
mod items;
mod merge;
mod remove;

use serde_json::{Map, Value};

pub(super) use self::{
    check::check,
    compare::{Difference, Side, compare},
    extent::{extent, with_named_fields},
    merge::merge,
    remove::remove,
};
use crate::schema::{Definition, Field, Model, Topology, Type};

/// The type of a value, and who may own parts of it.
#[derive(Clone, Copy)]
struct Place<'m> {
    kind: &'m Type,
    topology: Topology,
}

/// How a value is owned.
#[derive(Clone, Copy)]
enum View<'m> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Struct(&'m Definition),
    /// Key by key.
    Map(Place<'m>),
    /// Item by item.
    List(Items<'m>),
}

/// A list whose items are told apart.
#[derive(Clone, Copy)]
struct Items<'m> {
    /// By these fields; none for a list of scalars.
    keys: &'static [&'static str],
    item: Place<'m>,
}

static NULL: Value = Value::Null;
static EMPTY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| Value::Object(Map::new()));

impl<'m> Place<'m> {
    /// A place of which nothing more is said.
    fn plain(kind: &'m Type) -> Self {
        Self { kind, topology: Topology::Granular }
    }

    fn of_field(field: &'m Field) -> Self {
        Self { kind: &field.kind, topology: field.topology }
    }

    fn view(self, model: &'m Model) -> View<'m> {
        match (self.kind, self.topology) {
            (Type::Object(_) | Type::Map(_), Topology::AtomicMap) => View::Leaf,
            (Type::Object(id), _) if model.definition(*id).is_atomic => View::Leaf,
            (Type::Object(id), _) => View::Struct(model.definition(*id)),
            (Type::Map(of), _) => View::Map(Self::plain(of)),
            (Type::List(of), Topology::Set) => View::List(Items { keys: &[], item: Self::plain(of) }),
            (Type::List(of), Topology::Map(keys)) => View::List(Items { keys, item: Self::plain(of) }),
            _ => View::Leaf,
        }
    }
}

/// Whether a value has no parts.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn fields(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
