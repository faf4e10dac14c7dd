//! The group `apps`.

use k8s_openapi::api::apps::v1 as typed;

use super::{
    Kind,
    parts::{SCALE, STATUS},
    rows::Api,
};
use crate::columns;

const V1: Api = Api("apps", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.namespaced::<typed::Deployment>("Deployment", "deployments", "deployment")
        .short(&["deploy"])
        .in_all()
        .parts(&[STATUS, SCALE])
        .columns(columns::DEPLOYMENT),
    V1.namespaced::<typed::ReplicaSet>("ReplicaSet", "replicasets", "replicaset")
        .short(&["rs"])
        .in_all()
        .parts(&[STATUS, SCALE])
        .columns(columns::REPLICA_SET)
        .fields(&[("status.replicas", "/status/replicas", "0")]),
];
