//! The group `scheduling.k8s.io`.

use k8s_openapi::api::scheduling::v1 as typed;

use super::{Kind, rows::Api};
use crate::columns;

const V1: Api = Api("scheduling.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .cluster::<typed::PriorityClass>("PriorityClass", "priorityclasses", "priorityclass")
    .short(&["pc"])
    .columns(columns::PRIORITY_CLASS)];
