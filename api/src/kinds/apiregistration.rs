//! The group `apiregistration.k8s.io`: what is served, as objects.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as typed;

use super::{Kind, parts::STATUS, rows::Api};
use crate::columns;

const V1: Api = Api("apiregistration.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .cluster::<typed::APIService>("APIService", "apiservices", "apiservice")
    .parts(&[STATUS])
    .columns(columns::API_SERVICE)];
