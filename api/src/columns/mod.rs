//! The columns that `kubectl get` prints for each kind.
//!
//! In: an object and a point in time. Out: one cell per column, in the words of upstream's
//! printers (`pkg/printers/internalversion`). Pure functions: nothing here reads a clock or looks
//! at another object. What an object lacks shows as `<none>`, `<unknown>` or nothing, never as
//! an error.

mod age;
mod autoscaler;
mod batch;
mod cells;
mod certificates;
mod cluster;
mod config;
mod event;
mod limits;
mod network;
mod networking;
mod node;
mod pod;
mod policy;
mod rbac;
mod registration;
mod scheduling;
mod storage;
#[cfg(test)]
mod tests;
mod workload;

use jiff::Timestamp;
use serde_json::Value;

pub use self::workload::SCALE;
pub(crate) use self::{
    autoscaler::AUTOSCALER,
    batch::{CRON_JOB, JOB},
    certificates::CERTIFICATE_SIGNING_REQUEST,
    cluster::{COMPONENT_STATUS, LEASE, NAMESPACE, NODE},
    config::{CONFIG_MAP, SECRET, SERVICE_ACCOUNT},
    event::EVENT,
    limits::{LIMIT_RANGE, RESOURCE_QUOTA},
    network::{ENDPOINT_SLICE, ENDPOINTS, SERVICE},
    networking::{INGRESS, INGRESS_CLASS, NETWORK_POLICY},
    node::RUNTIME_CLASS,
    pod::POD,
    policy::POD_DISRUPTION_BUDGET,
    rbac::{ROLE, ROLE_BINDING},
    registration::API_SERVICE,
    scheduling::PRIORITY_CLASS,
    storage::{
        CSI_DRIVER, CSI_NODE, CSI_STORAGE_CAPACITY, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS,
        VOLUME_ATTACHMENT,
    },
    workload::{
        CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, POD_TEMPLATE, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET,
    },
};

/// One column of a `meta.k8s.io/v1` Table.
pub struct Column {
    /// Heading, such as `Cluster-IP`; kubectl prints it in capitals.
    pub name: &'static str,
    /// OpenAPI type of the cells: `string`, `integer` or `boolean`; `date` for a moment.
    pub kind: &'static str,
    /// OpenAPI format; `name` marks the column that holds the object's name.
    pub format: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i32,
    /// One sentence for people and tools.
    pub description: &'static str,
    /// JSON pointers of all that a cell depends on, with `*` for every item of an array; the empty
    /// one is everything. Who has only the text of an object need not make a tree of the rest.
    pub reads: &'static [&'static str],
    /// The cell for an object at a point in time.
    pub cell: fn(&Value, Timestamp) -> Value,
}

impl Column {
    /// A column of texts (upstream also declares some numbers so).
    const fn text(name: &'static str, description: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "string", format: "", priority: 0, description, reads: &[""], cell }
    }

    /// A column of numbers.
    const fn number(name: &'static str, description: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "integer", format: "", priority: 0, description, reads: &[""], cell }
    }

    /// A column of truths.
    const fn boolean(name: &'static str, description: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "boolean", format: "", priority: 0, description, reads: &[""], cell }
    }

    /// The same column, which reads only some of an object.
    const fn reads(mut self, pointers: &'static [&'static str]) -> Self {
        self.reads = pointers;
        self
    }

    /// The same column, shown with `-o wide` only.
    const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    /// The same column as the one that holds the object's name.
    const fn names_object(mut self) -> Self {
        self.format = "name";
        self
    }
}

/// The first column of nearly every kind.
const NAME: Column = Column::text("Name", "Name of the object, unique in its namespace.", |object, _| {
    cells::text(object, "/metadata/name")
})
.reads(&["/metadata/name"])
.names_object();

/// When the object was made: the second column of kinds without columns of their own.
const CREATED_AT: Column = Column {
    kind: "date",
    ..Column::text("Created At", "When the object was made.", |object, _| {
        cells::text(object, "/metadata/creationTimestamp")
    })
    .reads(&["/metadata/creationTimestamp"])
};

/// How long ago the object was made.
const AGE: Column = Column::text("Age", "Time since the object was made.", |object, now| {
    age::since(object, "/metadata/creationTimestamp", now).into()
})
.reads(&["/metadata/creationTimestamp"]);
