//! The group `coordination.k8s.io`.

use k8s_openapi::api::coordination::v1 as typed;

use super::{Kind, rows::Api};
use crate::columns;

const V1: Api = Api("coordination.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1.namespaced::<typed::Lease>("Lease", "leases", "lease").columns(columns::LEASE)];
