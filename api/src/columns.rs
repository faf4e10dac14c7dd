//! The columns that `kubectl get` prints for each kind, as pure functions of the object.

use jiff::Timestamp;
use serde_json::Value;

/// One column of a `meta.k8s.io/v1` Table.
pub struct Column {
    /// Heading, such as `Cluster-IP`; kubectl prints it in capitals.
    pub name: &'static str,
    /// OpenAPI type of the cells: `string` or `integer`.
    pub kind: &'static str,
    /// OpenAPI format; `name` marks the column that holds the object's name.
    pub format: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i32,
    /// One sentence for people and tools.
    pub description: &'static str,
    /// The cell for an object at a point in time.
    pub cell: fn(&Value, Timestamp) -> Value,
}

pub(crate) const NAMESPACE: &[Column] = &[];
pub(crate) const NODE: &[Column] = &[];
pub(crate) const POD: &[Column] = &[];
pub(crate) const SERVICE: &[Column] = &[];
pub(crate) const ENDPOINTS: &[Column] = &[];
pub(crate) const CONFIG_MAP: &[Column] = &[];
pub(crate) const SECRET: &[Column] = &[];
pub(crate) const SERVICE_ACCOUNT: &[Column] = &[];
pub(crate) const EVENT: &[Column] = &[];
pub(crate) const DEPLOYMENT: &[Column] = &[];
pub(crate) const REPLICA_SET: &[Column] = &[];
pub(crate) const LEASE: &[Column] = &[];
pub(crate) const ENDPOINT_SLICE: &[Column] = &[];
