//! The one table of kinds: what the API serves, under which names, with which columns, parts and
//! verbs.
//!
//! A kind without peculiarities is a row in the file of its group and nothing else; the generic
//! verbs, routes, discovery, OpenAPI, tables and field selectors all read this table.

mod apiregistration;
mod apps;
mod authentication;
mod authorization;
mod autoscaling;
mod batch;
mod certificates;
mod conversion;
mod coordination;
mod core;
mod discovery;
mod events;
mod networking;
mod node;
mod parts;
mod policy;
mod rbac;
mod rows;
mod scheduling;
mod storage;
#[cfg(test)]
mod tests;
mod verbs;

use std::{borrow::Cow, fmt};

use serde_json::Value;

pub use self::{
    conversion::Conversion,
    parts::{Part, Subresource},
    verbs::Verb,
};
use crate::{columns::Column, schema};

/// Whether objects of a kind live inside a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One set of names for the whole cluster.
    Cluster,
    /// One set of names per namespace.
    Namespaced,
}

/// Where the objects of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// In the store, and in the watch cache.
    Stored,
    /// Nowhere: each is made for the call that asks for it, such as the review of an access.
    Virtual,
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version, such as `v1`.
    pub version: &'static str,
    /// `kind` as written in manifests.
    pub kind: &'static str,
    /// Resource name in paths, such as `deployments`.
    pub plural: &'static str,
    /// Singular resource name that kubectl accepts.
    pub singular: &'static str,
    /// Abbreviations that kubectl accepts.
    pub short_names: &'static [&'static str],
    /// Groups of kinds, such as `all`.
    pub categories: &'static [&'static str],
    /// Where names are unique.
    pub scope: Scope,
    /// What can be done to its objects.
    pub verbs: &'static [Verb],
    /// Paths below an object.
    pub parts: &'static [Part],
    /// Where its objects are.
    pub backing: Backing,
    /// How objects are stored when another row of the table keeps them; nothing for a row that
    /// keeps its own.
    pub stored_as: Option<&'static Conversion>,
    /// Columns that `kubectl get` prints, of objects as they are stored.
    pub columns: &'static [Column],
    /// JSON pointers of the fields that field selectors may name, besides `metadata.name` and
    /// `metadata.namespace`: (selector label, JSON pointer into the stored object, value when the
    /// field is absent).
    pub selectable_fields: &'static [(&'static str, &'static str, &'static str)],
    /// The typed struct behind the kind.
    pub shape: Shape,
}

/// The typed struct of a kind, as functions on values.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Checks a value against the typed struct: unknown fields are dropped and listed, nulls are
    /// dropped, amounts become canonical. What passes can be read as the typed struct.
    pub decode: fn(Value) -> Result<Decoded, DecodeError>,
    /// Adds the kind's JSON schema and all it refers to.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    /// Name of the kind's JSON schema, such as `io.k8s.api.core.v1.Pod`.
    pub definition: fn() -> Cow<'static, str>,
}

/// A value that has the shape of its kind.
#[derive(Debug)]
pub struct Decoded {
    /// The object with fields of the kind only and without nulls; what is empty stays.
    pub object: Value,
    /// Paths of the fields that the kind does not have, such as `spec.containers[0].imagee`.
    pub unknown: Vec<String>,
}

/// A value that lacks the shape of its kind.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// Field path, such as `spec.containers[0].image`; `.` for the object itself.
    pub path: String,
    /// What was found and what was expected, with the field, in the words of Go's decoder.
    pub message: String,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        (self.group, self.version, self.kind) == (other.group, other.version, other.kind)
    }
}

impl Eq for Kind {}

impl Kind {
    /// `apiVersion` as written in manifests: `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Resource with its group, as error messages name it: `pods`, `deployments.apps`.
    pub fn qualified_plural(&self) -> String {
        qualify(self.plural, self.group)
    }

    /// Kind with its group, as validation errors name it: `Pod`, `Deployment.apps`.
    pub fn qualified_kind(&self) -> String {
        qualify(self.kind, self.group)
    }

    /// Whether the kind serves this subresource.
    pub fn has(&self, subresource: Subresource) -> bool {
        self.part(subresource).is_some()
    }

    /// What the row says of a subresource, if the kind serves it.
    pub fn part(&self, subresource: Subresource) -> Option<&'static Part> {
        self.parts.iter().find(|part| part.subresource == subresource)
    }

    /// Whether objects of this kind are kept in the store.
    pub fn is_stored(&self) -> bool {
        self.backing == Backing::Stored
    }

    /// Whether objects of this kind live inside a namespace.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

fn qualify(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// The kind served at this group, version and resource name.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.group == group && k.version == version && k.plural == plural)
}

/// The kind that an object names by its `apiVersion` and `kind`.
pub fn by_api_version(api_version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.kind == kind && k.api_version() == api_version)
}

/// The shape functions for a typed struct.
pub(crate) const fn shape<T: schemars::JsonSchema>() -> Shape {
    Shape {
        decode: |value| schema::decode(&T::schema_name(), value),
        schema: |generator| generator.subschema_for::<T>(),
        definition: T::schema_name,
    }
}

/// Groups in upstream's order (`aggregator.go`), the versions of each with the preferred one first.
const TABLE: &[&[Kind]] = &[
    core::ROWS,
    apiregistration::ROWS,
    apps::ROWS,
    events::ROWS,
    authentication::ROWS,
    authorization::ROWS,
    autoscaling::ROWS,
    batch::ROWS,
    certificates::ROWS,
    networking::ROWS,
    policy::ROWS,
    rbac::ROWS,
    storage::ROWS,
    scheduling::ROWS,
    coordination::ROWS,
    node::ROWS,
    discovery::ROWS,
];

static ROWS: [Kind; rows::count(TABLE)] = rows::concat(TABLE);

/// Every kind that the API serves.
pub static KINDS: &[Kind] = &ROWS;
