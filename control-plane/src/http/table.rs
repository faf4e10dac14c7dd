//! Objects as the rows of a `meta.k8s.io` Table, or cut down to their metadata.
//!
//! In: objects and a kind's columns. Out: values. Never reads a clock: ages are told by the
//! time that the caller gives.

use jiff::Timestamp;
use nodeplane_api::columns::Column;
use serde_json::{Map, Value, json};

use crate::store::object::{Object, Parts};

/// How much of an object each row carries (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads `includeObject`; metadata when it is absent or unknown.
    pub fn parse(text: &str) -> Self {
        match text {
            "None" => Self::None,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// A table without rows, which are its last field. `metadata` is that of the list, or of the one object.
pub fn table(columns: &[Column], version: &str, metadata: &Value, with_headings: bool) -> Value {
    let headings: Vec<Value> = if with_headings { columns.iter().map(heading).collect() } else { Vec::new() };
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
        "columnDefinitions": headings,
    })
}

fn heading(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}

/// One row of a table.
pub fn row(columns: &[Column], version: &str, object: &Value, include: Include, now: Timestamp) -> Value {
    let mut row = json!({ "cells": cells(columns, object, now) });
    row["object"] = match include {
        Include::None => Value::Null,
        Include::Metadata => metadata_of(version, object),
        Include::Object => object.clone(),
    };
    row
}

fn cells(columns: &[Column], object: &Value, now: Timestamp) -> Value {
    columns.iter().map(|column| (column.cell)(object, now)).collect()
}

/// All that the cells of some columns depend on.
pub fn reads(columns: &[Column]) -> Parts {
    Parts::new(columns.iter().flat_map(|column| column.reads).copied())
}

/// Writes one row of a table in JSON. `reads` are those of the columns.
pub fn write_row(
    out: &mut Vec<u8>,
    columns: &[Column],
    reads: &Parts,
    version: &str,
    object: &Object,
    include: Include,
    now: Timestamp,
) {
    let tree = object.parts(reads);
    out.extend_from_slice(b"{\"cells\":");
    out.extend_from_slice(cells(columns, &tree, now).to_string().as_bytes());
    out.extend_from_slice(b",\"object\":");
    match include {
        Include::None => out.extend_from_slice(b"null"),
        Include::Metadata => write_metadata_of(out, version, object),
        Include::Object => object.write_json(out),
    }
    out.push(b'}');
}

/// Writes the `PartialObjectMetadata` of a stored object in JSON.
pub fn write_metadata_of(out: &mut Vec<u8>, version: &str, object: &Object) {
    let head = format!("{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":");
    out.extend_from_slice(head.as_bytes());
    object.write_metadata_json(out);
    out.push(b'}');
}

/// `PartialObjectMetadata` of an object.
pub fn metadata_of(version: &str, object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

/// The metadata of a table about one object.
pub fn metadata_of_single(object: &Value) -> Value {
    let mut metadata = Map::new();
    if let Some(revision) = object["metadata"].get("resourceVersion") {
        metadata.insert("resourceVersion".to_owned(), revision.clone());
    }
    Value::Object(metadata)
}
