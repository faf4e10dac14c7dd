//! The one table of kinds: what the API serves, under which names, with which columns.
//!
//! A kind without peculiarities is a row here and nothing else; the generic verbs, discovery,
//! OpenAPI, tables and field selectors all read this table.

use std::{borrow::Cow, fmt};

use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery,
};
use serde_json::Value;

use crate::{
    columns::{self, Column},
    schema,
};

/// Whether objects of a kind live inside a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One set of names for the whole cluster.
    Cluster,
    /// One set of names per namespace.
    Namespaced,
}

/// A part of an object that is read or written under a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// `status`: writes change only `.status`, and the annotations that agents keep next to it.
    Status,
    /// `scale`: an `autoscaling/v1` view of `.spec.replicas`.
    Scale,
    /// `binding`: assigns a pod to a node.
    Binding,
    /// `log`: a container's output, streamed from the node.
    Log,
    /// `finalize`: writes change only a namespace's `.spec.finalizers`.
    Finalize,
}

impl Subresource {
    /// The path segment, as in `pods/NAME/log`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Log => "log",
            Self::Finalize => "finalize",
        }
    }
}

/// One row of the table.
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
    /// Paths below an object.
    pub subresources: &'static [Subresource],
    /// Columns that `kubectl get` prints.
    pub columns: &'static [Column],
    /// JSON pointers of the fields that field selectors may name, besides `metadata.name` and
    /// `metadata.namespace`: (selector label, JSON pointer, value when the field is absent).
    pub selectable_fields: &'static [(&'static str, &'static str, &'static str)],
    /// The typed struct behind the kind.
    pub shape: Shape,
}

/// The typed struct of a kind, as functions on values.
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
        self.subresources.contains(&subresource)
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

/// Every kind that the API serves.
pub static KINDS: &[Kind] = &[
    Kind {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        categories: &[],
        scope: Scope::Cluster,
        subresources: &[Subresource::Status, Subresource::Finalize],
        columns: columns::NAMESPACE,
        selectable_fields: &[("status.phase", "/status/phase", "")],
        shape: shape::<core::Namespace>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        categories: &[],
        scope: Scope::Cluster,
        subresources: &[Subresource::Status],
        columns: columns::NODE,
        selectable_fields: &[("spec.unschedulable", "/spec/unschedulable", "false")],
        shape: shape::<core::Node>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        scope: Scope::Namespaced,
        subresources: &[Subresource::Status, Subresource::Binding, Subresource::Log],
        columns: columns::POD,
        selectable_fields: &[
            ("spec.nodeName", "/spec/nodeName", ""),
            ("spec.restartPolicy", "/spec/restartPolicy", ""),
            ("spec.schedulerName", "/spec/schedulerName", ""),
            ("spec.serviceAccountName", "/spec/serviceAccountName", ""),
            ("spec.hostNetwork", "/spec/hostNetwork", "false"),
            ("status.phase", "/status/phase", ""),
            ("status.podIP", "/status/podIP", ""),
            ("status.nominatedNodeName", "/status/nominatedNodeName", ""),
        ],
        shape: shape::<core::Pod>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        scope: Scope::Namespaced,
        subresources: &[Subresource::Status],
        columns: columns::SERVICE,
        selectable_fields: &[("spec.clusterIP", "/spec/clusterIP", ""), ("spec.type", "/spec/type", "")],
        shape: shape::<core::Service>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        short_names: &["ep"],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::ENDPOINTS,
        selectable_fields: &[],
        shape: shape::<core::Endpoints>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::CONFIG_MAP,
        selectable_fields: &[],
        shape: shape::<core::ConfigMap>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        short_names: &[],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::SECRET,
        selectable_fields: &[("type", "/type", "")],
        shape: shape::<core::Secret>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::SERVICE_ACCOUNT,
        selectable_fields: &[],
        shape: shape::<core::ServiceAccount>(),
    },
    Kind {
        group: "",
        version: "v1",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::EVENT,
        selectable_fields: &[
            ("involvedObject.kind", "/involvedObject/kind", ""),
            ("involvedObject.namespace", "/involvedObject/namespace", ""),
            ("involvedObject.name", "/involvedObject/name", ""),
            ("involvedObject.uid", "/involvedObject/uid", ""),
            ("involvedObject.apiVersion", "/involvedObject/apiVersion", ""),
            ("involvedObject.resourceVersion", "/involvedObject/resourceVersion", ""),
            ("involvedObject.fieldPath", "/involvedObject/fieldPath", ""),
            ("reason", "/reason", ""),
            ("reportingComponent", "/reportingComponent", ""),
            ("source", "/source/component", ""),
            ("type", "/type", ""),
        ],
        shape: shape::<core::Event>(),
    },
    Kind {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        categories: &["all"],
        scope: Scope::Namespaced,
        subresources: &[Subresource::Status, Subresource::Scale],
        columns: columns::DEPLOYMENT,
        selectable_fields: &[],
        shape: shape::<apps::Deployment>(),
    },
    Kind {
        group: "apps",
        version: "v1",
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short_names: &["rs"],
        categories: &["all"],
        scope: Scope::Namespaced,
        subresources: &[Subresource::Status, Subresource::Scale],
        columns: columns::REPLICA_SET,
        selectable_fields: &[("status.replicas", "/status/replicas", "0")],
        shape: shape::<apps::ReplicaSet>(),
    },
    Kind {
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        short_names: &[],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::LEASE,
        selectable_fields: &[],
        shape: shape::<coordination::Lease>(),
    },
    Kind {
        group: "discovery.k8s.io",
        version: "v1",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        short_names: &[],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        columns: columns::ENDPOINT_SLICE,
        selectable_fields: &[],
        shape: shape::<discovery::EndpointSlice>(),
    },
];
