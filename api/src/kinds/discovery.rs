//! The group `discovery.k8s.io`.

use k8s_openapi::api::discovery::v1 as typed;

use super::{Kind, rows::Api};
use crate::columns;

const V1: Api = Api("discovery.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .namespaced::<typed::EndpointSlice>("EndpointSlice", "endpointslices", "endpointslice")
    .columns(columns::ENDPOINT_SLICE)];
