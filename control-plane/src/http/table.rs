//! Objects as the rows of a `meta.k8s.io` Table, or cut down to their metadata.
//!
//! In: objects and a kind's columns. Out: values. Never reads a clock: ages are told by the
//! time that the caller gives.

use jiff::Timestamp;
use nodeplane_api::columns::Column;
use serde_json::{Map, Value, json};

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

/// A table without rows. `metadata` is that of the list, or of the one object.
pub fn table(columns: &[Column], version: &str, metadata: &Value, with_headings: bool) -> Value {
    let headings: Vec<Value> = if with_headings { columns.iter().map(heading).collect() } else { Vec::new() };
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
        "columnDefinitions": headings,
        "rows": [],
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

/// One row.
pub fn row(columns: &[Column], version: &str, object: &Value, include: Include, now: Timestamp) -> Value {
    let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
    let mut row = json!({ "cells": cells });
    match include {
        Include::None => row["object"] = Value::Null,
        Include::Metadata => row["object"] = metadata_of(version, object),
        Include::Object => row["object"] = object.clone(),
    }
    row
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
