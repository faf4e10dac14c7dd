//! The table of documents that travel and are never stored: options, results, and what
//! subresources take and give.
//!
//! A row here lets a document travel in every form; the generic verbs never read this table.

use std::borrow::Cow;

use k8s_openapi::{
    api::{authentication::v1 as authentication, autoscaling::v1 as autoscaling, policy::v1 as policy},
    apimachinery::pkg::apis::meta::v1 as meta,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::kinds::{self, Shape, shape};

/// One row of the table.
pub struct Document {
    /// `apiVersion` as written; empty for a document that belongs to every group.
    pub api_version: &'static str,
    /// `kind` as written.
    pub kind: &'static str,
    /// The typed struct behind it.
    pub shape: Shape,
}

/// Every document.
pub static DOCUMENTS: &[Document] = &[
    Document { api_version: "autoscaling/v1", kind: "Scale", shape: shape::<autoscaling::Scale>() },
    Document {
        api_version: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        shape: shape::<authentication::TokenRequest>(),
    },
    Document { api_version: "policy/v1", kind: "Eviction", shape: shape::<policy::Eviction>() },
    Document { api_version: "v1", kind: "Status", shape: shape::<meta::Status>() },
    Document { api_version: "", kind: "DeleteOptions", shape: shape::<meta::DeleteOptions>() },
    Document { api_version: "", kind: "PartialObjectMetadata", shape: shape::<PartialObjectMetadata>() },
];

/// An object of any kind without what makes it one.
struct PartialObjectMetadata;

impl JsonSchema for PartialObjectMetadata {
    fn schema_name() -> Cow<'static, str> {
        "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "apiVersion": { "type": "string" },
                "kind": { "type": "string" },
                "metadata": generator.subschema_for::<meta::ObjectMeta>(),
            },
        })
    }
}

/// The shape of whatever names itself so, stored or not.
pub fn shape_of(api_version: &str, kind: &str) -> Option<&'static Shape> {
    let document = || {
        let matches = |d: &&Document| d.kind == kind && (d.api_version.is_empty() || d.api_version == api_version);
        DOCUMENTS.iter().find(matches).map(|document| &document.shape)
    };
    kinds::by_api_version(api_version, kind).map(|kind| &kind.shape).or_else(document)
}
