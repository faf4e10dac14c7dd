//! Owners of what is written as a whole.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{
    Writer,
    fields::{FieldSet, pointer},
    managed::{Entry, Managed, Operation, Owner, is_cleared, time},
    typed::{self, Difference, Side},
};
use crate::schema::Model;

/// Fields that nobody owns: the server gives them, or they name the object.
static NOBODYS: LazyLock<FieldSet> = LazyLock::new(|| {
    let mut set = FieldSet::default();
    NOBODYS_POINTERS.iter().for_each(|field| set.insert(&pointer(field)));
    set
});

const NOBODYS_POINTERS: [&str; 12] = [
    "/apiVersion",
    "/kind",
    "/metadata",
    "/metadata/clusterName",
    "/metadata/creationTimestamp",
    "/metadata/generation",
    "/metadata/managedFields",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/resourceVersion",
    "/metadata/selfLink",
    "/metadata/uid",
];

static NOTHING: Value = Value::Null;

/// Gives the writer what `new` has and `old` has not, in `new`'s `metadata.managedFields`. What it
/// brings itself there is taken for the owners so far, unless it cannot be read or the write is
/// about a part of the object. An object whose ownership was forgotten stays without owners.
pub fn update(writer: &Writer<'_>, old: Option<&Value>, new: &mut Value) {
    let stored = old.map_or(&NOTHING, entries);
    let (kept, given) = match take(new) {
        Some(given) if given == *stored => (Some(given), None),
        given => (None, given.filter(|_| writer.part.is_none())),
    };
    let as_stored = |new: &mut Value| set(new, kept.unwrap_or_else(|| stored.clone()));
    if given.as_ref().is_some_and(is_cleared) && old.is_some() {
        return;
    }
    let given = given.and_then(|given| Managed::decode(&given).ok()).filter(|managed| !managed.is_empty());
    let (Ok(difference), is_given) = (difference(writer, old, new), given.is_some()) else {
        return as_stored(new);
    };
    if difference.is_empty() && !is_given {
        return as_stored(new);
    }
    let mut managed = given.unwrap_or_else(|| Managed::decode(stored).unwrap_or_default());
    if managed.is_empty() && old.is_some() {
        return;
    }
    settle(writer, &mut managed, difference);
    if let Some(entries) = managed.encode() {
        set(new, entries);
    }
}

/// The owner of all that an object has: whoever made it is not known.
pub(super) fn as_found(writer: &Writer<'_>, manager: &'static str, object: &Value) -> Result<Managed, String> {
    let writer = Writer { manager, ..*writer };
    let mut managed = Managed::default();
    settle(&writer, &mut managed, difference(&writer, None, object)?);
    Ok(managed)
}

/// `.metadata.managedFields`.
pub(super) fn entries(object: &Value) -> &Value {
    object.pointer("/metadata/managedFields").unwrap_or(&NOTHING)
}

/// Takes what nobody owns out of a set.
pub(super) fn strip(mut set: FieldSet) -> FieldSet {
    set.subtract(&NOBODYS);
    set
}

fn difference(writer: &Writer<'_>, old: Option<&Value>, new: &Value) -> Result<Difference, String> {
    let nothing = Value::Object(Map::new());
    let pair = (old.unwrap_or(&nothing), new);
    let Difference { added, modified, removed } = typed::compare(Model::get(), &writer.root(), pair, Side::Written)?;
    let own = |set| writer.reset(strip(set));
    Ok(Difference { added: own(added), modified: own(modified), removed: own(removed) })
}

/// Takes what changed from all, and gives it to the writer.
fn settle(writer: &Writer<'_>, managed: &mut Managed, difference: Difference) {
    let version = writer.kind.api_version();
    let (changed, removed) = difference.into_changed();
    for entry in managed.0.iter_mut().filter(|entry| entry.version == version) {
        entry.fields.subtract(&changed);
        entry.fields.subtract(&removed);
    }
    managed.tidy();
    if !changed.is_empty() {
        let owner = Owner::of(writer, Operation::Update);
        let mut entry = Entry { owner, version, fields: changed, time: time(writer.now) };
        if let Some(before) = managed.entry(&entry.owner) {
            entry.fields.join(before.fields.clone());
        }
        managed.put(entry);
    }
    managed.cap();
}

fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields").filter(|entries| !entries.is_null())
}

fn set(object: &mut Value, entries: Value) {
    if !entries.is_null() {
        crate::meta::set(object, "managedFields", entries);
    }
}
