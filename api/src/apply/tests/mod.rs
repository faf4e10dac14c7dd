mod applying;
mod capping;
mod kubectl;
mod lists;
mod properties;
mod sets;
mod updating;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ApplyError, Writer, apply, update};
use crate::kinds::{self, Kind, Subresource};

fn kind(name: &str) -> &'static Kind {
    kinds::KINDS.iter().find(|kind| kind.kind == name).expect("a served kind")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + second).expect("a time")
}

fn writer(name: &str, manager: &'static str, second: i64) -> Writer<'static> {
    Writer { manager, kind: kind(name), part: None, now: at(second) }
}

fn status_writer(name: &str, manager: &'static str, second: i64) -> Writer<'static> {
    Writer { part: kind(name).part(Subresource::Status), ..writer(name, manager, second) }
}

/// What applying makes, in the shape of its kind as the server stores it.
fn applied(writer: &Writer<'_>, live: Option<&Value>, config: &Value, force: bool) -> Result<Value, ApplyError> {
    let object = apply(writer, live, config, force)?;
    Ok((writer.kind.shape.decode)(object).expect("an object of its kind").object)
}

fn must(writer: &Writer<'_>, live: Option<&Value>, config: &Value) -> Value {
    applied(writer, live, config, false).expect("no conflict")
}

fn written(writer: &Writer<'_>, old: Option<&Value>, mut new: Value) -> Value {
    update(writer, old, &mut new);
    new
}

/// The fields of an owner.
fn fields<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().find(|entry| entry["manager"] == manager).map_or(&Value::Null, |entry| &entry["fieldsV1"])
}

fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().map(|entry| entry["manager"].as_str().unwrap_or_default()).collect()
}

/// Everything but who owns it.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    crate::meta::remove(&mut object, "managedFields");
    object
}

fn config_map(data: Value) -> Value {
    let mut object =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "default" } });
    object["data"] = data;
    object
}

fn deployment(spec: Value) -> Value {
    let mut object =
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" } });
    object["spec"] = spec;
    object
}

/// A Deployment with these containers.
fn with_containers(containers: Value) -> Value {
    let mut object = deployment(json!({}));
    object["spec"]["template"]["spec"]["containers"] = containers;
    object
}
