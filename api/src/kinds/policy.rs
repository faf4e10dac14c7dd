//! The group `policy`.

use k8s_openapi::api::policy::v1 as typed;

use super::{Kind, parts::STATUS, rows::Api};
use crate::columns;

const V1: Api = Api("policy", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .namespaced::<typed::PodDisruptionBudget>("PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget")
    .short(&["pdb"])
    .parts(&[STATUS])
    .columns(columns::POD_DISRUPTION_BUDGET)];
