//! The part of metadata that belongs to the server.
//!
//! In: objects that clients sent. Out: the same, with names, uids, times and generations that
//! only the server may give.

use jiff::Timestamp;
use nodeplane_api::{
    kinds::Kind,
    meta::{self, Key},
    status::Status,
};
use serde_json::{Map, Value};

/// Longest base of a generated name: the rest of a DNS label is for the random letters.
const BASE_LIMIT: usize = 58;
/// How many random letters follow the base.
const LETTERS: usize = 5;
/// Letters and digits that do not form words by accident.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A point in time as metadata shows it.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Brings the namespace of an object in line with the path's, which is empty for cluster-scoped
/// kinds.
///
/// # Errors
/// 400 when the object names another one.
pub fn enter_namespace(object: &mut Value, namespace: &str) -> Result<(), Status> {
    match (meta::namespace(object), namespace) {
        (own, place) if own == place => Ok(()),
        ("", place) => {
            let place = place.to_owned();
            meta::set(object, "namespace", place);
            Ok(())
        }
        // Cluster-scoped objects have none, whatever they say.
        (_, "") => {
            meta::remove(object, "namespace");
            Ok(())
        }
        _ => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// Checks that an object that is written to a path is the one of the path.
///
/// # Errors
/// 400.
pub fn check_name(object: &mut Value, key: &Key) -> Result<(), Status> {
    let (name, wanted) = (meta::name(object), key.name.as_str());
    if name != wanted {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    let (own, place) = (meta::namespace(object), key.namespace.as_str());
    if !own.is_empty() && !place.is_empty() && own != place {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({own}) does not match the namespace on the request ({place})"
        )));
    }
    enter_namespace(object, place)
}

/// Gives a new object what every object has. A generation of 1 only where the kind counts them.
pub fn stamp(object: &mut Value, uid: &str, now: Timestamp, counts_generations: bool) {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion", "selfLink"] {
        meta::remove(object, field);
    }
    meta::set(object, "uid", uid);
    meta::set(object, "creationTimestamp", time(now));
    if counts_generations {
        meta::set(object, "generation", 1);
    }
}

/// A name for an object that asks for one: its base and random letters.
pub fn generate_name(base: &str) -> String {
    let cut = base.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= BASE_LIMIT).last();
    let mut name = base[..cut.unwrap_or(0)].to_owned();
    for _ in 0..LETTERS {
        name.push(char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]));
    }
    name
}

/// Gives a changed object back what a client may not change or may leave out.
pub fn keep_server_fields(object: &mut Value, old: &Value) {
    meta::remove(object, "selfLink");
    for field in ["creationTimestamp", "generation", "resourceVersion"] {
        copy(object, old, field);
    }
    if meta::uid(object).is_empty() {
        copy(object, old, "uid");
    }
    if !meta::text(old, "deletionTimestamp").is_empty() {
        copy(object, old, "deletionTimestamp");
        if object["metadata"].get("deletionGracePeriodSeconds").is_none() {
            copy(object, old, "deletionGracePeriodSeconds");
        }
    }
}

/// Makes the owners of fields the same as in `from`.
pub fn keep_owners(object: &mut Value, from: &Value) {
    copy(object, from, "managedFields");
}

/// Whether two objects are the same, whenever the owners of their fields wrote these.
pub fn is_same_but_times(object: &Value, old: &Value) -> bool {
    if object == old {
        return true;
    }
    let (Some(fields), Some(before)) = (object.as_object(), old.as_object()) else { return false };
    entries(&object["metadata"]).len() == entries(&old["metadata"]).len()
        && is_same_without("metadata", fields, before)
        && is_same_metadata(&object["metadata"], &old["metadata"])
}

fn is_same_metadata(metadata: &Value, old: &Value) -> bool {
    let (Some(fields), Some(before)) = (metadata.as_object(), old.as_object()) else { return false };
    let is_same = |(one, other): (&Value, &Value)| match (one.as_object(), other.as_object()) {
        (Some(one), Some(other)) => is_same_without("time", one, other),
        _ => one == other,
    };
    is_same_without("managedFields", fields, before) && entries(metadata).iter().zip(entries(old)).all(is_same)
}

fn entries(metadata: &Value) -> &[Value] {
    metadata["managedFields"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether two objects differ at most in one field.
fn is_same_without(field: &str, one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let fields = |map: &'_ Map<String, Value>| map.len() - usize::from(map.contains_key(field));
    fields(one) == fields(other) && one.iter().all(|(name, value)| name == field || other.get(name) == Some(value))
}

/// Counts a change of what is asked for: everything but metadata and status.
pub fn count_generation(object: &mut Value, old: &Value) {
    let asked = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        fields.remove("status");
        fields
    };
    if asked(object) != asked(old) {
        raise_generation(object);
    }
}

/// Adds 1 to the generation.
pub fn raise_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    meta::set(object, "generation", generation + 1);
}

/// Checks that an object that names a uid names the one that is stored.
///
/// # Errors
/// 409.
pub fn check_uid(object: &Value, old: &Value, kind: &Kind, key: &str) -> Result<(), Status> {
    let (wanted, found) = (meta::uid(object), meta::uid(old));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
         failed: UID in precondition: {wanted}, UID in object meta: {found}"
    );
    Err(Status::conflict(kind, meta::name(old), &why))
}

/// Reads a revision, or says in upstream's words why it is none.
pub fn parse_revision(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing \
             {text:?}: invalid syntax"
        )
    })
}

fn copy(object: &mut Value, old: &Value, field: &str) {
    match old["metadata"].get(field) {
        Some(value) => meta::set(object, field, value.clone()),
        None => meta::remove(object, field),
    }
}
