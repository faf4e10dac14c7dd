//! The group `node.k8s.io`.

use k8s_openapi::api::node::v1 as typed;

use super::{Kind, rows::Api};
use crate::columns;

const V1: Api = Api("node.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .cluster::<typed::RuntimeClass>("RuntimeClass", "runtimeclasses", "runtimeclass")
    .columns(columns::RUNTIME_CLASS)];
