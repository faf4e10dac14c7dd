//! Objects as the rows of a `meta.k8s.io` Table, or cut down to their metadata.
//!
//! In: stored objects and a kind's columns. Out: values. Never reads a clock: ages are told by the
//! time that the caller gives.

use std::borrow::Cow;

use jiff::Timestamp;
use nodeplane_api::{columns::Column, kinds::Kind};
use serde_json::{Map, Value, json};

use super::json_text;
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

/// How the rows of a table are made.
pub struct Rows<'a> {
    /// What they are about.
    pub kind: &'static Kind,
    /// The columns.
    pub columns: &'a [Column],
    /// Version of `meta.k8s.io`.
    pub version: &'static str,
    /// How much of an object each carries, in the form of the kind.
    pub include: Include,
    /// The time by which ages are told.
    pub now: Timestamp,
}

impl Rows<'_> {
    /// The row of an object.
    pub fn row(&self, object: &Value) -> Value {
        let mut row = json!({ "cells": self.cells(object) });
        row["object"] = match self.include {
            Include::None => Value::Null,
            Include::Metadata => metadata_of(self.version, object),
            Include::Object => self.kind.shown(Cow::Borrowed(object)).into_owned(),
        };
        row
    }

    /// All that the cells depend on.
    pub fn reads(&self) -> Parts {
        Parts::new(self.columns.iter().flat_map(|column| column.reads).copied())
    }

    /// Writes the row of an object in JSON. `reads` are those of these rows.
    pub fn write(&self, out: &mut Vec<u8>, reads: &Parts, object: &Object) {
        let tree = object.parts(reads);
        out.extend_from_slice(b"{\"cells\":");
        // Neither a cell nor a vector fails to be written.
        let _ = serde_json::to_writer(&mut *out, &self.cells(&tree));
        out.extend_from_slice(b",\"object\":");
        match self.include {
            Include::None => out.extend_from_slice(b"null"),
            Include::Metadata => write_metadata_of(out, self.version, object),
            Include::Object => json_text::write_shown(out, self.kind, object),
        }
        out.push(b'}');
    }

    fn cells(&self, object: &Value) -> Value {
        self.columns.iter().map(|column| (column.cell)(object, self.now)).collect()
    }
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
